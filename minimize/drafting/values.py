"""Recognize kinds of values (addresses, identifiers, versions, times), and summarize the values of the first files of a source.

The module returns counts and kinds, never a value.

Schema inference: the fields of a source and the policy types for them. It returns names, never values.

An object with many keys, or with keys that do not look like names, is a map: its keys may be values.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.arrow.types import CONTAINER_TYPES, FractionText, IntegerText, parse_text, storage_type, type_word
from minimize.errors import SchemaError, SourceError
from minimize.patterns import PATTERNS, PatternName, find_pattern, is_imei
from minimize.sources import FORMATS, SourceFormat, format_by_name, format_suffixes
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.file_discovery import find_files
from minimize.sources.files import FilePart
from minimize.sources.memory import read_memory
from minimize.sources.projection import is_list_type, nested_fields
from minimize.stores import Location, ObjectPath, location_text

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
    source_files = find_files(location_text(source), Path.cwd())
    parts = [
        FilePart(path, source_files.root)
        for files in source_files.files.values()
        for path in files
        if format_by_name(path)
    ]
    if not parts:
        raise SourceError(
            f"no file of a known format was found in {source}",
            hint=f"Name files that end in {format_suffixes()}, also with .gz or .zst.",
        )
    together: dict[str, str] = {}
    observed = ObservedValues()
    for part in parts[:SAMPLED_FILES]:
        format_ = FORMATS[format_by_name(part.path)]
        if format_.read_schema is None:
            _observe_records(observed, part, format_)
        else:
            for key, word in _schema_fields(format_.read_schema(part)):
                together.setdefault(key, word)
    left_out = observed.drop_rare_names(min(records, -(-observed.records // 2)))
    for parts_, word in observed.leaves(()):
        together.setdefault(_field_key(parts_), word)
    return list(together.items()), left_out


def observe_file(part: FilePart, format_: SourceFormat) -> ObservedValues:
    """The observed values of a file: its schema, or its first records if each record has its own names.

    Raises SourceError if the file cannot be read.
    """
    observed = ObservedValues()
    if format_.read_schema is None:
        _observe_records(observed, part, format_)
    else:
        _observe_type(observed, pa.struct(list(format_.read_schema(part))))
    return observed


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
    """The values observed at one place of the records: their types with counts, and the places below."""

    words: dict[str, int] = field(default_factory=dict)
    below: dict[PointerPart, ObservedValues] = field(default_factory=dict)
    records: int = 0
    """Number of records with a value here."""
    is_map: bool = False
    """Whether its names were recognized as a map's keys."""
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
        names = {part: observed for part, observed in self.below.items() if isinstance(part, str)}
        rare = [part for part, observed in names.items() if observed.records < records]
        if inner and names and len(names) - len(rare) in (0, *range(MAX_STRUCT_KEYS + 1, len(names) + 1)):
            self.is_map = True
            return 0
        for part in rare:
            del self.below[part]
        return len(rare) + sum(observed.drop_rare_names(records, inner=True) for observed in self.below.values())

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
        below = {part: observed for part, observed in self.below.items() if (part is STAR) == (kind == "list")}
        if parts and kind == "struct" and self._is_map:
            yield parts, "map"
            values = ObservedValues()
            for observed in below.values():
                values.merge(observed)
            yield from values.leaves((*parts, STAR)) if values.records else ()
        elif kind in ("struct", "list") and below:
            for part, observed in below.items():
                yield from observed.leaves((*parts, part))
        elif parts:
            yield parts, _common_type(self.words)

    def merge(self, addition: ObservedValues) -> None:
        """Add the observations of another place."""
        self.records += addition.records
        for word, count in addition.words.items():
            self._count(word, count)
        for part, below in addition.below.items():
            if part in self.below or self._has_capacity():
                self.below.setdefault(part, ObservedValues()).merge(below)

    @property
    def _is_map(self) -> bool:
        names = [part for part in self.below if isinstance(part, str)]
        return self.is_map or len(names) > MAX_STRUCT_KEYS or not all(_NAME.fullmatch(name) for name in names)

    def _has_capacity(self) -> bool:
        """Whether another name can be recorded. If there are too many, names that occur in a single record are replaced."""
        if len(self.below) >= MAX_OBSERVED_KEYS:
            self.below = {
                part: observed for part, observed in self.below.items() if part is STAR or observed.records > 1
            }
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
    kind = max(kinds, key=lambda candidate: kinds[candidate], default="text")
    alike = [word for word in words if _KINDS.get(word) == kind]
    if kind == "number":
        return "double" if "double" in alike else "integer"
    if kind == "text":
        return "string" if "string" in alike or not alike else alike[0]
    return kind


