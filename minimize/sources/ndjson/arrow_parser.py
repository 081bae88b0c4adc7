"""Lines of NDJSON as tables, by Arrow's parser, without the lines that it rejects.

Arrow stops at the first line that it rejects and reports its row. Parsing continues after that row, so that each line is
parsed at most once more. Then the remaining lines are parsed together. If Arrow reports no row (for a number that does not
fit), the lines with such a number are excluded, or the lines are halved. An excluded line is uncertain, not lost:
excluding too many lines is slow, never wrong.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from minimize.sources.ndjson.line_scan import Positions, ScannedLines, split_pieces
from minimize.sources.projection import nested_fields

MIN_SPLIT_BYTES = 1 << 13
"""Bytes below which all lines are excluded if no row is reported."""
PARSE_BYTES = 1 << 20
"""Approximate bytes that are parsed at once."""
MAX_TRIES = 8
"""Maximum number of attempts for the rest of a piece."""
MAX_INFERRED_CELLS = 1 << 20
"""Maximum number of values, including nulls, of inferred columns: each key that occurs in any line becomes a column."""
MAX_INFERRED_KEYS = 1 << 14
"""Maximum number of keys in lines whose columns are inferred together."""
MIN_INFERRED_COLUMNS = 1000
"""Minimum number of columns that are inferred before another method is used."""
REFUSED_SHARE = 4
"""One line in this many may be rejected. Beyond that, the strict reader is as fast."""
MIXED_SHARE = 20
"""One line in this many may have a key with values of several kinds."""
NO_DECIMAL = r"[:,\[\s]-?[0-9]+(?:\.[0-9]+)?[eE]|[0-9]{39}"
"""Numbers that Arrow must not read as decimals: some exponents are read as zero, others end the process; long ones overflow."""
_REFUSED_ROW = re.compile(r" in row ([0-9]+)$")
_CHANGED_TYPE = re.compile(r"Column\(.*?/?([^/]*)\) changed from")


class TooManyRefused(Exception):
    """Too many lines were rejected, so that another method is faster. Contains no values."""


@dataclass(frozen=True)
class ParserOptions:
    """The options of Arrow's parser: the declared types, and the treatment of other fields."""

    types: pa.Schema
    other: Literal["infer", "ignore", "error"] = "infer"
    min_split_bytes: int = MIN_SPLIT_BYTES
    block_bytes: int = PARSE_BYTES

    @cached_property
    def names(self) -> frozenset[str]:
        """The keys that have a type, at any depth."""
        return frozenset(name for name, _ in self._leaves)

    @cached_property
    def numbers(self) -> str | None:
        """A pattern for the key of an integer field whose value is not an integer, or is a long one."""
        return _misfit_pattern(self._leaves)

    @cached_property
    def decimals(self) -> pa.Schema:
        """The decimals alone, typed as numbers, because Arrow also reads a decimal from a string."""
        return pa.schema(_decimal_fields(self.types))

    @cached_property
    def _leaves(self) -> list[tuple[str, pa.DataType]]:
        return list(_typed_keys(pa.struct(list(self.types))))

    def read(self, data: memoryview) -> pa.Table:
        """The lines as a table.

        Raises ArrowException. The table is validated, because Arrow's result for `[null, "x"]` is invalid.
        """
        if self.decimals.names:
            _read_json(data, self.decimals, "ignore")
        table = _read_json(data, self.types, self.other)
        table.validate()
        return table


def _read_json(data: memoryview, types: pa.Schema, other: str) -> pa.Table:
    reading = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
    parsing = pj.ParseOptions(explicit_schema=types, unexpected_field_behavior=other)
    return pj.read_json(pa.BufferReader(data), read_options=reading, parse_options=parsing)


class InferredColumns:
    """The columns of a source's lines so far, declared or not.

    They are a guess: lines that do not match are parsed again, a few at a time, so that no single key creates a long column.
    """

    def __init__(self) -> None:
        self.columns = 0
        self._options: ParserOptions | None = None

    def options_for(self, rows: int) -> ParserOptions | None:
        """Parser options for the known columns of this many lines, and no others; None if columns must be inferred."""
        return self._options if rows * self.columns <= MAX_INFERRED_CELLS else None

    def add(self, table: pa.Table, options: ParserOptions) -> None:
        """Add the columns of a table. If they contradict known columns, all are forgotten."""
        known = self._options
        types = None
        with suppress(pa.ArrowException):
            schemas = [_times_as_text(table.schema), *([] if known is None else [known.types])]
            types = pa.unify_schemas(schemas, promote_options="permissive")
        self._options = None if types is None else replace(options, types=types, other="error")
        self.columns = 0 if types is None else sum(1 for _ in _nested_columns(pa.struct(list(types))))

    def forget(self) -> None:
        """Forget all columns."""
        self.columns, self._options = 0, None


