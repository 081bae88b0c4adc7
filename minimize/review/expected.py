"""Rows that were expected, beside those that leave."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.errors import ConfigurationError
from minimize.receipt import time_text

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference: its code, the row (from 1) and the column, and what was expected and found, shown on demand alone."""

    code: str
    message: str
    row: int | None = None
    column: str | None = None
    expected: Any = field(default=None, repr=False)
    found: Any = field(default=None, repr=False)


class Cell(str):
    """A value as CSV has it: a text that may stand for anything; an empty one is null."""

    __slots__ = ()


def expected_rows(path: Path) -> list[Row]:
    """The rows of a file of NDJSON, CSV or Parquet. Raises ConfigurationError where it cannot be read."""
    rows: list[Row] | None = None
    try:
        rows = _read(path)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        problem = type(error).__name__
    if rows is None:
        raise ConfigurationError(f"{path} cannot be read ({problem})", hint="NDJSON, CSV with a header, or Parquet")
    return rows


def _read(path: Path) -> list[Row]:
    if path.suffix == ".parquet":
        return plain_rows(pq.read_table(path))
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [{key: Cell(value) for key, value in row.items()} for row in csv.DictReader(file, strict=True)]
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no object")
    return rows


def plain_rows(table: pa.Table) -> list[Row]:
    """The rows of a table, with values as JSON has them."""
    return [{key: _plain(value) for key, value in row.items()} for row in table.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def differences(found: Sequence[Row], expected: Sequence[Row], keyed: Collection[str]) -> Iterator[Difference]:
    """What differs, row by row in their order, column by column.

    A value that is not expected is null. Takes the columns whose values depend on keys, too: there any text stands for a value,
    and the same text for the same value.
    """
    if len(found) != len(expected):
        yield Difference("F004", f"{len(found)} rows leave, {len(expected)} were expected")
    names = {name for row in expected for name in row}
    columns = dict.fromkeys(name for row in (*found, *expected) for name in row)
    for name in columns:
        if any(row.get(name) is not None for row in found) and name not in names:
            yield Difference("F005", "it leaves, and was not expected", column=name)
        elif names and found and name not in found[0]:
            yield Difference("F005", "it was expected, and the output has no such column", column=name)
        else:
            yield from _of_column(name, found, expected, name in keyed)


def _of_column(name: str, found: Sequence[Row], expected: Sequence[Row], keyed: bool) -> Iterator[Difference]:
    forth: dict[str, str] = {}
    back: dict[str, str] = {}
    for number, (row, wanted) in enumerate(zip(found, expected, strict=False), 1):
        one, other = row.get(name), wanted.get(name)
        if not (_stands(one, other, forth, back) if keyed else same(one, other)):
            yield Difference("F006", "another value leaves", number, name, other, one)


def _stands(found: Any, expected: Any, forth: dict[str, str], back: dict[str, str]) -> bool:
    """Whether a text stands for a value as it did before, and no other does."""
    if found is None or expected is None or expected == "":
        return found is None and (expected is None or expected == "")
    one, other = json.dumps(found, sort_keys=True), json.dumps(expected, sort_keys=True)
    return forth.setdefault(other, one) == one and back.setdefault(one, other) == other


def same(found: Any, expected: Any) -> bool:
    """Whether a value is the one that was expected, in the spelling of whichever file says it.

    >>> same("2026-11-24T10:00:00Z", "2026-11-24T11:00:00+01:00"), same(80.0, Cell("80")), same(True, 1), same(None, Cell(""))
    (True, True, False, True)
    """
    if isinstance(expected, Cell):
        expected = None if expected == "" else expected if isinstance(found, str) else _loaded(expected)
    if isinstance(found, dict) and isinstance(expected, dict):
        return all(same(found.get(key), expected.get(key)) for key in {**found, **expected})
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    return found == expected or (isinstance(found, str) and isinstance(expected, str) and _same_time(found, expected))


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return str(text)


def _same_time(one: str, other: str) -> bool:
    try:
        times = [datetime.fromisoformat(text) for text in (one, other)]
    except ValueError:
        return False
    return all(time.tzinfo is not None for time in times) and times[0] == times[1]
