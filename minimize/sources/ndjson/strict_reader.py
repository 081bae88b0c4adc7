"""Strict reader of NDJSON (RFC 8259, RFC 7493), one line at a time: it defines what a record is.

A line is malformed if it is not an object, is not UTF-8, or nests deeper than 128. It is also malformed if it has a
duplicate key at any depth, half of a surrogate pair, or a literal that is not part of JSON (NaN, Infinity). Numbers stay
text until they are converted to a type.

Most records have no fault: they are checked and converted in one walk. If the walk fails with `ValueMismatch`,
`first_fault` finds the fault. `ChunkBuilder` collects records and rejects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from heapq import nsmallest
from math import isinf
from operator import itemgetter
from typing import Any

import pyarrow as pa

from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.arrow.types import FractionText, IntegerText, decimal_digits, exact_decimal, parse_text, type_family
from minimize.identifiers import canonical_text, is_missing_id
from minimize.records import (
    MAX_UNDECLARED_PATHS,
    OTHER_PATHS,
    Chunk,
    Reject,
    RejectCode,
    UndeclaredCount,
    merge_undeclared,
)
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import MAX_LINE_BYTES, line_length
from minimize.sources.projection import FieldNode, batch_without_columns
from minimize.sources.record_checks import (
    SUBJECT_SAMPLE,
    any_depth_rule,
    canonicalize_ids,
    first_forbidden_key,
    forbidden_names,
    has_blank_id,
    has_key_at_any_depth,
    value_at_path,
)
from minimize.sources.schema_check import BoundRequest

MAX_DEPTH = 128
"""Maximum nesting depth of a record."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class MalformedLine(Exception):
    """A line that is not a record. Contains nothing of the line."""


@dataclass(frozen=True, slots=True)
class JsonFault:
    """The first fault of a record, with the policy's pointer if it has one."""

    code: RejectCode
    field: str | None = None


def first_fault(record: Mapping[str, Any], request: SourceRequest, root: FieldNode) -> JsonFault | None:
    """The first fault of a parsed record: forbidden, then wrong type or time, then missing."""
    for pointer in request.never:
        if any(value is not None for value in values_through_lists(record, pointer.parts)):
            return JsonFault("forbidden_field", str(pointer))
    name = first_forbidden_key(record, forbidden_names(request))
    if name is not None:
        return JsonFault("forbidden_field", any_depth_rule(name))
    for declared in request.fields:
        code = _type_fault(record, root, declared, 0)
        if code is not None:
            return JsonFault(code, str(declared.pointer))
    for declared in request.fields:
        blank = declared.pointer in request.ids and is_missing_id(value_at_path(record, declared.pointer))
        if declared.required and (blank or value_lacks_path(record, declared.pointer.parts)):
            return JsonFault("missing_field", str(declared.pointer))
    return None


def parse_line(line: bytes) -> dict[str, Any]:
    """A line as an object, with numbers as text. Raises MalformedLine."""
    record = None
    try:
        if nesting_depth(line) <= MAX_DEPTH:
            record = _DECODER.decode(line.decode("utf-8"))
            _check_surrogates(line, record)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise MalformedLine
    return record


def nesting_depth(line: bytes) -> int:
    """The nesting depth of a line; for a line that is not JSON, an upper bound. Fast except for long lists of objects."""
    opening = line.count(b"{") + line.count(b"[")
    if opening <= MAX_DEPTH:
        return opening
    deepest = level = 0
    for mark in _STRING.sub(b"", line).translate(None, _NO_BRACKETS):
        level += (mark in b"{[") - (mark in b"}]")
        deepest = max(deepest, level)
    return deepest


def undeclared_in_record(record: Mapping[str, Any], root: FieldNode) -> set[tuple[PointerPart, ...]]:
    """The topmost undeclared paths of a record. Null counts as absent."""
    return set(_undeclared_parts(record, root, ()))


def build_value(value: Any, node: FieldNode, type_: pa.DataType) -> Any:
    """A checked value in the form that Arrow accepts for this type, with declared parts only."""
    if value is None:
        return None
    if pa.types.is_struct(type_):
        return {part.name: build_value(value.get(part.name), node.children[part.name], part.type) for part in type_}
    if pa.types.is_map(type_):
        return [(key, build_value(item, _item_node(node), type_.item_type)) for key, item in _map_items(value, type_)]
    if pa.types.is_list(type_):
        return [build_value(item, _item_node(node), type_.value_type) for item in value]
    return None if pa.types.is_null(type_) or node.declared is None else convert_value(value, node.declared.type)


def convert_value(value: Any, word: str) -> Any:
    """A JSON value in the form that Arrow accepts for a policy's type; None for another type or an invalid time."""
    return value_converter(word)(value, word)


