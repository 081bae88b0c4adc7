"""Records from the tables of Arrow's parser, and a mask of the certain lines.

Arrow rejects duplicate keys, other types, numbers that do not fit and broken surrogates. Faults that it does not detect were
excluded by the scan. Times, bytes and decimals are parsed here. The strict reader decides about uncertain lines.

Two things are parsed in Python, line by line, in addition to Arrow's table. One is maps whose items are read, because Arrow
would turn them into structs. The other is blocks whose undeclared values have so many types that Arrow rejects them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.arrow.pointers import STAR
from minimize.sources.base import Chunk
from minimize.sources.binding import BoundRequest, undeclared_paths
from minimize.sources.ndjson.arrow_parser import InferredColumns, ParserOptions, parse_tables
from minimize.sources.ndjson.line_scan import Positions, ScannedLines
from minimize.sources.ndjson.strict_reader import (
    MalformedLine,
    UndeclaredCounter,
    ValueMismatch,
    parse_line,
    value_lacks_path,
    value_reader,
    values_through_lists,
)
from minimize.sources.projection import (
    FieldNode,
    is_list_type,
    list_elements,
    list_offsets,
    nested_fields,
    table_as_batch,
)
from minimize.sources.record_checks import forbidden_places, has_blank_id, has_key_at_any_depth, records_with_path
from minimize.sources.types import accepts_type, arrow_type, decimal_digits, parse_texts

MAX_ARROW_SCALE = 38
"""Maximum digits after the point of a decimal that Arrow's parser reads."""
_TYPES_AS_TEXT = ("timestamp", "date", "binary")


def read_by_arrow(
    lines: ScannedLines,
    rows: Positions,
    bound: BoundRequest,
    root: FieldNode,
    options: ParserOptions,
    inferred: InferredColumns | None = None,
) -> Iterator[tuple[Chunk, Positions]]:
    """Chunks of the certain lines, each with their indices. Raises TooManyRefused."""
    for table, held in parse_tables(lines, rows, options, inferred):
        records, sure = typed_records(table_as_batch(table), root)
        extra = tuple(undeclared_paths(records.schema, bound.request))
        for place in forbidden_places(records.schema, bound.request):
            sure &= ~records_with_path(records, place.pointer)
        held = held[sure]
        places = lines.file_positions(held)
        yield replace(bound, undeclared=extra).chunk(certain_records(records, sure), places, unit="byte"), held


def certain_records(records: pa.RecordBatch, certain: Bools) -> pa.RecordBatch:
    """The certain records."""
    return records if certain.all() else records.filter(pa.array(certain))


def explicit_schema(root: FieldNode) -> pa.Schema:
    """The explicit types for Arrow's parser: times and bytes as text. Whole containers and maps are inferred."""
    fields = ((str(part), _explicit_type(child)) for part, child in root.children.items())
    return pa.schema([(name, type_) for name, type_ in fields if type_ is not None])


def _explicit_type(node: FieldNode) -> pa.DataType | None:
    if node.mapped:
        return None
    if not node.children:
        word = node.declared.type if node.declared else "struct"
        return (
            None
            if word in ("list", "struct")
            else pa.string()
            if word in _TYPES_AS_TEXT
            else _readable_type(arrow_type(word))
        )
    if STAR in node.children:
        below = _explicit_type(node.children[STAR])
        return None if below is None else pa.list_(below)
    types = ((str(part), _explicit_type(child)) for part, child in node.children.items())
    return pa.struct([(name, type_) for name, type_ in types if type_ is not None])


def _readable_type(type_: pa.DataType) -> pa.DataType | None:
    """The type as Arrow's parser can read it. A decimal gets more digits, because the parser does not detect overflow.

    That requires that no number has more than 38 digits before the point.
    """
    if not pa.types.is_decimal(type_):
        return type_
    return pa.decimal256(76, type_.scale) if type_.scale <= MAX_ARROW_SCALE else None


def typed_records(records: pa.RecordBatch, root: FieldNode) -> tuple[pa.RecordBatch, Bools]:
    """The records with declared times and bytes parsed from text, and a mask of the certain ones."""
    doubts = UncertainRows(np.zeros(records.num_rows, bool))
    columns = [
        doubts.value(column, root.children[name]) if name in root.children else doubts.check_finite(column)
        for name, column in zip(records.schema.names, records.columns, strict=True)
    ]
    typed = pa.RecordBatch.from_arrays(columns, names=records.schema.names) if columns else records
    return typed, ~doubts.rows