def parse_tables(
    lines: ScannedLines, rows: Positions, options: ParserOptions, inferred: InferredColumns | None = None
) -> Iterator[tuple[pa.Table, Positions]]:
    """These lines as tables, each with the indices of its lines. Raises TooManyRefused, also if most lines have different keys.

    The lines are parsed in pieces, so that a rejected line requires only its piece to be parsed again; pieces with equal columns
    become one table. Takes the known columns, if columns are inferred.
    """
    if options.decimals.names:
        rows = np.setdiff1d(rows, lines.lines_matching(NO_DECIMAL, rows), assume_unique=True)
    known = InferredColumns() if inferred is None else inferred
    held: pa.Table | None = None
    taken = rows[:0]
    for table, some in (
        one
        for piece in split_pieces(lines, rows, options.block_bytes)
        for one in _parse_piece(lines, piece, options, known)
    ):
        wide = (len(taken) + len(some)) * known.columns > MAX_INFERRED_CELLS
        if wide and known.columns > MIN_INFERRED_COLUMNS:
            known.forget()
            raise TooManyRefused
        both = table if held is None else None if wide else _concat_two(held, table)
        if both is None:
            yield held, taken
        held, taken = (table, some) if both is None else (both, np.append(taken, some))
    if held is not None:
        yield held, taken


