"""Schema inference: the fields of a source and the policy types for them. It returns names, never values.

An object with many keys, or with keys that do not look like names, is a map: its keys may be values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.arrow.types import FractionText, IntegerText, parse_text, storage_type, type_word
from minimize.errors import SourceError
from minimize.sources import FORMATS, format_by_name, format_suffixes
from minimize.sources.file_discovery import find_files
from minimize.sources.files import FilePart
from minimize.sources.memory import read_memory
from minimize.sources.projection import is_list_type, nested_fields
from minimize.sources.source_format import SourceFormat
from minimize.stores import ObjectPath, location_text

SAMPLED_RECORDS = 5000
"""Number of records of a file that are examined."""
SAMPLED_FILES = 3
"""Number of files of a source that are examined."""
MAX_STRUCT_KEYS = 64
"""An object with more distinct keys than this is a map."""
MAX_OBSERVED_KEYS = 1000
"""Number of distinct keys of an object that are examined."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_KINDS = {"integer": "number", "double": "number", "string": "text", "timestamp": "text", "date": "text"}
"""Types of values that can be read as one common type."""

MIN_RECORDS_OF_NAME = 10
"""A name in this many records, or in half of them, cannot be the value of a single record."""
DiscoveredFields = list[tuple[str, str]]


def discover_fields(source: Any) -> DiscoveredFields:
    """The paths of a file, a folder, a pattern or data in memory, each with its policy type, in order of appearance.

    If the policy has no such type, Arrow's type is returned. A flat column is returned by its name, a nested field as a pointer.
    Raises SourceError, ConfigurationError.
    """
    return discover_frequent_fields(source)[0]