@dataclass(frozen=True, slots=True)
class UncertainRows:
    """Converts columns to their types, and marks the rows with a value that cannot be converted.

    `owners` is the row of each value in a list; None if the values are the rows.
    """

    rows: Bools
    owners: npt.NDArray[np.int64] | None = field(default=None)

    def value(self, values: pa.Array, node: FieldNode) -> pa.Array:
        """The values of a node, converted with all their children."""
        word = node.declared.type if node.declared else ""
        if pa.types.is_null(values.type):
            return values
        if pa.types.is_decimal(values.type):
            return self._decimal(values, word)
        if not _is_of_kind(values.type, node, word):
            return self._no_value(values)
        if node.children and not node.mapped:
            return self._list(values, node) if STAR in node.children else self._struct(values, node)
        if word in _TYPES_AS_TEXT:
            return self._text(values, word)
        return self.check_finite(values)

    def check_finite(self, values: pa.Array) -> pa.Array:
        """The values unchanged. Rows with a number that is not finite, at any depth, are marked."""
        if pa.types.is_floating(values.type):
            self._mark(_false_mask(pc.is_finite(values)))
        elif pa.types.is_struct(values.type):
            for index in range(values.type.num_fields):
                self.check_finite(values.field(index))
        elif is_list_type(values.type):
            inner, lengths = list_elements(values)
            self._expand_to(lengths).check_finite(inner)
        return values

    def _mark(self, bad: Bools) -> None:
        if bad.any():
            self.rows[bad if self.owners is None else self.owners[bad]] = True

    def _no_value(self, values: pa.Array) -> pa.Array:
        self._mark(np.asarray(values.is_valid()))
        return pa.nulls(len(values))

    def _text(self, values: pa.Array, word: str) -> pa.Array:
        found, bad = parse_texts(values, word)
        self._mark(bad)
        return found

    def _decimal(self, values: pa.Array, word: str) -> pa.Array:
        type_ = arrow_type(word)
        if type_.precision < values.type.precision:
            limit = pa.scalar(Decimal(10) ** (type_.precision - type_.scale), values.type)
            bad = np.asarray(pc.fill_null(pc.greater_equal(pc.abs(values), limit), False))
            self._mark(bad)
            values = pc.if_else(pa.array(bad), None, values) if bad.any() else values
        return values.cast(type_)

    def _list(self, values: pa.Array, node: FieldNode) -> pa.Array:
        inner, lengths = list_elements(values)
        below = self._expand_to(lengths).value(inner, node.children[STAR])
        return pa.ListArray.from_arrays(list_offsets(lengths, pa.int32()), below, mask=values.is_null())

    def _expand_to(self, lengths: pa.Array) -> UncertainRows:
        """The same rows, for the elements of lists."""
        rows = np.arange(len(lengths)) if self.owners is None else self.owners
        return replace(self, owners=np.repeat(rows, np.asarray(lengths)))

    def _struct(self, values: pa.Array, node: FieldNode) -> pa.Array:
        names = [str(name) for name, _ in nested_fields(values.type)]
        children = [
            self.value(values.field(index), node.children[name])
            if name in node.children
            else self.check_finite(values.field(index))
            for index, name in enumerate(names)
        ]
        return pa.StructArray.from_arrays(children, names=names, mask=values.is_null())


def _is_of_kind(type_: pa.DataType, node: FieldNode, word: str) -> bool:
    """Whether Arrow's type is of the kind that the policy declares. Arrow turns a map into a struct."""
    if node.mapped:
        return bool(pa.types.is_struct(type_))
    if word in _TYPES_AS_TEXT:
        return bool(pa.types.is_string(type_))
    if node.children and not (is_list_type(type_) if STAR in node.children else pa.types.is_struct(type_)):
        return False
    return not word or accepts_type(word, type_)


def _false_mask(flags: pa.BooleanArray) -> Bools:
    return np.zeros(len(flags), bool) if pc.all(flags).as_py() is not False else ~np.asarray(pc.fill_null(flags, True))


def read_partly_in_python(
    lines: ScannedLines, rows: Positions, bound: BoundRequest, root: FieldNode
) -> Iterator[tuple[Chunk, Positions]]:
    """Chunks of the certain lines, each with their indices. Raises TooManyRefused."""
    hand = python_columns(root)
    types = pa.schema([field for field in explicit_schema(root) if field.name not in hand])
    for table, held in parse_tables(lines, rows, ParserOptions(types, "ignore")):
        records, sure = typed_records(table_as_batch(table), root)
        taken = PythonColumns(bound, root, hand)
        for row in np.flatnonzero(sure).tolist():
            sure[row] = taken.add_line(lines.line(int(held[row])))
        held = held[sure]
        places = lines.file_positions(held)
        yield (
            bound.chunk(
                taken.append_to(certain_records(records, sure)), places, carry=taken.undeclared.counts(), unit="byte"
            ),
            held,
        )