Recognizer = Callable[[str], bool]


def _whole_match(name: PatternName) -> Recognizer:
    """Whether a pattern of `redact` covers the whole text."""

    def recognize(text: str) -> bool:
        return find_pattern(text, name) == [(0, len(text))]

    return recognize


def _whole_pattern(pattern: str) -> Recognizer:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _is_uuid(text: str) -> bool:
    """A UUID as RFC 9562 writes it, as a URN, or in braces."""
    return _UUID(text.removeprefix("urn:uuid:").removeprefix("{").removesuffix("}"))


_UUID: Final = _whole_match("uuid")
_HEX: Final = _whole_pattern(r"(?=.*[0-9])(?=.*[A-Fa-f])(?:(?:[0-9A-Fa-f]{32}){1,4}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{56})")
_BASE64: Final = _whole_pattern(r"[A-Za-z0-9+/]{22}==|[A-Za-z0-9+/]{27}=|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==")


def _is_imei(text: str) -> bool:
    """Also accepts an IMEI whose reporting body is no longer valid, because the other values of the field confirm the kind."""
    return is_imei(re.sub("[ -]", "", text))


def _is_hash(text: str) -> bool:
    """As long as MD5, SHA-1 or SHA-2, in hexadecimal or padded base64."""
    return _HEX(text) or (_BASE64(text) and _is_opaque(text))


def _is_opaque(text: str) -> bool:
    """Whether letters and digits alternate as in random text. Text with other signs needs lower case, upper case and digits."""
    if re.fullmatch(r"[A-Za-z0-9_+/-]{16,}={0,2}", text) is None:
        return False
    mixed = all(re.search(part, text) for part in ("[a-z]", "[A-Z]", "[0-9]"))
    switches = len(re.findall(r"(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z]", text))
    return (mixed or text.isalnum()) and switches * 8 >= len(text)


def _is_time(text: str) -> bool:
    return parse_text(text, "timestamp") is not None or parse_text(text, "date") is not None


def _is_position(text: str) -> bool:
    """Latitude and longitude in degrees, with decimals, as one text."""
    match = re.fullmatch(r"\(?\s*(-?\d{1,2}\.\d+)\s*[,; ]\s*(-?\d{1,3}\.\d+)\s*\)?", text)
    return match is not None and abs(float(match[1])) <= 90 and abs(float(match[2])) <= 180


def _is_whole_version(text: str) -> bool:
    """Numbers with dots, optionally with a suffix. Two parts need a `v`, because otherwise the text is a number."""
    return re.fullmatch(r"v\d+(\.\d+)+.{0,40}|\d+\.\d+(\.\d+)+([-+ (].{0,40})?", text) is not None


_POSTAL: Final = (
    r"\d{5}(-\d{4})?"  # United States; also the five digits of France, Germany, Spain, Italy and others
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"  # United Kingdom (BS 7666)
    r"|[A-Z]\d[A-Z] ?\d[A-Z]\d"  # Canada
    r"|\d{4} ?[A-Z]{2}"  # Netherlands
    r"|\d{3}-\d{4}|\d{4}-\d{3}|\d{2}-\d{3}|\d{3} \d{2}|\d{4}|\d{6}"  # Japan, Portugal, Poland, Sweden; four and six digits
)