def value_converter(word: str) -> Callable[[Any, str], Any]:
    """The conversion to a policy's type; for a container it always returns None."""
    return _CONVERTERS.get(word) or _CONVERTERS.get(type_family(word)) or _convert_nothing


def _type_fault(value: Any, node: FieldNode, declared: DeclaredField, at: int) -> RejectCode | None:
    if value is None:
        return None
    parts = declared.pointer.parts
    if at == len(parts):
        return _value_fault(value, declared.type)
    part = parts[at]
    below = node.children[part]
    if part is not STAR:
        return _type_fault(value.get(part), below, declared, at + 1) if isinstance(value, dict) else "wrong_type"
    if not isinstance(value, dict if node.mapped else list):
        return "wrong_type"
    inner = value.values() if isinstance(value, dict) else value
    return next((code for item in inner if (code := _type_fault(item, below, declared, at + 1))), None)


def _value_fault(value: Any, word: str) -> RejectCode | None:
    container = CONTAINER_CLASSES.get(word)
    if container is not None:
        return None if isinstance(value, container) else "wrong_type"
    if convert_value(value, word) is not None:
        return None
    return "bad_time" if _is_text(value) and word in ("timestamp", "date") else "wrong_type"


def value_lacks_path(value: Any, parts: tuple[PointerPart, ...]) -> bool:
    """Whether a path is absent in a value with valid containers; below a star, in any element."""
    if value is None or not parts:
        return value is None
    if parts[0] is STAR:
        return any(value_lacks_path(item, parts[1:]) for item in (value.values() if isinstance(value, dict) else value))
    return value_lacks_path(value.get(parts[0]), parts[1:])


def values_at_path(value: Any, parts: tuple[PointerPart, ...]) -> Iterator[Any]:
    """The values at a path, for containers of any type."""
    if not parts:
        yield value
    elif parts[0] is STAR:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for item in inner:
            yield from values_at_path(item, parts[1:])
    elif isinstance(value, dict) and parts[0] in value:
        yield from values_at_path(value[parts[0]], parts[1:])


def values_through_lists(value: Any, parts: tuple[PointerPart, ...]) -> Iterator[Any]:
    """The values at a path, for containers of any type. Lists between names are passed through."""
    if parts and parts[0] is not STAR and isinstance(value, list):
        for item in value:
            yield from values_through_lists(item, parts)
    elif not parts:
        yield value
    elif parts[0] is STAR and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from values_through_lists(item, parts[1:])
    elif isinstance(value, dict) and parts[0] in value:
        yield from values_through_lists(value[parts[0]], parts[1:])


def _undeclared_parts(value: Any, node: FieldNode, above: tuple[PointerPart, ...]) -> Iterator[tuple[PointerPart, ...]]:
    below = node.children.get(STAR)
    if below is not None:
        for item in value.values() if isinstance(value, dict) else value:
            if item is not None and below.children:
                yield from _undeclared_parts(item, below, (*above, STAR))
        return
    for key, item in value.items() if isinstance(value, dict) else ():
        child = node.children.get(key)
        if item is not None and child is None:
            yield (*above, key)
        elif item is not None and child is not None and child.children:
            yield from _undeclared_parts(item, child, (*above, key))


def _item_node(node: FieldNode) -> FieldNode:
    return node.children.get(STAR) or FieldNode()


def _map_items(value: Mapping[str, Any], type_: pa.MapType) -> Iterator[tuple[str, Any]]:
    hollow = pa.types.is_null(type_.item_type)
    return (("" if hollow else key, item) for key, item in value.items())


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key occurs twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError("a literal that is not part of JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_int=IntegerText,
    parse_float=FractionText,
    parse_constant=_refuse_constant,
)


def _check_surrogates(line: bytes, record: Any) -> None:
    """Raises ValueError if half of a surrogate pair was written as an escape."""
    if b"\\u" in line and _SURROGATE.search(line):
        json.dumps(record, ensure_ascii=False).encode("utf-8")


def _is_text(value: Any) -> bool:
    return type(value) is str


def _convert_string(value: Any, word: str) -> str | None:
    return value if _is_text(value) else None


def _convert_nothing(value: Any, word: str) -> None:
    return None


def _convert_text(value: Any, word: str) -> Any:
    return parse_text(value, word) if _is_text(value) else None


def _convert_boolean(value: Any, word: str) -> bool | None:
    return value if isinstance(value, bool) else None


def _convert_integer(value: Any, word: str) -> int | None:
    return parse_text(str(value), "integer") if type(value) is IntegerText else None


def _convert_double(value: Any, word: str) -> float | None:
    if type(value) not in (IntegerText, FractionText):
        return None
    number = float(value)
    return None if isinf(number) else number


def _convert_decimal(value: Any, word: str) -> Decimal | None:
    digits = decimal_digits(word)
    if digits is None or type(value) not in (IntegerText, FractionText) or len(value) > 400:
        return None
    return exact_decimal(Decimal(value), *digits)


