"""Exposed items of an incident, such as `output:PATH#name`, `run:ID`, `date:D`, `recipient:NAME` or `key:NAME/1`.

Also the form in which a column of an exposed file can be read, and the identifiers of persons in the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Self, get_args

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.json_form import JsonResult, json_member
from minimize.keys.master_keys import MasterKey, is_master_key, master_key_name
from minimize.keys.parquet_encryption import column_category
from minimize.output.folder import is_date
from minimize.plan.category import CATEGORY_ORDER
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.techniques import TechniqueStep, published_techniques
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.times import parse_time

ExposureKind = Literal["output", "run", "date", "column", "recipient", "key", "grant", "actor"]
EXPOSURE_KINDS: Final[tuple[ExposureKind, ...]] = get_args(ExposureKind)
NARROWING_KINDS: Final = ("date", "column")
"""Kinds that narrow the outputs and runs named in the same incident. Alone, they apply to all outputs."""
_KEY_VERSION: Final = re.compile(r"[^/\s]+/[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, order=True)
class ExposedItem:
    """One exposed item.

    name    a path, run, date, column, recipient, key version, grant or account
    detail  for an output its name below the folder, for an actor the window; empty if not given
    """

    kind: ExposureKind
    name: str
    detail: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses the text form of an item. Raises ConfigurationError.

        >>> ExposedItem.parse("output:out/device_telemetry#records").detail
        'records'
        """
        word, _, rest = text.partition(":")
        kind = next((each for each in EXPOSURE_KINDS if each == word), None)
        name, detail = _split_detail(word, rest)
        found = None if kind is None or not name else cls(kind, name, detail)
        if found is None or not found._is_sound():
            raise ConfigurationError("the exposed item cannot be read", hint=_SYNTAX_HINT)
        return found

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """Time window of an actor's exposed reads. None means the period of the incident. Raises ConfigurationError."""
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
    """Splits a name from its detail. The name of an account may contain `@` itself."""
    name, mark, detail = rest.rpartition({"output": "#", "actor": "@"}.get(word, "\0"))
    return (name, detail) if mark and (word != "actor" or "/" in detail) else (rest, "")


