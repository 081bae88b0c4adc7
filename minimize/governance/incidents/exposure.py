"""Exposure.

The items that an incident exposed, such as `output:PATH#name`, `run:ID`, `date:D`, `recipient:NAME` or `key:NAME/1`; then
the form in which a column of an exposed file can be read, and the identifiers of persons in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self, get_args

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.keys.master_keys import MasterKey, is_master_key, master_key_name
from minimize.keys.parquet_encryption import column_category
from minimize.output.folder import is_date
from minimize.plan.category import CATEGORY_ORDER
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.techniques import PSEUDONYM_TECHNIQUES, TechniqueStep
from minimize.techniques.keep import Keep
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.times import parse_time

ExposureKind = Literal["output", "run", "date", "column", "recipient", "key", "grant", "actor"]
EXPOSURE_KINDS: Final[tuple[ExposureKind, ...]] = get_args(ExposureKind)
NARROWING_KINDS: Final = ("date", "column")
"""These say which part of the outputs and runs that are named beside them; alone, of all outputs."""
_KEY_VERSION: Final = re.compile(r"[^/\s]+/[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, order=True)
class ExposedItem:
    """One thing that was exposed.

    name    a path, a run, a date, a column, a recipient, a key's version, a grant, an account
    detail  of an output the name below its folder, of an actor the window; empty where none is said
    """

    kind: ExposureKind
    name: str
    detail: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a text says. Raises ConfigurationError.

        >>> ExposedItem.parse("output:out/device_telemetry#records").detail
        'records'
        """
        word, _, rest = text.partition(":")
        kind = next((each for each in EXPOSURE_KINDS if each == word), None)
        name, detail = _split_detail(word, rest)
        found = None if kind is None or not name else cls(kind, name, detail)
        if found is None or not found._is_sound():
            raise ConfigurationError("this does not say what was exposed", hint=_SYNTAX_HINT)
        return found

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """From when to when an actor's reads are meant; None: when the incident happened. Raises ConfigurationError."""
        first, slash, last = self.detail.partition("/")
        if self.kind != "actor" or not slash:
            return None
        since, until = parse_time(first, "FROM of `actor:NAME@FROM/TO`"), parse_time(last, "TO of `actor:NAME@FROM/TO`")
        return None if since is None or until is None else (since, until)

    def __str__(self) -> str:
        mark = {"output": "#", "actor": "@"}.get(self.kind, "")
        return f"{self.kind}:{self.name}" + (f"{mark}{self.detail}" if self.detail else "")

    def _is_sound(self) -> bool:
        if self.kind == "key":
            return bool(_KEY_VERSION.fullmatch(self.name))
        if self.kind == "date":
            return is_date(self.name)
        if self.kind != "actor" or not self.detail:
            return True
        window = self.window
        return window is not None and window[0] <= window[1]


def _split_detail(word: str, rest: str) -> tuple[str, str]:
    """A name and what stands behind it; an account's name may hold an `@` of its own."""
    name, mark, detail = rest.rpartition({"output": "#", "actor": "@"}.get(word, "\0"))
    return (name, detail) if mark and (word != "actor" or "/" in detail) else (rest, "")