CONTAINER_CLASSES: Mapping[str, type] = {"list": list, "struct": dict, "map": dict}
_CONVERTERS: Mapping[str, Callable[[Any, str], Any]] = {
    "string": _convert_string,
    "boolean": _convert_boolean,
    "integer": _convert_integer,
    "double": _convert_double,
    "decimal": _convert_decimal,
    "timestamp": _convert_text,
    "date": _convert_text,
    "binary": _convert_text,
}


UndeclaredFlag = list[None]
"""Nonempty once an undeclared value was seen, null or not."""
ReadValue = Callable[[Any, UndeclaredFlag], Any]
"""Converts a non-null value for Arrow. Raises ValueMismatch."""


class ValueMismatch(Exception):
    """A value does not match its field. Contains nothing of the value."""


def value_reader(node: FieldNode, type_: pa.DataType | None) -> ReadValue:
    """The function that converts a node's values to this type; with None, they are checked and not kept."""
    if not node.children:
        return (
            _container_reader(node)
            if node.declared is None or node.declared.type in CONTAINER_CLASSES
            else _leaf_reader(node.declared.type)
        )
    if not _is_consistent(node):
        return _refuse_value
    if STAR not in node.children:
        return _struct_reader(node, type_)
    return _map_reader(node, type_) if node.mapped else _list_reader(node, type_)


def _is_consistent(node: FieldNode) -> bool:
    """Whether a value can match both this declaration and those below it."""
    words = {"struct"} if STAR not in node.children else {"map", "struct"} if node.mapped else {"list"}
    single = STAR not in node.children or len(node.children) == 1
    return single and (node.declared is None or node.declared.type in words)


def _refuse_value(value: Any, undeclared: UndeclaredFlag) -> Any:
    raise ValueMismatch


def _leaf_reader(word: str) -> ReadValue:
    convert = value_converter(word)

    def read(value: Any, undeclared: UndeclaredFlag) -> Any:
        converted = convert(value, word)
        if converted is None:
            raise ValueMismatch
        return converted

    return read


def _container_reader(node: FieldNode) -> ReadValue:
    """Reader of a container of which only the shape is kept."""
    word = node.declared.type if node.declared else "struct"
    hollow: dict[str, Callable[[Any], Any]] = {
        "list": lambda value: [None] * len(value),
        "map": lambda value: [("", None)] * len(value),
        "struct": lambda value: {},
    }
    kind, empty = CONTAINER_CLASSES[word], hollow[word]

    def read(value: Any, undeclared: UndeclaredFlag) -> Any:
        if type(value) is not kind:
            raise ValueMismatch
        return empty(value)

    return read


def _struct_reader(node: FieldNode, type_: pa.StructType | None) -> ReadValue:
    kept = {} if type_ is None else {field.name: field.type for field in type_}
    names = frozenset(map(str, node.children))
    parts: Sequence[tuple[str, ReadValue, bool]] = [
        (str(name), value_reader(child, kept.get(str(name))), str(name) in kept)
        for name, child in node.children.items()
    ]

    def read(value: Any, undeclared: UndeclaredFlag) -> Any:
        if type(value) is not dict:
            raise ValueMismatch
        if not names.issuperset(value):
            undeclared.append(None)
        struct = {}
        for name, part, keep in parts:
            item = value.get(name)
            member = None if item is None else part(item, undeclared)
            if keep:
                struct[name] = member
        return struct

    return read


def _list_reader(node: FieldNode, type_: pa.ListType | None) -> ReadValue:
    part = value_reader(node.children[STAR], None if type_ is None else type_.value_type)

    def read(value: Any, undeclared: UndeclaredFlag) -> Any:
        if type(value) is not list:
            raise ValueMismatch
        return [None if item is None else part(item, undeclared) for item in value]

    return read


def _map_reader(node: FieldNode, type_: pa.MapType | None) -> ReadValue:
    hollow = type_ is None or pa.types.is_null(type_.item_type)
    part = value_reader(node.children[STAR], None if type_ is None or hollow else type_.item_type)

    def read(value: Any, undeclared: UndeclaredFlag) -> Any:
        if type(value) is not dict:
            raise ValueMismatch
        items = ((key, None if item is None else part(item, undeclared)) for key, item in value.items())
        return [("", None) if hollow else pair for pair in items]

    return read


