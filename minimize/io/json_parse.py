"""Lines of NDJSON as a table, by Arrow's parser: as many lines as it takes, and the others left out.

Arrow stops at the first line that it refuses and says which row that was. The search goes on behind that row, so that each
line is looked at once more, and what then remains is parsed. Where Arrow does not say a row (a number that does not fit), the
lines that look like it are left out, and else the lines are halved. What is left out is in doubt, not lost: leaving out too
many is slow, never wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from minimize.io.json_scan import Places, Scanned, pieces
from minimize.io.shape import steps

FEW = 1 << 13
"""Bytes below which lines without a row to blame are all left out."""
LOOK = 1 << 20
"""About how many bytes are parsed at once."""
TRIES = 8
"""How often what remains of a piece is tried."""
SHARE = 4
"""One line in so many may be refused: beyond that the strict reader is as good."""
MIXED = 20
"""One line in so many may have a key whose values are of several kinds."""
NO_DECIMAL = r"[:,\[\s]-?[0-9]+(?:\.[0-9]+)?[eE]|[0-9]{39}"
"""Numbers that Arrow must not read as decimals: of exponents it takes some for nought and dies of others, long ones overflow."""
_ROW = re.compile(r" in row ([0-9]+)$")
_CHANGED = re.compile(r"Column\(.*?/?([^/]*)\) changed from")


class TooMany(Exception):
    """So much was refused that another way is better; says nothing of what it was."""


@dataclass(frozen=True, slots=True)
class Told:
    """What Arrow's parser is told: the declared types, and what to do about anything else."""

    types: pa.Schema
    other: Literal["infer", "ignore"] = "infer"
    few: int = FEW
    look: int = LOOK
    names: frozenset[str] = field(init=False)
    """The keys that have a type, at whatever place."""
    numbers: str | None = field(init=False)
    """A whole number's key before a number that is none, or is a long one."""
    decimals: pa.Schema = field(init=False)
    """The decimals alone, as the numbers that they must be: Arrow reads a decimal from a string, too."""

    def __post_init__(self) -> None:
        """Prepares the looks for numbers that do not fit, and for decimals that are none."""
        leaves = list(_leaves(pa.struct(list(self.types))))
        object.__setattr__(self, "names", frozenset(name for name, _ in leaves))
        object.__setattr__(self, "numbers", _misfits(leaves))
        object.__setattr__(self, "decimals", pa.schema(_decimals(self.types)))

    def read(self, data: memoryview) -> pa.Table:
        """The lines as a table. Raises ArrowException. What Arrow infers for `[null, "x"]` is not valid, hence the check."""
        if self.decimals.names:
            _read(data, self.decimals, "ignore")
        table = _read(data, self.types, self.other)
        table.validate()
        return table


def _read(data: memoryview, types: pa.Schema, other: str) -> pa.Table:
    reading = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
    parsing = pj.ParseOptions(explicit_schema=types, unexpected_field_behavior=other)
    return pj.read_json(pa.BufferReader(data), read_options=reading, parse_options=parsing)


def tables(lines: Scanned, rows: Places, told: Told) -> Iterator[tuple[pa.Table, Places]]:
    """These lines as tables, each with the lines that are its rows. Raises TooMany.

    They are parsed a piece at a time, so that a line that is refused costs its piece a second look; pieces of the same columns
    are one table.
    """
    if told.decimals.names:
        rows = np.setdiff1d(rows, lines.matching(NO_DECIMAL, rows), assume_unique=True)
    held: pa.Table | None = None
    taken = rows[:0]
    for table, some in (one for piece in pieces(lines, rows, told.look) for one in _tables(lines, piece, told)):
        both = table if held is None else _both(held, table)
        if both is None:
            yield held, taken
        held, taken = (table, some) if both is None else (both, np.append(taken, some))
    if held is not None:
        yield held, taken


def _both(one: pa.Table, other: pa.Table) -> pa.Table | None:
    """Two tables as one; None where what nobody declared is of kinds that have nothing in common."""
    with suppress(pa.ArrowException):
        return pa.concat_tables([one, other], promote_options="none" if one.schema == other.schema else "permissive")
    return None