VALUE_KINDS: Final[Mapping[str, Recognizer]] = MappingProxyType(
    {
        "email": _whole_match("email"),
        "uuid": _is_uuid,
        "hash": _is_hash,
        "mac": _whole_match("mac"),
        "ip": _whole_match("ip"),
        "url": _whole_match("url"),
        "iban": _whole_match("iban"),
        "imei": _is_imei,
        "card": _whole_match("card"),
        "position": _is_position,
        "time": _is_time,
        "version": _is_whole_version,
        "phone": _whole_match("phone"),
        "token": _whole_match("token"),
        "postal_code": _whole_pattern(_POSTAL),
        "path": _whole_match("path"),
        "opaque": _is_opaque,
    }
)
"""In order of precedence: the first kind that applies to most values is used."""
IDENTIFYING_KINDS: Final = frozenset({"email", "uuid", "hash", "mac", "iban", "imei", "token", "opaque"})
"""Kinds whose values each identify one person, device or session."""


def kinds_of_value(text: str) -> frozenset[str]:
    """All kinds that a text may be of.

    >>> sorted(kinds_of_value("ann@example.com")), sorted(kinds_of_value("203.0.113.7")), sorted(kinds_of_value("hello"))
    (['email'], ['ip', 'version'], [])
    """
    return frozenset(name for name, recognize in VALUE_KINDS.items() if recognize(text))


def contains_personal_data(text: str) -> bool:
    """Whether a text contains data about a person, a device or a place."""
    return any(find_pattern(text, name) for name in PATTERNS)


MOST_DISTINCT_VALUES: Final = 1000
"""The most distinct values of a field that are compared with the patterns."""
LONGEST_TEXT: Final = 512
"""The number of characters of a value that are examined."""
KIND_SHARE: Final = 0.8
"""The least share of distinct values of a kind for a field to be of that kind."""
PROSE_WORDS: Final = 4
"""The least number of words of prose."""
FEW_DISTINCT: Final = 20
"""The most distinct values that count as few."""
ENOUGH_VALUES: Final = 100
"""The least number of values for a statement about their distinct number."""


@dataclass(frozen=True, slots=True)
class ValueSummary:
    """One field's values, as counts."""

    values: int
    """Number of values, without nulls."""
    nulls: int = 0
    """Number of nulls."""
    distinct: int = 0
    """Number of distinct values."""
    kinds: Mapping[str, float] = field(default_factory=dict)
    """Share of the distinct values of each kind (`VALUE_KINDS`)."""
    reads: tuple[str, ...] = ()
    """Type words that every distinct text can be read as; for times, nearly every one."""
    prose: float = 0.0
    """Share of the distinct values that have several words."""
    personal: bool = False
    """Whether a text of no kind contains personal data."""

    @property
    def kind(self) -> str | None:
        """The kind of most values; None if there is none."""
        return next((name for name in VALUE_KINDS if self.kinds.get(name, 0.0) >= KIND_SHARE), None)

    @property
    def is_empty(self) -> bool:
        """Whether all values are null."""
        return self.values == 0

    @property
    def is_unique(self) -> bool:
        """Whether nearly all values are different, among enough values for this statement."""
        return self.values >= ENOUGH_VALUES and self.distinct >= 0.95 * self.values

    @property
    def is_few(self) -> bool:
        """Whether a few values are repeated, among enough values for this statement."""
        return self.values >= ENOUGH_VALUES and self.distinct <= FEW_DISTINCT

    @property
    def is_thin(self) -> bool:
        """Whether there are too few values for a statement about their distinct number."""
        return self.values < ENOUGH_VALUES

    @property
    def is_prose(self) -> bool:
        """Whether most values have several words and are rarely repeated."""
        return self.prose >= 0.5 and not self.is_few