def lines_needing_python(lines: ScannedLines, root: FieldNode) -> Positions:
    """The lines that may contain a value to parse in Python: they contain its key, or an escape, which may be part of a key."""
    names = (str(name) for name, node in root.children.items() if needs_python(node))
    found = [lines.lines_with(json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")) for name in names]
    return reduce(np.union1d, found, lines.lines_with(b"\\"))


def python_columns(root: FieldNode) -> frozenset[str]:
    """The columns with parts that are hidden from Arrow's parser."""
    return frozenset(str(name) for name, node in root.children.items() if _needs_python_column(node))


def needs_python(node: FieldNode) -> bool:
    """Whether this node or one below it is a map whose items or size are read, or a decimal that Arrow cannot read."""
    here = node.mapped and (bool(node.children) or node.is_read)
    return here or _exceeds_arrow_scale(node) or any(map(needs_python, node.children.values()))


def _exceeds_arrow_scale(node: FieldNode) -> bool:
    digits = decimal_digits(node.declared.type) if node.declared else None
    return digits is not None and digits[1] > MAX_ARROW_SCALE


def _needs_python_column(node: FieldNode) -> bool:
    if node.mapped or not node.children:
        return (
            node.mapped
            or _exceeds_arrow_scale(node)
            or node.declared is None
            or node.declared.type in ("list", "struct")
        )
    return any(map(_needs_python_column, node.children.values()))


def undeclared_test(node: FieldNode) -> Callable[[Any], bool]:
    """A test of whether a valid value of this node with parts may contain an undeclared value, null or not."""
    below = node.children.get(STAR)
    if below is not None:
        return _any_undeclared(undeclared_test(below)) if below.children else lambda value: False
    names = frozenset(map(str, node.children))
    parts = [(str(name), undeclared_test(child)) for name, child in node.children.items() if child.children]
    if not parts:
        return lambda value: not names.issuperset(value)
    return lambda value: (
        not names.issuperset(value)
        or any((inner := value.get(name)) is not None and more(inner) for name, more in parts)
    )


def _any_undeclared(more: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda items: any(item is not None and more(item) for item in items)


class PythonColumns:
    """The columns that are parsed in Python from lines that Arrow's parser also reads."""

    def __init__(self, bound: BoundRequest, root: FieldNode, hand: frozenset[str]) -> None:
        types = {field.name: field.type for field in bound.schema if field.name in hand}
        self._columns = {name: (type_, list[object]()) for name, type_ in types.items()}
        self._reads = [(name, value_reader(root.children[name], types.get(name))) for name in sorted(hand)]
        self._never = [pointer.parts for pointer in bound.request.never]
        self._any_depth = frozenset(bound.request.any_depth)
        self._required = [field.pointer.parts for field in bound.required]
        self._ids = bound.request.ids
        children = {name: node for name, node in root.children.items() if name not in hand}
        self._beyond = undeclared_test(FieldNode(children={**dict.fromkeys(root.children, FieldNode()), **children}))
        self.undeclared = UndeclaredCounter(bound.request, root)

    def add_line(self, line: bytes) -> bool:
        """Add a line. Returns False, and adds nothing, if the line is uncertain."""
        record, held, seen = None, dict[str, object](), list[None]()
        with suppress(MalformedLine, ValueMismatch):
            record = parse_line(line)
            held = {
                name: None if (value := record.get(name)) is None else read(value, seen) for name, read in self._reads
            }
        if record is None or len(held) < len(self._reads) or self._is_faulty(record):
            return False
        for name, (_, values) in self._columns.items():
            values.append(held[name])
        if seen or self._beyond(record):
            self.undeclared.add_record(record)
        return True

    def _is_faulty(self, record: Mapping[str, Any]) -> bool:
        """Whether a forbidden path is present or a required one is missing."""
        if any(
            parts[0] in record and any(item is not None for item in values_through_lists(record, parts))
            for parts in self._never
        ):
            return True
        if self._any_depth and has_key_at_any_depth(record, self._any_depth):
            return True
        return any(value_lacks_path(record, parts) for parts in self._required) or has_blank_id(record, self._ids)

    def append_to(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """The records with the columns that were parsed in Python."""
        columns = {name: pa.array(values, type_) for name, (type_, values) in self._columns.items()}
        return pa.RecordBatch.from_arrays(
            [*records.columns, *columns.values()], names=[*records.schema.names, *columns]
        )
