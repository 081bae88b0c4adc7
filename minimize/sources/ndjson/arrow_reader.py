"""Records from the tables of Arrow's parser, and a mask of the certain lines.

Arrow rejects duplicate keys, other types, numbers that do not fit and broken surrogates. Faults that it does not detect were
excluded by the scan. Times, bytes and decimals are parsed here. The strict reader decides about uncertain lines.

Arrow turns maps into structs. If items of a map are read, the strict reader reads the lines that contain its key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.arrow.pointers import STAR
from minimize.arrow.types import accepts_type, arrow_type, decimal_digits, parse_texts
from minimize.records import Chunk
from minimize.sources.binding import BoundRequest, undeclared_paths
from minimize.sources.ndjson.arrow_parser import LinesParser
from minimize.sources.ndjson.line_scan import Positions, ScannedLines, deep_lines
from minimize.sources.projection import (
    FieldNode,
    is_list_type,
    list_elements,
    list_offsets,
    nested_fields,
    table_as_batch,
)
from minimize.sources.record_checks import forbidden_places, records_with_path

MAX_ARROW_SCALE = 38
"""Maximum digits after the point of a decimal that Arrow's parser reads."""
_TYPES_AS_TEXT = ("timestamp", "date", "binary")


def read_by_arrow(
    lines: ScannedLines, rows: Positions, bound: BoundRequest, root: FieldNode, parser: LinesParser
) -> Iterator[tuple[Chunk, Positions]]:
    """Chunks of the certain ones of these lines, each with their indices (records and rejects). Odd lines must not be given."""
    rows = np.setdiff1d(rows, deep_lines(lines), assume_unique=True)
    if has_unreadable_parts(root):
        rows = np.setdiff1d(rows, lines_with_unreadable_parts(lines, root), assume_unique=True)
    for table, held in parser.tables(lines, rows):
        records, sure = typed_records(table_as_batch(table), root)
        extra = tuple(undeclared_paths(records.schema, bound.request))
        for place in forbidden_places(records.schema, bound.request):
            sure &= ~records_with_path(records, place.pointer)
        if not sure.all():
            records, held = records.filter(pa.array(sure)), held[sure]
        yield replace(bound, undeclared=extra).chunk(records, lines.file_positions(held), unit="byte"), held


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


def lines_with_unreadable_parts(lines: ScannedLines, root: FieldNode) -> Positions:
    """The lines that may contain a value that Arrow cannot read: they contain its key, or an escape, which may be part of it."""
    names = (str(name) for name, node in root.children.items() if has_unreadable_parts(node))
    found = [lines.lines_with(json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")) for name in names]
    return reduce(np.union1d, found, lines.lines_with(b"\\"))


def has_unreadable_parts(node: FieldNode) -> bool:
    """Whether this node or one below it is a map whose items or size are read, or a decimal that Arrow cannot read."""
    here = node.mapped and (bool(node.children) or node.is_read)
    return here or _exceeds_arrow_scale(node) or any(map(has_unreadable_parts, node.children.values()))


def _exceeds_arrow_scale(node: FieldNode) -> bool:
    digits = decimal_digits(node.declared.type) if node.declared else None
    return digits is not None and digits[1] > MAX_ARROW_SCALE