def summarize_values(arrays: Sequence[pa.Array]) -> ValueSummary:
    """The summary of the values in these columns, all of one field. If all texts are empty, the field has no value.

    >>> summarize_values([pa.array(["a@example.com", "b@example.com", None])]).kind
    'email'
    """
    plain = [decode_dictionary(array) for array in arrays if len(array)]
    nulls = sum(array.null_count for array in plain)
    if not plain or nulls == sum(map(len, plain)):
        return ValueSummary(0, nulls)
    values = pa.chunked_array(plain).drop_null()
    distinct = pc.unique(values)
    if _is_text(distinct.type) and distinct.to_pylist() == [""]:
        return ValueSummary(0, nulls + len(values))
    texts = _texts(distinct.slice(0, MOST_DISTINCT_VALUES))
    count_by_kind = Counter(kind for text in texts for kind in kinds_of_value(text))
    return ValueSummary(
        values=len(values),
        nulls=nulls,
        distinct=len(distinct),
        kinds={kind: count / len(texts) for kind, count in count_by_kind.items()},
        reads=_readable_types(texts) if _is_text(distinct.type) else (),
        prose=sum(text.count(" ") >= PROSE_WORDS - 1 for text in texts) / len(texts) if texts else 0.0,
        personal=any(not kinds_of_value(text) and contains_personal_data(text) for text in texts),
    )


def _texts(distinct: pa.Array) -> list[str]:
    """Texts and whole numbers as text, binary values in hexadecimal, for comparison with patterns."""
    if _is_binary(distinct.type):
        return [value.hex()[:LONGEST_TEXT] for value in distinct.to_pylist()]
    if not (_is_text(distinct.type) or pa.types.is_integer(distinct.type)):
        return []
    return [str(value)[:LONGEST_TEXT] for value in distinct.to_pylist()]


def _readable_types(texts: Sequence[str]) -> tuple[str, ...]:
    """The types that these texts can be read as, the narrowest first."""
    shares = {word: sum(parse_text(text, word) is not None for text in texts) / len(texts) for word in _LEAST_SHARES}
    return tuple(word for word, least in _LEAST_SHARES.items() if shares[word] >= least)


_LEAST_SHARES: Final = {"boolean": 1.0, "integer": 1.0, "double": 1.0, "date": KIND_SHARE, "timestamp": KIND_SHARE}


def _is_binary(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def summarize_source(
    pattern: str, leaves: Mapping[Pointer, str], base: Path | None = None
) -> dict[Pointer, ValueSummary]:
    """Summaries of the values of these leaves, as far as the files can be read.

    Takes the path of a source, its leaves with the policy's words for their types, and the base folder of a relative path
    (default: the working directory). Files and records that do not match the types are skipped.
    """
    source_files = find_files(pattern, base or Path.cwd())
    files = [path for group in source_files.files.values() for path in group if format_by_name(path)][:SAMPLED_FILES]
    request = SourceRequest(tuple(_requested_fields(leaves)), rows=SAMPLED_RECORDS)
    batches = [batch for path in files for batch in _read_first_records(path, source_files.root, request)]
    return {pointer: summarize_values(_columns(batches, pointer)) for pointer in _scalars(leaves)}


def _requested_fields(leaves: Mapping[Pointer, str]) -> Iterator[DeclaredField]:
    for pointer in _scalars(leaves):
        yield DeclaredField(str(pointer), pointer, leaves[pointer], optional=True)
    for pointer in (each for each, word in leaves.items() if word == "map"):
        yield DeclaredField(str(pointer), pointer, "map", optional=True, needed=False)


def _scalars(leaves: Mapping[Pointer, str]) -> list[Pointer]:
    return [pointer for pointer, word in leaves.items() if word not in CONTAINER_TYPES]


def _read_first_records(path: Location, root: Location, request: SourceRequest) -> list[pa.RecordBatch]:
    """The first records of one file."""
    batches: list[pa.RecordBatch] = []
    with suppress(SchemaError, SourceError):
        source = FORMATS[format_by_name(path)].bind([FilePart(path, root)], request)
        remaining = SAMPLED_RECORDS
        for chunk in islice(source.parts[0].read(), SAMPLED_RECORDS):
            batches.append(chunk.records.slice(0, remaining))
            remaining -= chunk.read
            if remaining <= 0:
                break
    return batches


def _columns(batches: Sequence[pa.RecordBatch], pointer: Pointer) -> list[pa.Array]:
    """One leaf of all batches that have it, in one type."""
    arrays: list[pa.Array] = []
    for batch in batches:
        with suppress(KeyError):
            arrays.append(leaf(batch, pointer).values)
    return [array for array in arrays if array.type == arrays[0].type]