class UndeclaredCounter:
    """Counts records with undeclared paths, and collects up to ten subjects per path; for many paths see `bound_undeclared`."""

    def __init__(self, request: SourceRequest, root: FieldNode) -> None:
        self._request, self._root = request, root
        self._found: dict[tuple[PointerPart, ...], tuple[int, frozenset[str]]] = {}
        self._held: dict[Pointer, UndeclaredCount] = {}

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Add a valid record."""
        paths = undeclared_in_record(record, self._root)
        subject = record_subject(record, self._request) if paths else None
        subjects = frozenset(() if subject is None else (subject,))  # one set for all paths: a line may have many names
        first = (1, subjects)
        for parts in paths:
            former = self._found.get(parts)
            if former is None:
                self._found[parts] = first
            else:
                count, some = former
                self._found[parts] = (count + 1, some | subjects if len(some) < SUBJECT_SAMPLE else some)
        if len(self._found) > 2 * MAX_UNDECLARED_PATHS:
            self.counts()

    def counts(self) -> dict[Pointer, UndeclaredCount]:
        """All counts, by path."""
        rank = self._request.rank
        ranked = ((rank(Pointer(parts)), parts, value) for parts, value in self._found.items())
        kept = nsmallest(
            MAX_UNDECLARED_PATHS, ranked, key=itemgetter(0)
        )  # before anything costly: a line may have many names
        counts_by_path = {
            Pointer(parts): UndeclaredCount(count, _subject_sample(some), key) for key, parts, (count, some) in kept
        }
        others = sum(count for count, _ in self._found.values()) - sum(count for _, _, (count, _) in kept)
        other_paths = {OTHER_PATHS: UndeclaredCount(others)} if others else {}
        self._held = merge_undeclared([self._held, counts_by_path, other_paths])
        self._found.clear()
        return self._held


class ChunkBuilder:
    """Collects lines read one by one into a chunk."""

    def __init__(self, bound: BoundRequest, root: FieldNode) -> None:
        self._bound, self._root = bound, root
        self._type = pa.struct(list(bound.schema))
        self._records: list[Any] = []
        self._places: list[int] = []
        self._rejects: list[Reject] = []
        self._extra = UndeclaredCounter(bound.request, root)
        self._read = value_reader(root, self._type)
        self._never = tuple(pointer.top for pointer in bound.request.never)
        self._any_depth = forbidden_names(bound.request)
        self._required = tuple(field.pointer.parts for field in bound.request.fields if field.required)

    def add_line(self, position: int, line: bytes) -> None:
        """Add one line."""
        if line_length(line) > MAX_LINE_BYTES:
            self.add_too_large(position)
            return
        record = None
        with suppress(MalformedLine):
            record = parse_line(line)
        if record is None:
            self._reject(position, JsonFault("malformed"))
        elif not self._accept_record(position, record):
            self._judge(position, record)

    def add_too_large(self, position: int) -> ChunkBuilder:
        """Add a reject for a line that is too long."""
        self._reject(position, JsonFault("too_large"))
        return self

    def chunk(self) -> Chunk:
        """The lines as a chunk."""
        values = pa.array(self._records, self._type)
        records = (
            pa.RecordBatch.from_struct_array(values) if self._bound.schema.names else batch_without_columns(len(values))
        )
        return Chunk(
            records=canonicalize_ids(records, self._bound.request.ids),
            read=len(self._records) + len(self._rejects),
            rejects=tuple(self._rejects),
            undeclared=self._extra.counts(),
            positions=pa.array(self._places, pa.int64()),
            unit="byte",
        )

    def _reject(self, position: int, fault: JsonFault) -> None:
        self._rejects.append(Reject(position, "byte", fault.field, fault.code))

    def _accept_record(self, position: int, record: Mapping[str, Any]) -> bool:
        """Add a certain record. Returns False, and adds nothing, if it is uncertain."""
        undeclared: UndeclaredFlag = []
        try:
            values = self._read(record, undeclared)
        except ValueMismatch:
            return False
        if any(top in record for top in self._never) or any(
            value_lacks_path(record, parts) for parts in self._required
        ):
            return False
        if self._any_depth and has_key_at_any_depth(record, self._any_depth):
            return False
        if has_blank_id(record, self._bound.request.ids):
            return False
        self._keep(position, record, values, bool(undeclared))
        return True

    def _judge(self, position: int, record: Mapping[str, Any]) -> None:
        fault = first_fault(record, self._bound.request, self._root)
        if fault is not None:
            self._reject(position, fault)
        else:
            self._keep(position, record, build_value(record, self._root, self._type), True)

    def _keep(self, position: int, record: Mapping[str, Any], value: Any, extra: bool) -> None:
        self._records.append(value)
        self._places.append(position)
        if extra:
            self._extra.add_record(record)


def record_subject(record: Mapping[str, Any], request: SourceRequest) -> str | None:
    """The subject of a record, as text."""
    value = record if request.subject is None else value_at_path(record, request.subject)
    return None if value is None or isinstance(value, dict | list) else canonical_text(str(value), fold=True) or None


def _subject_sample(subjects: frozenset[str]) -> frozenset[str]:
    return frozenset(sorted(subjects)[:SUBJECT_SAMPLE])
