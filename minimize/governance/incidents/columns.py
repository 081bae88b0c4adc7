"""What a column of an exposed file tells whoever has it: its category, and the form that is left once keys are known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import pyarrow as pa

from minimize.encryption.by_category import category_of
from minimize.keys.masters import Master, is_master, master_name

Form = Literal["identified", "pseudonymized", "aggregated", "encrypted"]
FORMS: Final[tuple[Form, ...]] = ("encrypted", "aggregated", "pseudonymized", "identified")
"""From what tells nothing to what names somebody."""
_KEYED: Final = frozenset({"pseudonymize", "tokenize"})
"""What can be undone, or tried out, by whoever has the key."""


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """One kind of data: the column, its category (contract of outputs), and the form in which it was exposed.

    folder  whether it is the name of a folder: that is never encrypted, plain, and by itself about no person
    """

    name: str
    category: str
    form: Form
    technique: str
    folder: bool = False

    def as_json(self) -> dict[str, Any]:
        """The column as a scope gives it."""
        said = {"column": self.name, "category": self.category, "form": self.form, "technique": self.technique}
        return said | ({"in_folder_name": True} if self.folder else {})


@dataclass(frozen=True, slots=True)
class Known:
    """What others know: versions of keys.

    opened  whether what is encrypted came to them in the clear
    """

    keys: frozenset[str] = frozenset()
    opened: bool = False

    def column(self, field: pa.Field, masters: Collection[str], *, folder: bool = False) -> Column:
        """One column of a file that is encrypted under these master keys (none: it is not); or what its folders are named by."""
        category = category_of(field)
        technique = ", ".join(dict.fromkeys(_said(field, b"minimize:technique")))
        form = self._form(field, category, () if folder else masters)
        return Column(field.name, category, form, technique, folder)

    def _form(self, field: pa.Field, category: str, masters: Collection[str]) -> Form:
        if not self.opened and (under := over(category, masters)) and not under & self.keys:
            return "encrypted"
        if category == "pseudonymized" and made_with(field) & self.keys and _is_keyed(field):
            return "identified"
        return next(form for form in FORMS if form == category)


def over(category: str, masters: Collection[str]) -> frozenset[str]:
    """The master keys that columns of a category are encrypted under, of those of a file; none where they are not.

    >>> sorted(over("pseudonymized", ["encrypt.footer/1", "encrypt.pseudonymized/2"]))
    ['encrypt.pseudonymized/2']
    """
    name = master_name(category)
    return frozenset(each for each in masters if _name(each) == name or _name(each).startswith(f"{name}."))


def made_with(field: pa.Field) -> frozenset[str]:
    """The versions of keys that a column was made with."""
    return frozenset(key for each in _said(field, b"minimize:key") for key in each.split(","))


def highest(forms: Iterable[str]) -> Form:
    """The form that tells most.

    >>> highest(["encrypted", "pseudonymized"])
    'pseudonymized'
    """
    some = frozenset(forms)
    return max((form for form in FORMS if form in some), key=FORMS.index, default="encrypted")


def of_keys(field: pa.Field, masters: Collection[str], keys: Collection[str]) -> bool:
    """Whether a column was made with one of these versions of keys, or is encrypted under one."""
    return bool((made_with(field) | over(category_of(field), masters)) & frozenset(keys))


def _is_keyed(field: pa.Field) -> bool:
    return any(set(each.split(",")) & _KEYED for each in _said(field, b"minimize:technique"))


def _said(field: pa.Field, what: bytes) -> Iterator[str]:
    """What is said of a column; of a nested one, of each of its leaves."""
    for name, value in (field.metadata or {}).items():
        if name == what or name.startswith(what + b"/"):
            yield value.decode()


def _name(master: str) -> str:
    return Master.parse(master).name if is_master(master) else master
