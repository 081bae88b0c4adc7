"""Records from the tables of Arrow's parser, and a mask of the certain lines.

Arrow rejects duplicate keys, other types, numbers that do not fit and broken surrogates. Faults that it does not detect were
excluded by the scan. Times, bytes and decimals are parsed here. The strict reader decides about uncertain lines.

Arrow turns maps into structs. If items of a map are read, the strict reader reads the lines that contain its key.

Lines of NDJSON as tables, by Arrow's parser, without the lines that it rejects.

Arrow stops at the first line that it rejects, reports its row and returns nothing. Parsing continues after that row, and at
the end the lines before the last rejected one are parsed together. A piece without rejects is parsed once. If Arrow reports
a number that does not fit in place of the row, the lines with this number are excluded; otherwise the lines are halved. An
excluded line is uncertain, not lost: excluding too many lines is slow, never wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, reduce
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from minimize.arrow.dictionaries import Bools
from minimize.arrow.pointers import STAR
from minimize.arrow.types import accepts_type, arrow_type, decimal_digits, parse_texts
from minimize.checkpoints import checkpoint
from minimize.records import Chunk
from minimize.sources.ndjson.line_scan import Positions, ScannedLines, deep_lines, split_pieces
from minimize.sources.projection import (
    FieldNode,
    is_list_type,
    list_elements,
    list_offsets,
    nested_fields,
    table_as_batch,
)
from minimize.sources.record_checks import forbidden_places, records_with_path
from minimize.sources.schema_check import BoundRequest, undeclared_paths

PARSE_BYTES = 1 << 19
"""Approximate bytes that are parsed at once."""
MIN_SPLIT_LINES = 4
"""Number of lines up to which all lines are excluded if no row is reported."""
MAX_CELLS = 1 << 22
"""Maximum number of values, including nulls, of a table. Each key that occurs in any line becomes a column."""
MAX_KEYS = 1 << 15
"""Maximum number of keys in lines that are parsed together."""
MAX_COLUMNS = 1000
"""Maximum number of undeclared columns. With more, the rest of a block is left to the strict reader, which is faster."""
MAX_EFFORT = 4
"""Maximum number of times that the bytes of a piece are parsed. Beyond that, the strict reader is as fast."""
ATTEMPT_BYTES = 1 << 12
"""Number of bytes that take as long to parse as an attempt takes in addition to its bytes."""
NO_DECIMAL = r"[:,\[\s]-?[0-9]+(?:\.[0-9]+)?[eE]|[0-9]{39}"
"""Numbers that Arrow must not read as decimals: some exponents are read as zero, others end the process; long ones overflow."""
_COLON = b":"[0]
_REFUSED_ROW = re.compile(r" in row ([0-9]+)$")
_REFUSED_NUMBER = re.compile(r"couldn't parse:([-+.0-9eE]+)$")


class NotParsed(Exception):
    """A piece of lines for which another method is faster. Contains no values."""


@dataclass(frozen=True)
class ParserOptions:
    """The types of the declared fields, and what becomes of other fields."""

    types: pa.Schema
    other: Literal["infer", "ignore", "error"] = "infer"
    block_bytes: int = PARSE_BYTES

    @cached_property
    def columns(self) -> int:
        """The number of columns, at any depth."""
        return _count_columns(self.types)

    @cached_property
    def decimals(self) -> pa.Schema:
        """The decimals alone, typed as numbers, because Arrow also reads a decimal from a string."""
        return pa.schema(_decimal_fields(self.types))

    def read(self, data: memoryview) -> pa.Table:
        """The lines as a table.

        Raises ArrowException. The table is validated, because Arrow's result for `[null, "x"]` is invalid.
        """
        if self.decimals.names:
            _read_json(data, self.decimals, "ignore")
        table = _read_json(data, self.types, self.other)
        table.validate()
        return table


def _read_json(data: memoryview, types: pa.Schema, unexpected_fields: str) -> pa.Table:
    reading = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
    parsing = pj.ParseOptions(explicit_schema=types, unexpected_field_behavior=unexpected_fields)
    return pj.read_json(pa.BufferReader(data), read_options=reading, parse_options=parsing)


class LinesParser:
    """Parses the lines of a source, and remembers the undeclared columns of former lines.

    The columns are a guess: lines that do not match are parsed again, a few at a time, so that no single key creates a long
    column.
    """

    def __init__(self, options: ParserOptions) -> None:
        self._options = options
        self._known = replace(options, other="error")

    def tables(self, lines: ScannedLines, rows: Positions) -> Iterator[tuple[pa.Table, Positions]]:
        """These lines as tables, in order, each with the indices of its lines; without the lines that are excluded.

        The lines are parsed in pieces, so that a rejected line requires only its piece to be parsed again. Consecutive pieces
        become one table if their columns are compatible and not too many.
        """
        if self._options.decimals.names:
            rows = np.setdiff1d(rows, lines.lines_matching(NO_DECIMAL, rows), assume_unique=True)
        waiting_tables: list[tuple[pa.Table, Positions]] = []
        schema: pa.Schema | None = None
        columns = size = 0
        for table, some in self._narrow_pieces(lines, rows):
            joined = table.schema if schema is None else _unify_schemas(schema, table.schema)
            if joined is not schema and joined is not None:
                columns = _count_columns(joined)
            if waiting_tables and (joined is None or columns * (size + len(some)) > MAX_CELLS):
                yield from _join_tables(waiting_tables)
                waiting_tables, joined, columns, size = [], table.schema, _count_columns(table.schema), 0
            waiting_tables.append((table, some))
            schema, size = joined, size + len(some)
        yield from _join_tables(waiting_tables)

    def _narrow_pieces(self, lines: ScannedLines, rows: Positions) -> Iterator[tuple[pa.Table, Positions]]:
        """The pieces up to the one with too many columns."""
        with suppress(NotParsed):
            yield from self._pieces(lines, rows)

    def _pieces(self, lines: ScannedLines, rows: Positions) -> Iterator[tuple[pa.Table, Positions]]:
        for piece in split_pieces(lines, rows, self._options.block_bytes):
            tables = _parse_most(lines, piece, self._known)
            if tables is not None:
                yield from tables
            else:
                checkpoint("columns.inferred")
                for some in _split_by_keys(lines, piece):
                    yield from self._inferred(lines, some)

    def _inferred(self, lines: ScannedLines, rows: Positions) -> Iterator[tuple[pa.Table, Positions]]:
        """Lines as tables with all their columns, which are remembered. Known columns that they contradict are forgotten."""
        tables = _parse_most(lines, rows, replace(self._known, other="infer"))
        if tables is None:
            self._known = replace(self._options, other="error")
        for table, table_rows in tables or ():
            self._learn(table.schema)
            yield table, table_rows

    def _learn(self, schema: pa.Schema) -> None:
        """Remember the columns of a table. Raises NotParsed if they are too many, and forgets them."""
        options = replace(self._options, other="error", types=pa.schema(_add_columns(self._known.types, schema)))
        if options.columns > self._options.columns + MAX_COLUMNS:
            self._known = replace(self._options, other="error")
            raise NotParsed
        self._known = options


def _add_columns(former: Iterable[pa.Field], added: Iterable[pa.Field]) -> list[pa.Field]:
    """The former columns, at any depth, and those that were found."""
    types = {each.name: each.type for each in former}
    types |= {each.name: _merge_types(types.get(each.name), each.type) for each in added}
    return [pa.field(name, type_) for name, type_ in types.items() if type_ is not None]


def _merge_types(former: pa.DataType | None, added: pa.DataType) -> pa.DataType | None:
    """A type with the columns of another; None if both contain only nulls.

    Numbers that are not declared are doubles, and times are text, so that few values contradict the type.
    """
    if pa.types.is_struct(added) and (former is None or pa.types.is_struct(former)):
        return pa.struct(_add_columns(former or (), added))
    if pa.types.is_list(added) and (former is None or pa.types.is_list(former)):
        inner = _merge_types(None if former is None else former.value_type, added.value_type)
        return None if inner is None else pa.list_(inner)
    if former is not None or pa.types.is_null(added):
        return former
    return pa.float64() if pa.types.is_integer(added) else pa.string() if pa.types.is_timestamp(added) else added


def _unify_schemas(first_schema: pa.Schema, second_schema: pa.Schema) -> pa.Schema | None:
    """The columns of both schemas; None if a column has incompatible types."""
    if first_schema.equals(second_schema):
        return first_schema
    with suppress(pa.ArrowException):
        return pa.unify_schemas([first_schema, second_schema], promote_options="permissive")
    return None


def _join_tables(tables: list[tuple[pa.Table, Positions]]) -> list[tuple[pa.Table, Positions]]:
    """Several tables as one, if no value is too large for the common type."""
    with suppress(pa.ArrowException):
        if len(tables) > 1:
            joined = pa.concat_tables([joined for joined, _ in tables], promote_options="permissive")
            return [(joined, np.concatenate([some for _, some in tables]))]
    return tables


def _split_by_keys(lines: ScannedLines, rows: Positions) -> Iterator[Positions]:
    """The lines in pieces for which each key may become a column; without lines that have too many keys alone."""
    keys = np.count_nonzero(lines.marks[lines.starts[rows[0]] : lines.ends[rows[-1]]] == _COLON)
    if keys <= min(MAX_KEYS, MAX_CELLS // len(rows)):
        yield rows
    elif len(rows) > 1:
        for half in np.array_split(rows, 2):
            yield from _split_by_keys(lines, half)


def _parse_most(
    lines: ScannedLines, rows: Positions, options: ParserOptions
) -> list[tuple[pa.Table, Positions]] | None:
    """The lines as tables, in order; None if fewer than half of them can be parsed with these options."""
    with suppress(NotParsed):
        tables = PieceParser(lines, options, rows).tables(rows)
        if 2 * sum(len(table_rows) for _, table_rows in tables) >= len(rows):
            return tables
    return None


class PieceParser:
    """Parses lines without those that Arrow rejects, with limited effort."""

    def __init__(self, lines: ScannedLines, options: ParserOptions, rows: Positions) -> None:
        self._lines, self._options = lines, options
        self._left = MAX_EFFORT * (ATTEMPT_BYTES + self._size(rows))

    def _size(self, rows: Positions) -> int:
        """The bytes from the first to the last of these lines."""
        return int(self._lines.ends[rows[-1]] - self._lines.starts[rows[0]]) if len(rows) else 0

    def tables(self, rows: Positions) -> list[tuple[pa.Table, Positions]]:
        """The lines as tables, in order. Raises NotParsed, also if a field is unknown and not to be inferred."""
        passed, remaining_rows = list[Positions](), rows
        table, stop, number = self._attempt(remaining_rows)
        while stop is not None:
            passed.append(remaining_rows[:stop])
            remaining_rows = remaining_rows[stop + 1 :]
            table, stop, number = self._attempt(remaining_rows)
        last_tables = [(table, remaining_rows)] if table is not None else self._unreported(remaining_rows, number)
        return [*self.tables(np.concatenate(passed)), *last_tables] if passed else last_tables

    def _attempt(self, rows: Positions) -> tuple[pa.Table | None, int | None, bytes]:
        """A table with one row per line; otherwise the index of the rejected line, or the rejected number, if it is known."""
        if not len(rows):
            return None, None, b""
        try:
            table = self._options.read(self._lines.text(rows))
        except pa.ArrowException as error:
            message = str(error)
        else:
            return table if table.num_rows == len(rows) else None, None, b""
        row, number = _REFUSED_ROW.search(message), _REFUSED_NUMBER.search(message)
        stop = int(row[1]) if row is not None and int(row[1]) < len(rows) else None
        self._left -= ATTEMPT_BYTES + self._size(rows[:stop])
        if self._left < 0 or message.endswith("unexpected field"):
            raise NotParsed
        return None, stop, b"" if number is None else number[1].encode()

    def _unreported(self, rows: Positions, number: bytes) -> list[tuple[pa.Table, Positions]]:
        """The lines as tables, if one is rejected whose row is not known."""
        for text in (b":" + number, number) if number else ():
            bad = self._lines.lines_with(text, rows)
            good = np.setdiff1d(rows, bad, assume_unique=True)
            if len(good) < len(rows):
                return self.tables(good)
        halves = np.array_split(rows, 2) if len(rows) > MIN_SPLIT_LINES else ()
        return [table for half in halves for table in self.tables(half)]


def _count_columns(schema: Iterable[pa.Field]) -> int:
    """The number of columns, at any depth."""
    return sum(1 + _count_columns(below for _, below in nested_fields(each.type)) for each in schema)


def _decimal_fields(fields: Iterable[pa.Field]) -> list[pa.Field]:
    types_by_name = ((each.name, _decimals_as_numbers(each.type)) for each in fields)
    return [pa.field(name, type_) for name, type_ in types_by_name if type_ is not None]


def _decimals_as_numbers(type_: pa.DataType) -> pa.DataType | None:
    if pa.types.is_decimal(type_):
        return pa.float64()
    if pa.types.is_struct(type_):
        below = _decimal_fields(type_)
        return pa.struct(below) if below else None
    inner = _decimals_as_numbers(type_.value_type) if pa.types.is_list(type_) else None
    return None if inner is None else pa.list_(inner)


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
    for table, table_rows in parser.tables(lines, rows):
        records, sure = typed_records(table_as_batch(table), root)
        extra = tuple(undeclared_paths(records.schema, bound.request))
        for place in forbidden_places(records.schema, bound.request):
            sure &= ~records_with_path(records, place.pointer)
        if not sure.all():
            records, table_rows = records.filter(pa.array(sure)), table_rows[sure]
        yield replace(bound, undeclared=extra).chunk(records, lines.file_positions(table_rows), unit="byte"), table_rows


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
        parsed, bad = parse_texts(values, word)
        self._mark(bad)
        return parsed

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
    lines_by_name = [
        lines.lines_with(json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")) for name in names
    ]
    return reduce(np.union1d, lines_by_name, lines.lines_with(b"\\"))


def has_unreadable_parts(node: FieldNode) -> bool:
    """Whether this node or one below it is a map whose items or size are read, or a decimal that Arrow cannot read."""
    is_read_map = node.mapped and (bool(node.children) or node.is_read)
    return is_read_map or _exceeds_arrow_scale(node) or any(map(has_unreadable_parts, node.children.values()))


def _exceeds_arrow_scale(node: FieldNode) -> bool:
    digits = decimal_digits(node.declared.type) if node.declared else None
    return digits is not None and digits[1] > MAX_ARROW_SCALE