def _tables(lines: Scanned, rows: Places, told: Told) -> Iterator[tuple[pa.Table, Places]]:
    table, stop = _attempt(lines.text(rows), len(rows), told)
    tries, most = TRIES, len(rows) // SHARE + 1
    bad = _odd_numbers(lines, rows, told) if table is None else rows[:0]
    while table is None and (stop is not None or len(bad)):
        if stop is not None:
            bad = np.union1d(
                bad, _refused(lines, np.setdiff1d(rows[stop.row :], bad, assume_unique=True), stop, told, most)
            )
        tries, most = tries - 1, most - len(bad)
        if not tries or most < 0:
            raise TooMany
        rows, bad = np.setdiff1d(rows, bad, assume_unique=True), rows[:0]
        table, stop = _attempt(lines.text(rows), len(rows), told) if len(rows) else (None, None)
    if table is not None:
        yield table, rows
    else:
        yield from _halves(lines, rows, told)


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where Arrow stopped: the row, and the key whose values are of several kinds, if that was it."""

    row: int
    key: str | None


def _attempt(data: memoryview, rows: int, told: Told) -> tuple[pa.Table | None, _Stop | None]:
    """A table with so many rows, one for each line; or where Arrow stopped, if it says so."""
    try:
        table = told.read(data)
    except pa.ArrowException as error:
        return None, _stop(str(error), rows)
    return (table, None) if table.num_rows == rows else (None, None)


def _stop(message: str, rows: int) -> _Stop | None:
    row, changed = _ROW.search(message), _CHANGED.search(message)
    if row is None or int(row[1]) >= rows:
        return None
    return _Stop(int(row[1]), changed[1] if changed else None)


def _refused(lines: Scanned, rows: Places, stop: _Stop, told: Told, most: int) -> Places:
    """The lines that Arrow refuses, as far as it says which, and those that have a key whose values are of several kinds.

    Takes the lines from the one on at which it stopped.
    """
    if not len(rows):
        return rows
    bad, at, start = rows[:0], 0, int(lines.starts[rows[0]])
    text = bytearray(lines.text(rows))
    after: _Stop | None = stop
    while after is not None and len(bad) <= most and at < len(rows):
        bad, rows = np.append(bad, rows[at]), rows[at + 1 :]
        if after.key is not None and after.key not in told.names:
            mixed = np.intersect1d(_with(lines, after.key), rows, assume_unique=True)
            bad, rows = np.append(bad, mixed), np.setdiff1d(rows, mixed, assume_unique=True)
            lines.blanked(text, mixed, start)
        rest = memoryview(text)[int(lines.starts[rows[0]]) - start :] if len(rows) else memoryview(b"")
        after = _attempt(rest, len(rows), told)[1] if len(rows) else None
        rest.release()
        at = 0 if after is None else after.row
    return np.unique(bad)


def _with(lines: Scanned, key: str) -> Places:
    """The lines that have a key whose values are of several kinds. Raises TooMany where those are many."""
    found = lines.holding(json.dumps(key, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if len(found) > len(lines.starts) // MIXED + 1:
        raise TooMany
    return found


def _odd_numbers(lines: Scanned, rows: Places, told: Told) -> Places:
    """Those of the lines that may hold a number which does not fit: Arrow does not say their rows."""
    return rows[:0] if told.numbers is None else lines.matching(told.numbers, rows)


def _halves(lines: Scanned, rows: Places, told: Told) -> Iterator[tuple[pa.Table, Places]]:
    if len(rows) < 2 or int(lines.ends[rows[-1]] - lines.starts[rows[0]]) <= told.few:
        return
    middle = len(rows) // 2
    for half in (rows[:middle], rows[middle:]):
        yield from _tables(lines, half, told)


def _misfits(leaves: Iterable[tuple[str, pa.DataType]]) -> str | None:
    names = sorted({name for name, type_ in leaves if pa.types.is_integer(type_)})
    if not names:
        return None
    keys = "|".join(re.escape(json.dumps(name, ensure_ascii=False)[1:]) for name in names)
    return rf'"(?:{keys})\s*:\s*-?(?:[0-9]+[.eE]|[0-9]{{19}})'


def _leaves(type_: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    for part, below in steps(type_):
        if isinstance(part, str):
            yield part, below.type
        yield from _leaves(below.type)


def _decimals(fields: Iterable[pa.Field]) -> list[pa.Field]:
    found = ((each.name, _as_numbers(each.type)) for each in fields)
    return [pa.field(name, type_) for name, type_ in found if type_ is not None]


def _as_numbers(type_: pa.DataType) -> pa.DataType | None:
    if pa.types.is_decimal(type_):
        return pa.float64()
    if pa.types.is_struct(type_):
        below = _decimals(type_)
        return pa.struct(below) if below else None
    inner = _as_numbers(type_.value_type) if pa.types.is_list(type_) else None
    return None if inner is None else pa.list_(inner)