def _parse_piece(
    lines: ScannedLines, rows: Positions, options: ParserOptions, inferred: InferredColumns
) -> Iterator[tuple[pa.Table, Positions]]:
    """A piece as tables: at once if it has the known columns, otherwise in halves, until the lines with other columns are few."""
    if options.other == "ignore":
        yield from _parse_without_refused(lines, rows, options)
        return
    left = [rows]
    while left:
        some = left.pop()
        if not len(some):
            continue
        known = inferred.options_for(len(some))
        table = None if known is None else _try_parse(lines.text(some), len(some), known)[0]
        if table is not None:
            yield table, some
            continue
        few = _inferable_lines(lines, some)
        if few < len(some):
            at = max(few, len(some) // 2) if few and inferred.columns else few
            left += [some[max(at, 1) :], some[:at]]
        else:
            for table, held in _parse_without_refused(lines, some, options):
                inferred.add(table, options)
                yield table, held


def _inferable_lines(lines: ScannedLines, rows: Positions) -> int:
    """Number of lines for which each key may become a column; 0 if the first has more than `MAX_INFERRED_KEYS` keys."""
    size = len(rows)
    while (keys := _count_keys(lines, rows[:size])) * size > MAX_INFERRED_CELLS or keys > MAX_INFERRED_KEYS:
        if size == 1:
            return int(keys <= MAX_INFERRED_KEYS)
        share = min(math.sqrt(MAX_INFERRED_CELLS / (keys * size)), MAX_INFERRED_KEYS / keys)
        size = max(1, min(size - 1, int(size * share)))
    return size


def _count_keys(lines: ScannedLines, rows: Positions) -> int:
    """An upper bound of the number of keys in these lines: the number of colons."""
    return lines.block.data.count(b":", int(lines.starts[rows[0]]), int(lines.ends[rows[-1]]))


def _times_as_text(schema: pa.Schema) -> pa.Schema:
    """The schema with text in place of the times that Arrow infers, which it does only if all texts are times."""
    return pa.schema([each.with_type(_time_as_text(each.type)) for each in schema])


def _time_as_text(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(type_):
        return pa.string()
    if pa.types.is_struct(type_):
        return pa.struct([each.with_type(_time_as_text(each.type)) for each in type_])
    return pa.list_(_time_as_text(type_.value_type)) if pa.types.is_list(type_) else type_


def _nested_columns(type_: pa.DataType) -> Iterator[None]:
    for _, below in nested_fields(type_):
        yield None
        yield from _nested_columns(below.type)


def _concat_two(one: pa.Table, other: pa.Table) -> pa.Table | None:
    """Two tables as one; None if an undeclared column has incompatible types."""
    with suppress(pa.ArrowException):
        return pa.concat_tables([one, other], promote_options="none" if one.schema == other.schema else "permissive")
    return None


def _parse_without_refused(
    lines: ScannedLines, rows: Positions, options: ParserOptions
) -> Iterator[tuple[pa.Table, Positions]]:
    table, stop = _try_parse(lines.text(rows), len(rows), options)
    tries, most = MAX_TRIES, len(rows) // REFUSED_SHARE + 1
    bad = _odd_numbers(lines, rows, options) if table is None else rows[:0]
    while table is None and (stop is not None or len(bad)):
        if stop is not None:
            bad = np.union1d(
                bad, _refused_lines(lines, np.setdiff1d(rows[stop.row :], bad, assume_unique=True), stop, options, most)
            )
        tries, most = tries - 1, most - len(bad)
        if not tries or most < 0:
            raise TooManyRefused
        rows, bad = np.setdiff1d(rows, bad, assume_unique=True), rows[:0]
        table, stop = _try_parse(lines.text(rows), len(rows), options) if len(rows) else (None, None)
    if table is not None:
        yield table, rows
    else:
        yield from _parse_halves(lines, rows, options)


@dataclass(frozen=True, slots=True)
class _ParserStop:
    """The row at which Arrow stopped, and the key with values of several kinds, if that was the reason."""

    row: int
    key: str | None


def _try_parse(data: memoryview, rows: int, options: ParserOptions) -> tuple[pa.Table | None, _ParserStop | None]:
    """A table with one row for each of `rows` lines; otherwise where Arrow stopped, if it reports that."""
    try:
        table = options.read(data)
    except pa.ArrowException as error:
        return None, _parser_stop(str(error), rows)
    return (table, None) if table.num_rows == rows else (None, None)


def _parser_stop(message: str, rows: int) -> _ParserStop | None:
    row, changed = _REFUSED_ROW.search(message), _CHANGED_TYPE.search(message)
    if row is None or int(row[1]) >= rows:
        return None
    return _ParserStop(int(row[1]), changed[1] if changed else None)


def _refused_lines(
    lines: ScannedLines, rows: Positions, stop: _ParserStop, options: ParserOptions, most: int
) -> Positions:
    """The lines that Arrow rejects, as far as it reports them, and those with a key that has values of several kinds.

    Takes the lines from the one at which Arrow stopped.
    """
    if not len(rows):
        return rows
    bad, at, start = rows[:0], 0, int(lines.starts[rows[0]])
    text = bytearray(lines.text(rows))
    after: _ParserStop | None = stop
    while after is not None and len(bad) <= most and at < len(rows):
        bad, rows = np.append(bad, rows[at]), rows[at + 1 :]
        if after.key is not None and after.key not in options.names:
            mixed = np.intersect1d(_lines_with_mixed_key(lines, after.key), rows, assume_unique=True)
            bad, rows = np.append(bad, mixed), np.setdiff1d(rows, mixed, assume_unique=True)
            lines.blanked(text, mixed, start)
        rest = memoryview(text)[int(lines.starts[rows[0]]) - start :] if len(rows) else memoryview(b"")
        after = _try_parse(rest, len(rows), options)[1] if len(rows) else None
        rest.release()
        at = 0 if after is None else after.row
    return np.unique(bad)


def _lines_with_mixed_key(lines: ScannedLines, key: str) -> Positions:
    """The lines with a key that has values of several kinds. Raises TooManyRefused if they are many."""
    found = lines.lines_with(json.dumps(key, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if len(found) > len(lines.starts) // MIXED_SHARE + 1:
        raise TooManyRefused
    return found


def _odd_numbers(lines: ScannedLines, rows: Positions, options: ParserOptions) -> Positions:
    """The lines that may contain a number that does not fit. Arrow does not report their rows."""
    return rows[:0] if options.numbers is None else lines.lines_matching(options.numbers, rows)


def _parse_halves(lines: ScannedLines, rows: Positions, options: ParserOptions) -> Iterator[tuple[pa.Table, Positions]]:
    if len(rows) < 2 or int(lines.ends[rows[-1]] - lines.starts[rows[0]]) <= options.min_split_bytes:
        return
    middle = len(rows) // 2
    for half in (rows[:middle], rows[middle:]):
        yield from _parse_without_refused(lines, half, options)


def _misfit_pattern(leaves: Iterable[tuple[str, pa.DataType]]) -> str | None:
    names = sorted({name for name, type_ in leaves if pa.types.is_integer(type_)})
    if not names:
        return None
    keys = "|".join(re.escape(json.dumps(name, ensure_ascii=False)[1:]) for name in names)
    return rf'"(?:{keys})\s*:\s*-?(?:[0-9]+[.eE]|[0-9]{{19}})'


def _typed_keys(type_: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    for part, below in nested_fields(type_):
        if isinstance(part, str):
            yield part, below.type
        yield from _typed_keys(below.type)


def _decimal_fields(fields: Iterable[pa.Field]) -> list[pa.Field]:
    found = ((each.name, _decimals_as_numbers(each.type)) for each in fields)
    return [pa.field(name, type_) for name, type_ in found if type_ is not None]


def _decimals_as_numbers(type_: pa.DataType) -> pa.DataType | None:
    if pa.types.is_decimal(type_):
        return pa.float64()
    if pa.types.is_struct(type_):
        below = _decimal_fields(type_)
        return pa.struct(below) if below else None
    inner = _decimals_as_numbers(type_.value_type) if pa.types.is_list(type_) else None
    return None if inner is None else pa.list_(inner)