def discover_frequent_fields(source: Any, records: int = 0) -> tuple[DiscoveredFields, int]:
    """The fields, and the number of omitted names: in fewer than `records` records and in less than half of them.

    No name is omitted if the format has columns.
    """
    if not isinstance(source, str | Path | ObjectPath):
        return _schema_fields(read_memory(source).schema), 0
    found = find_files(location_text(source), Path.cwd())
    parts = [FilePart(path, found.root) for files in found.files.values() for path in files if format_by_name(path)]
    if not parts:
        raise SourceError(
            f"no file of a known format was found in {source}",
            hint=f"Name files that end in {format_suffixes()}, also with .gz or .zst.",
        )
    together: dict[str, str] = {}
    seen = ObservedValues()
    for part in parts[:SAMPLED_FILES]:
        format_ = FORMATS[format_by_name(part.path)]
        if format_.read_schema is None:
            _observe_records(seen, part, format_)
        else:
            for key, word in _schema_fields(format_.read_schema(part)):
                together.setdefault(key, word)
    left_out = seen.drop_rare_names(min(records, -(-seen.records // 2)))
    for parts_, word in seen.leaves(()):
        together.setdefault(_field_key(parts_), word)
    return list(together.items()), left_out


def observe_file(part: FilePart, format_: SourceFormat) -> ObservedValues:
    """The observed values of a file: its schema, or its first records if each record has its own names.

    Raises SourceError if the file cannot be read.
    """
    seen = ObservedValues()
    if format_.read_schema is None:
        _observe_records(seen, part, format_)
    else:
        _observe_type(seen, pa.struct(list(format_.read_schema(part))))
    return seen


def _observe_type(observed: ObservedValues, type_: pa.DataType) -> None:
    kind = storage_type(type_)
    below = dict(nested_fields(kind))
    word = type_word(kind)
    if word is not None and not pa.types.is_null(kind):
        observed.words[word] = 1
    for part, field_ in below.items():
        _observe_type(observed.below.setdefault(part, ObservedValues()), field_.type)


def _schema_fields(schema: pa.Schema) -> DiscoveredFields:
    columns = [column for column in schema if column.name]
    return [(_field_key(parts), word) for column in columns for parts, word in _leaf_types(column.type, (column.name,))]


def _leaf_types(type_: pa.DataType, parts: tuple[PointerPart, ...]) -> Iterator[tuple[tuple[PointerPart, ...], str]]:
    kind = storage_type(type_)
    if pa.types.is_struct(kind) or is_list_type(kind):
        for part, below in nested_fields(kind):
            yield from _leaf_types(below.type, (*parts, part))
    elif pa.types.is_map(kind):
        yield parts, "map"
        yield from _leaf_types(kind.item_type, (*parts, STAR))
    elif not pa.types.is_null(kind):
        yield parts, type_word(kind) or str(kind)
    else:
        yield parts, "string"


def _field_key(parts: tuple[PointerPart, ...]) -> str:
    flat = len(parts) == 1 and bool(parts[0]) and not str(parts[0]).startswith("/")
    return str(parts[0]) if flat else str(Pointer(parts))


def _observe_records(observed: ObservedValues, part: FilePart, format_: SourceFormat) -> None:
    for record in () if format_.read_records is None else format_.read_records(part, SAMPLED_RECORDS):
        observed.observe(record, observed.records + 1)


@dataclass
class ObservedValues:
    """The values observed at one place of the records: their types with counts, and the places below.

    records  number of records with a value here
    is_map   whether its names were recognized as a map's keys
    """

    words: dict[str, int] = field(default_factory=dict)
    below: dict[PointerPart, ObservedValues] = field(default_factory=dict)
    records: int = 0
    is_map: bool = False
    _last: int = 0

    def observe(self, value: Any, record: int = 0) -> None:
        """Add one value of the record with this number."""
        if value is None:
            return
        if record != self._last or not self.records:
            self.records, self._last = self.records + 1, record
        if isinstance(value, Mapping):
            self._observe_children("struct", value.items(), record)
        elif isinstance(value, list):
            self._observe_children("list", ((STAR, item) for item in value), record)
        else:
            self._count(_value_type(value))

    def drop_rare_names(self, records: int, *, inner: bool = False) -> int:
        """Remove the names in fewer records, and return their number. An object without other names is a map."""
        names = {part: seen for part, seen in self.below.items() if isinstance(part, str)}
        rare = [part for part, seen in names.items() if seen.records < records]
        if inner and names and len(names) - len(rare) in (0, *range(MAX_STRUCT_KEYS + 1, len(names) + 1)):
            self.is_map = True
            return 0
        for part in rare:
            del self.below[part]
        return len(rare) + sum(seen.drop_rare_names(records, inner=True) for seen in self.below.values())

    def at_path(self, parts: Sequence[PointerPart]) -> Iterator[ObservedValues]:
        """The observations at a path. A star matches elements and keys."""
        if not parts:
            yield self
            return
        for part, below in self.below.items():
            if parts[0] is STAR or part == parts[0]:
                yield from below.at_path(parts[1:])

    def leaves(self, parts: tuple[PointerPart, ...]) -> Iterator[tuple[tuple[PointerPart, ...], str]]:
        """The paths below, each with the type that fits all of its values, or else the first observed type."""
        kind = max(self.words, key=self._weight, default="string")
        below = {part: seen for part, seen in self.below.items() if (part is STAR) == (kind == "list")}
        if parts and kind == "struct" and self._is_map:
            yield parts, "map"
            values = ObservedValues()
            for each in below.values():
                values.merge(each)
            yield from values.leaves((*parts, STAR)) if values.records else ()
        elif kind in ("struct", "list") and below:
            for part, each in below.items():
                yield from each.leaves((*parts, part))
        elif parts:
            yield parts, _common_type(self.words)

    def merge(self, other: ObservedValues) -> None:
        """Add the observations of another place."""
        self.records += other.records
        for word, count in other.words.items():
            self._count(word, count)
        for part, below in other.below.items():
            if part in self.below or self._has_capacity():
                self.below.setdefault(part, ObservedValues()).merge(below)

    @property
    def _is_map(self) -> bool:
        names = [part for part in self.below if isinstance(part, str)]
        return self.is_map or len(names) > MAX_STRUCT_KEYS or not all(_NAME.fullmatch(name) for name in names)

    def _has_capacity(self) -> bool:
        """Whether another name can be recorded. If there are too many, names that occur in a single record are replaced."""
        if len(self.below) >= MAX_OBSERVED_KEYS:
            self.below = {part: seen for part, seen in self.below.items() if part is STAR or seen.records > 1}
        return len(self.below) < MAX_OBSERVED_KEYS

    def _weight(self, word: str) -> int:
        """Number of values of the same kind, so that a single odd value does not decide the type."""
        kind = _KINDS.get(word, word)
        return sum(count for each, count in self.words.items() if _KINDS.get(each, each) == kind)

    def _count(self, word: str, count: int = 1) -> None:
        self.words[word] = self.words.get(word, 0) + count

    def _observe_children(self, word: str, items: Any, record: int) -> None:
        self._count(word)
        for part, item in items:
            if part in self.below or self._has_capacity():
                self.below.setdefault(part, ObservedValues()).observe(item, record)


def _value_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, IntegerText | int):
        return "integer"
    if isinstance(value, FractionText | float):
        return "double"
    # Most texts are neither a time nor a date. Without this check, sampling takes twice the time.
    if not value[:1].isdigit():
        return "string"
    return next((word for word in ("timestamp", "date") if parse_text(value, word) is not None), "string")


def _common_type(words: Mapping[str, int]) -> str:
    """The type that fits the most values. Among numbers or texts, one that fits all of them; else the first observed."""
    kinds: dict[str, int] = {}
    for word, count in words.items():
        kinds[_KINDS.get(word, word)] = kinds.get(_KINDS.get(word, word), 0) + count
    kind = max(kinds, key=lambda each: kinds[each], default="text")
    alike = [word for word in words if _KINDS.get(word) == kind]
    if kind == "number":
        return "double" if "double" in alike else "integer"
    if kind == "text":
        return "string" if "string" in alike or not alike else alike[0]
    return kind
