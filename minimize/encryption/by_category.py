"""Which columns of an output are encrypted, and with which master keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

import pyarrow as pa

from minimize.encryption.material import Material
from minimize.keys.masters import FOOTER, Kms, Master, master_name

CATEGORY: Final = b"minimize:category"
OPEN: Final = "aggregated"
STRICTEST: Final = "identified"
UNUSABLE: Final = ",;:"
"""Characters that no name in an encrypted column may have: Arrow separates with them."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """What one file is written with: pyarrow's properties, and the ids of the master keys, for its receipt."""

    properties: Any
    keys: tuple[str, ...]


class Encryption(Protocol):
    """How the files of one output are encrypted. It can be pickled, and no key goes with it."""

    def of(self, path: str, schema: pa.Schema) -> Keyed | None:
        """What one file is written with, by its path relative to the output folder; None where it stays plain."""
        ...


@dataclass(frozen=True, slots=True)
class ByCategory:
    """Each category's columns under its own master key; what is aggregated stays open.

    names   the category by top-level column, of those that are encrypted
    tenant  the column whose folders have master keys of their own; None where there is one of each for all
    """

    kms: Kms
    names: Mapping[str, str]
    tenant: str | None = None

    @classmethod
    def of_schema(cls, kms: Kms, schema: pa.Schema, tenant: str | None = None) -> ByCategory:
        """For an output of this schema, whose field metadata says each column's category; a column that says none has the
        strictest."""
        categories = {field.name: category_of(field) for field in schema}
        return cls(kms, {name: category for name, category in categories.items() if category != OPEN}, tenant)

    def of(self, path: str, schema: pa.Schema) -> Keyed | None:
        """What one file is written with. Raises KeyringError where a master key is missing or destroyed."""
        tenant = self._tenant(path)
        return keyed(self.kms, schema, {name: master_name(each, tenant) for name, each in self.names.items()})

    def _tenant(self, path: str) -> str | None:
        if self.tenant is None:
            return None
        parts = PurePosixPath(path).parts
        return next(part.partition("=")[2] for part in parts if part.startswith(f"{self.tenant}="))

    def check(self) -> None:
        """Asks for the master keys that are not a tenant's own. Raises KeyringError where one is missing or destroyed."""
        names = set() if self.tenant else {master_name(category) for category in self.names.values()}
        for name in sorted({*names, FOOTER}):
            self.kms.newest(name)


@dataclass(frozen=True, slots=True)
class AsBefore:
    """The columns that were encrypted in a file, in what stands in for it: by the newest versions of the same master keys."""

    kms: Kms
    material: Material

    def of(self, path: str, schema: pa.Schema) -> Keyed | None:
        """What one file is written with. Raises KeyringError where a master key is missing or destroyed."""
        names = {name: Master.parse(master).name for name, master in self.material.masters.items()}
        return keyed(self.kms, schema, names)


def keyed(kms: Kms, schema: pa.Schema, names: Mapping[str, str]) -> Keyed | None:
    """What a file is written with, by the names of the master keys of its encrypted columns; None without such columns."""
    from minimize.encryption.wire import properties

    columns: dict[str, list[str]] = {}
    for field in schema:
        if field.name in names:
            columns.setdefault(names[field.name], []).extend(leaves(field))
    if not columns:
        return None
    masters = {kms.newest(name): each for name, each in columns.items()}
    footer = kms.newest(FOOTER)
    return Keyed(properties(kms, footer, masters), tuple(sorted(master.id for master in (footer, *masters))))


def category_of(field: pa.Field) -> str:
    """A column's category, by its metadata; of a nested column the strictest of its leaves.

    >>> category_of(pa.field("x", pa.string(), metadata={"minimize:category": "aggregated"}))
    'aggregated'
    >>> category_of(pa.field("y", pa.string()))
    'identified'
    """
    said = {value.decode() for name, value in (field.metadata or {}).items() if _says_category(name)}
    order = (STRICTEST, "pseudonymized", OPEN)
    return next((category for category in order if category in said), STRICTEST)


def leaves(field: pa.Field, above: Sequence[str] = ()) -> Iterator[str]:
    """The paths of the columns that a field is in a Parquet file."""
    path, type_ = (*above, field.name), field.type
    if pa.types.is_struct(type_):
        for child in type_.fields:
            yield from leaves(child, path)
    elif pa.types.is_map(type_):
        yield from leaves(type_.key_field.with_name("key"), (*path, "key_value"))
        yield from leaves(type_.item_field.with_name("value"), (*path, "key_value"))
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_):
        yield from leaves(type_.value_field.with_name("element"), (*path, "list"))
    else:
        yield ".".join(path)


def unusable(field: pa.Field) -> bool:
    """Whether a column has a name, at whatever depth, that Arrow cannot encrypt by."""
    return any(_is_unusable(name) for path in _names(field) for name in path)


def _names(field: pa.Field, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    path, type_ = (*above, field.name), field.type
    yield path
    for index in range(type_.num_fields if pa.types.is_nested(type_) else 0):
        yield from _names(type_.field(index), path)


def _is_unusable(name: str) -> bool:
    return name != name.strip() or any(letter in name for letter in UNUSABLE)


def _says_category(name: bytes) -> bool:
    return name == CATEGORY or name.startswith(CATEGORY + b"/")