_SYNTAX_HINT: Final = (
    "Use output:PATH[#NAME], run:ID, date:YYYY-MM-DD, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID or "
    "actor:NAME[@FROM/TO]."
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """All exposed items of an incident."""

    items: tuple[ExposedItem, ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Parses several items and removes duplicates. Raises ConfigurationError."""
        return cls(tuple(dict.fromkeys(map(ExposedItem.parse, texts))))

    def items_of(self, kind: ExposureKind) -> tuple[ExposedItem, ...]:
        """The items of one kind."""
        return tuple(each for each in self.items if each.kind == kind)

    def names(self, kind: ExposureKind) -> frozenset[str]:
        """The names of the items of one kind."""
        return frozenset(each.name for each in self.items_of(kind))

    @property
    def keys(self) -> frozenset[str]:
        """The compromised key versions."""
        return self.names("key")

    @property
    def only_keys(self) -> bool:
        """Whether only keys were exposed. Then the incident covers everything that was made with them."""
        return bool(self.items) and all(each.kind == "key" for each in self.items)

    @property
    def includes_files(self) -> bool:
        """Whether the incident exposed files of outputs: outputs, runs, or dates and columns of any output."""
        kinds = {each.kind for each in self.items}
        return bool(kinds & {"output", "run"}) or (
            bool(kinds & set(NARROWING_KINDS)) and kinds <= {*NARROWING_KINDS, "key"}
        )


ExposedForm = Literal["identified", "pseudonymized", "aggregated", "encrypted"]
EXPOSED_FORMS: Final[tuple[ExposedForm, ...]] = ("encrypted", *CATEGORY_ORDER)
"""Forms from the least to the most revealing."""


@dataclass(frozen=True, slots=True, order=True)
class ExposedColumn(JsonResult):
    """One kind of data: the column, its category (output contract), and the form in which it was exposed.

    folder  whether the value is part of a folder name, which is never encrypted and does not identify a person by itself
    """

    name: str = field(metadata=json_member("column"))
    category: str
    form: ExposedForm
    technique: str
    folder: bool = field(default=False, metadata=json_member("in_folder_name", omit_empty=True))


@dataclass(frozen=True, slots=True)
class CompromisedKeys:
    """Compromised key versions.

    is_decrypted  whether encrypted data was exposed in decrypted form
    """

    keys: frozenset[str] = frozenset()
    is_decrypted: bool = False

    def column(
        self,
        field: pa.Field,
        masters: Collection[str],
        *,
        folder: bool = False,
        seals: frozenset[str] = frozenset(),
    ) -> ExposedColumn:
        """The exposed form of one column of a file, or of a column in its folder names.

        `masters` are the master keys of the file; empty if it is not encrypted. `seals` are the key versions
        under which the whole file may be sealed; empty if it is not sealed.
        """
        category = column_category(field)
        technique = ", ".join(dict.fromkeys(_field_metadata(field, b"minimize:technique")))
        is_sealed = bool(seals) and not self.is_decrypted and not seals & self.keys
        form: ExposedForm = "encrypted" if is_sealed else self._form(field, category, () if folder else masters)
        return ExposedColumn(field.name, category, form, technique, folder)

    def _form(self, field: pa.Field, category: str, masters: Collection[str]) -> ExposedForm:
        if not self.is_decrypted and (under := encrypting_keys(category, masters)) and not under & self.keys:
            return "encrypted"
        if category == "pseudonymized" and technique_keys(field) & self.keys and _is_made_with_key(field):
            return "identified"
        return next(form for form in EXPOSED_FORMS if form == category)


def encrypting_keys(category: str, masters: Collection[str]) -> frozenset[str]:
    """Those master keys of a file that encrypt the columns of a category. Empty if these columns are not encrypted.

    >>> sorted(encrypting_keys("pseudonymized", ["encrypt.footer/1", "encrypt.pseudonymized/2"]))
    ['encrypt.pseudonymized/2']
    """
    name = master_key_name(category)
    return frozenset(
        each for each in masters if _master_key_name(each) == name or _master_key_name(each).startswith(f"{name}.")
    )


def technique_keys(field: pa.Field) -> frozenset[str]:
    """The key versions that the techniques of a column used."""
    return frozenset(key for each in _field_metadata(field, b"minimize:key") for key in each.split(","))


def most_revealing(forms: Iterable[str]) -> ExposedForm:
    """The most revealing of several forms.

    >>> most_revealing(["encrypted", "pseudonymized"])
    'pseudonymized'
    """
    some = frozenset(forms)
    return max((form for form in EXPOSED_FORMS if form in some), key=EXPOSED_FORMS.index, default="encrypted")


def uses_keys(field: pa.Field, masters: Collection[str], keys: Collection[str]) -> bool:
    """Whether a technique of a column used one of these key versions, or the column is encrypted under one."""
    return bool((technique_keys(field) | encrypting_keys(column_category(field), masters)) & frozenset(keys))


def _is_made_with_key(field: pa.Field) -> bool:
    texts = _field_metadata(field, b"minimize:technique")
    return any(kind.is_pseudonym() for text in texts for kind in published_techniques(text))


def _field_metadata(field: pa.Field, what: bytes) -> Iterator[str]:
    """The metadata values of a column; for a nested column, those of each of its leaves."""
    for name, value in (field.metadata or {}).items():
        if name == what or name.startswith(what + b"/"):
            yield value.decode()


def _master_key_name(master: str) -> str:
    return MasterKey.parse(master).name if is_master_key(master) else master


@dataclass(frozen=True, slots=True)
class IdentifierSpace:
    """A set of files in which identifiers of persons are comparable.

    id     equal for files in which one person has one identifier
    exact  whether each person has only one identifier in this space
    """

    id: str
    exact: bool


@dataclass(frozen=True, slots=True)
class PersonIdentifiers:
    """Location and space of a file's person identifiers. None if it has none, or several persons can share one."""

    pointer: Pointer | None = None
    space: IdentifierSpace | None = None

    @classmethod
    def for_policy(cls, policy: Policy, pointers: Mapping[str, Pointer], schema: pa.Schema) -> Self:
        """The person identifiers in files of a policy, given the pointers of its fields."""
        key = policy.subject
        pointer = None if key is None else pointers.get(key)
        if key is None or pointer is None or pointer.stars:
            return cls()
        chains = [way for way in treatments_of(policy.fields[key]) if not isinstance(way, str)]
        chain = [step for step in chains[0] if not step.changes_nothing] if len(chains) == 1 else None
        space = None if chain is None else _identifier_space(key, chain, schema.field(pointer.top))
        return cls() if space is None else cls(pointer, space)


def _identifier_space(key: str, chain: list[TechniqueStep], field: pa.Field) -> IdentifierSpace | None:
    """The space of one treatment. None if different persons could receive the same identifier."""
    if not chain:
        return IdentifierSpace(f"as it came, {key}", exact=True)
    step = chain[0]
    if len(chain) > 1 or not isinstance(step, Pseudonymize):
        return None
    keys = ", ".join(sorted(technique_keys(field)))
    parts = (step.link or key, keys, step.per or "", step.rotate or "", "folded" if step.fold else "")
    return IdentifierSpace("pseudonyms, " + "|".join(parts), exact=step.rotate is None)
