"""Random records of a case, some of them damaged, and the files that they are written to."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tests.differential.columns import ARROW, COLUMNS, TEXTS, top_of

Row = dict[str, Any]
RAW: Final = "raw"
"""The only key of a row that stands for a line as it is, each character one byte."""
_BROKEN_LINES: Final = (
    '{"event_id": "e1"',
    "[1, 2]",
    "null",
    "   ",
    "{}",
    '{"a": 1} trailing',
    '{"event_id": "\xff\xfe"}',
    '{"a": 1, "a": 2}',
    '{"event_id": "\\ud800"}',
)
_WRONG: Final[tuple[Any, ...]] = (
    True,
    1.5,
    "text",
    [],
    {},
    2**63,
    -(2**70),
    1e300,
    "1",
    "2025-13-45",
    "2025-03-30T12:00:60Z",
)


class RecordMaker:
    """Makes the records of one case: a few tenants and devices, some columns that are often null, unless `filled`."""

    def __init__(
        self, rng: random.Random, present: Sequence[str], tenants: Sequence[str], filled: Container[str] = ()
    ) -> None:
        self._rng = rng
        self._present = present
        self._tenants = tenants
        self._devices = [f"d{number}" for number in range(rng.choice((3, 8, 25)))]
        self._nulls = {
            key: rng.choice((0.0, 0.02, 0.1, 0.1, 0.5, 1.0)) if key not in filled else 0.02 for key in present
        }
        self._late, self._future, self._old = (rng.choice((0.0, 0.0, 0.1)) for _ in range(3))
        self._damaged = rng.choice((0.0, 0.02, 0.02, 0.2))

    def record(self, day: date) -> Row:
        """One record of a batch date."""
        rng = self._rng
        row: Row = {
            "event_id": f"e{rng.randrange(400)}",
            "tenant_id": self._spelled(rng.choice(self._tenants)),
            "device_id": self._spelled(rng.choice(self._devices)),
            "event_time": self._time(day),
        }
        for key in self._present:
            if key not in row and rng.random() >= self._nulls[key]:
                self._put(row, key)
        if rng.random() < 0.01:
            row.pop(rng.choice(sorted(row)))
        return row

    def line(self, day: date) -> Row:
        """A record of a batch date as NDJSON brings it: rarely damaged."""
        rng = self._rng
        row = self.record(day)
        if rng.random() >= self._damaged:
            return row
        way = rng.randrange(5)
        if way == 0:
            return {RAW: rng.choice(_BROKEN_LINES)}
        if way == 1:
            return row | {"contacts": rng.choice(([], ["x"], None, ""))}
        if way == 2:
            row.pop(rng.choice(("tenant_id", "device_id", "event_time")), None)
            return {RAW: _json(row)}
        row[rng.choice(sorted(row))] = rng.choice(_WRONG)
        return {RAW: _json(row)}

    def _put(self, row: Row, key: str) -> None:
        """Gives a record a value of a field, with the elements or siblings that belong to it."""
        rng, top = self._rng, top_of(key)
        if key == "labels":
            row[top] = {f"k{number}": rng.choice(TEXTS) for number in range(rng.randrange(4))}
        elif key.startswith("/apps/"):
            row[top] = [self._app() for _ in range(rng.randrange(4))]
        elif key.endswith("/*"):
            row[top] = [self._or_null(COLUMNS[key].value(rng)) for _ in range(rng.randrange(4))]
        elif key.startswith("/"):
            name = key.rpartition("/")[2].replace("~1", "/")
            row[top] = {**row.get(top, {}), name: COLUMNS[key].value(rng)}
        else:
            row[top] = COLUMNS[key].value(rng)

    def _app(self) -> Row:
        names = ("name", "version", "managed")
        return {name: self._or_null(COLUMNS[f"/apps/*/{name}"].value(self._rng)) for name in names}

    def _or_null(self, value: Any) -> Any:
        return None if self._rng.random() < 0.1 else value

    def _spelled(self, name: str) -> str:
        rng = self._rng
        if rng.random() < 0.97:
            return name
        return rng.choice((f" {name}", f"{name}\u00a0", name.upper(), f"{name}\u0301", "", f"\u200b{name}"))

    def _time(self, day: date) -> str:
        rng = self._rng
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        when = start + timedelta(seconds=rng.choice((0, 86399, rng.randrange(86400), rng.randrange(86400))))
        if rng.random() < self._late:
            when -= timedelta(days=rng.randint(1, 3))
        if rng.random() < self._future:
            when += timedelta(days=rng.randint(1, 4))
        if rng.random() < self._old:
            when -= timedelta(days=rng.choice((29, 31, 70, 400)))
        part = rng.choice(("", "", ".5", ".123456", ".1234567"))
        zone = rng.choice(("Z", "Z", "+00:00", "+05:30", "-08:00"))
        return f"{when:%Y-%m-%dT%H:%M:%S}{part}{zone}"


def write_file(path: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
    """Writes one file of records in the format that its name says; a columnar one has these columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = next(each for each in FILE_FORMATS.values() if path.name.endswith(each.suffixes)).encode(rows, names)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def as_table(rows: Sequence[Row], names: Sequence[str]) -> pa.Table:
    """The undamaged records as these columns, with the types that a columnar source has."""
    whole = [row for row in rows if RAW not in row]
    columns = [pa.array([_typed(row.get(name), ARROW[name]) for row in whole], ARROW[name]) for name in names]
    return pa.table(columns, names=[*names])


def _typed(value: Any, type_: pa.DataType) -> Any:
    """A JSON value as the Python value that Arrow takes for the type."""
    if value is None:
        return None
    if pa.types.is_timestamp(type_):
        return _moment(value)
    if pa.types.is_date(type_):
        return date.fromisoformat(value)
    if pa.types.is_decimal(type_):
        return Decimal(f"{value:.2f}")
    if pa.types.is_binary(type_):
        return base64.b64decode(value)
    return list(value.items()) if pa.types.is_map(type_) else value


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace(".1234567", ".123456"))


def _parquet(rows: Sequence[Row], names: Sequence[str]) -> bytes:
    held = io.BytesIO()
    pq.write_table(as_table(rows, names), held)
    return held.getvalue()


def _lines(rows: Sequence[Row], names: Sequence[str]) -> bytes:
    return b"".join((row[RAW].encode("latin-1") if RAW in row else _json(row).encode("ascii")) + b"\n" for row in rows)


def _json(row: Row) -> str:
    return json.dumps(row)


def _csv(rows: Sequence[Row], names: Sequence[str]) -> bytes:
    whole = [row for row in rows if RAW not in row]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in whole)
    raw = b"".join(row[RAW].encode("latin-1") + b"\n" for row in rows if RAW in row)
    return text.getvalue().replace("\x00", "").encode() + raw


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class FileFormat:
    """A source format: its suffixes, its files as bytes, and the records that they can have.

    make     makes a record for a day
    flat     whether records have top-level values only
    damaged  the text of a damaged record that some files end with
    """

    suffixes: tuple[str, ...]
    encode: Callable[[Sequence[Row], Sequence[str]], bytes]
    make: Callable[[RecordMaker, date], Row] = RecordMaker.record
    flat: bool = False
    damaged: str = ""


FILE_FORMATS: Final[Mapping[str, FileFormat]] = {
    "ndjson": FileFormat((".ndjson.gz", ".ndjson"), _lines, RecordMaker.line),
    "csv": FileFormat((".csv",), _csv, flat=True, damaged="only,two"),
    "parquet": FileFormat((".parquet",), _parquet),
}