_SYNTAX_HINT: Final = (
    "output:PATH[#NAME], run:ID, date:YYYY-MM-DD, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID, "
    "actor:NAME[@FROM/TO]"
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Everything that an incident exposed."""

    items: tuple[ExposedItem, ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """What these texts say, each once. Raises ConfigurationError."""
        return cls(tuple(dict.fromkeys(map(ExposedItem.parse, texts))))

    def items_of(self, kind: ExposureKind) -> tuple[ExposedItem, ...]:
        """Those of one kind."""
        return tuple(each for each in self.items if each.kind == kind)

    def names(self, kind: ExposureKind) -> frozenset[str]:
        """The names of those of one kind."""
        return frozenset(each.name for each in self.items_of(kind))

    @property
    def keys(self) -> frozenset[str]:
        """The versions of keys that others have now."""
        return self.names("key")

    @property
    def only_keys(self) -> bool:
        """Whether nothing is named beside keys: then everything that was made with them is meant."""
        return bool(self.items) and all(each.kind == "key" for each in self.items)

    @property
    def includes_files(self) -> bool:
        """Whether files of outputs are meant: outputs, runs, or dates and columns wherever they are."""
        kinds = {each.kind for each in self.items}
        return bool(kinds & {"output", "run"}) or (
            bool(kinds & set(NARROWING_KINDS)) and kinds <= {*NARROWING_KINDS, "key"}
        )


ExposedForm = Literal["identified", "pseudonymized", "aggregated", "encrypted"]
EXPOSED_FORMS: Final[tuple[ExposedForm, ...]] = ("encrypted", *CATEGORY_ORDER)
"""From what tells nothing to what names somebody."""
"""What can be undone, or tried out, by whoever has the key."""


@dataclass(frozen=True, slots=True, order=True)
class ExposedColumn:
    """One kind of data: the column, its category (contract of outputs), and the form in which it was exposed.

    folder  whether it is the name of a folder: that is never encrypted, plain, and by itself about no person
    """

    name: str
    category: str
    form: ExposedForm
    technique: str
    folder: bool = False

    def as_json(self) -> dict[str, Any]:
        """The column as a scope gives it."""
        said = {"column": self.name, "category": self.category, "form": self.form, "technique": self.technique}
        return said | ({"in_folder_name": True} if self.folder else {})


@dataclass(frozen=True, slots=True)
class CompromisedKeys:
    """What others know: versions of keys.

    is_decrypted  whether what is encrypted came to them in the clear
    """

    keys: frozenset[str] = frozenset()
    is_decrypted: bool = False

    def column(self, field: pa.Field, masters: Collection[str], *, folder: bool = False) -> ExposedColumn:
        """One column of a file that is encrypted under these master keys (none: it is not); or what its folders are named by."""
        category = column_category(field)
        technique = ", ".join(dict.fromkeys(_field_metadata(field, b"minimize:technique")))
        form = self._form(field, category, () if folder else masters)
        return ExposedColumn(field.name, category, form, technique, folder)

    def _form(self, field: pa.Field, category: str, masters: Collection[str]) -> ExposedForm:
        if not self.is_decrypted and (under := encrypting_keys(category, masters)) and not under & self.keys:
            return "encrypted"
        if category == "pseudonymized" and technique_keys(field) & self.keys and _is_made_with_key(field):
            return "identified"
        return next(form for form in EXPOSED_FORMS if form == category)


def encrypting_keys(category: str, masters: Collection[str]) -> frozenset[str]:
    """The master keys that columns of a category are encrypted under, of those of a file; none where they are not.

    >>> sorted(encrypting_keys("pseudonymized", ["encrypt.footer/1", "encrypt.pseudonymized/2"]))
    ['encrypt.pseudonymized/2']
    """
    name = master_key_name(category)
    return frozenset(
        each for each in masters if _master_key_name(each) == name or _master_key_name(each).startswith(f"{name}.")
    )


def technique_keys(field: pa.Field) -> frozenset[str]:
    """The versions of keys that a column was made with."""
    return frozenset(key for each in _field_metadata(field, b"minimize:key") for key in each.split(","))


def most_revealing(forms: Iterable[str]) -> ExposedForm:
    """The form that tells most.

    >>> most_revealing(["encrypted", "pseudonymized"])
    'pseudonymized'
    """
    some = frozenset(forms)
    return max((form for form in EXPOSED_FORMS if form in some), key=EXPOSED_FORMS.index, default="encrypted")


def uses_keys(field: pa.Field, masters: Collection[str], keys: Collection[str]) -> bool:
    """Whether a column was made with one of these versions of keys, or is encrypted under one."""
    return bool((technique_keys(field) | encrypting_keys(column_category(field), masters)) & frozenset(keys))


def _is_made_with_key(field: pa.Field) -> bool:
    return any(set(each.split(",")) & PSEUDONYM_TECHNIQUES for each in _field_metadata(field, b"minimize:technique"))


def _field_metadata(field: pa.Field, what: bytes) -> Iterator[str]:
    """What is said of a column; of a nested one, of each of its leaves."""
    for name, value in (field.metadata or {}).items():
        if name == what or name.startswith(what + b"/"):
            yield value.decode()


def _master_key_name(master: str) -> str:
    return MasterKey.parse(master).name if is_master_key(master) else master


@dataclass(frozen=True, slots=True)
class IdentifierSpace:
    """Names of persons that can be compared with each other.

    id     the same for files in which one person has one name
    exact  whether nobody has two names there
    """

    id: str
    exact: bool


@dataclass(frozen=True, slots=True)
class PersonIdentifiers:
    """Where a file names persons, and how; None where it does not, or names several alike."""

    pointer: Pointer | None = None
    space: IdentifierSpace | None = None

    @classmethod
    def for_policy(cls, policy: Policy, pointers: dict[str, Pointer], schema: pa.Schema) -> Self:
        """How files of a policy name persons. Takes where its fields stand."""
        key = policy.subject
        pointer = None if key is None else pointers.get(key)
        if key is None or pointer is None or pointer.stars:
            return cls()
        chains = [way for way in treatments_of(policy.fields[key]) if not isinstance(way, str)]
        chain = [step for step in chains[0] if not isinstance(step, Keep)] if len(chains) == 1 else None
        space = None if chain is None else _identifier_space(key, chain, schema.field(pointer.top))
        return cls() if space is None else cls(pointer, space)


def _identifier_space(key: str, chain: list[TechniqueStep], field: pa.Field) -> IdentifierSpace | None:
    """The space of one way; None for a way that gives several persons one name, or is not known to give them different ones."""
    if not chain:
        return IdentifierSpace(f"as it came, {key}", exact=True)
    step = chain[0]
    if len(chain) > 1 or not isinstance(step, Pseudonymize):
        return None
    keys = ", ".join(sorted(technique_keys(field)))
    said = (step.link or key, keys, step.per or "", step.rotate or "", "folded" if step.fold else "")
    return IdentifierSpace("pseudonyms, " + "|".join(said), exact=step.rotate is None)
