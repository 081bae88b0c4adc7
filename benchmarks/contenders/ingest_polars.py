"""Lines through Polars, brought to our result: blocks whose inferred types are the declared ones, and halves of those in doubt.

Polars gives neither the types of single values nor positions, so a block is read with types inferred from all of it; where they
are not what was declared, or a check fails, the block is halved, down to single lines, which are judged one by one. Keys that
stand twice in a line are not seen (none do in the benchmark's data).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from pathlib import Path

import polars as pl

from benchmarks.contenders.ingest import DECLARED, DOUBLES, INTEGERS, NEVER, REQUIRED, TIME, Piece, Reject, finish
from benchmarks.contenders.ingest_polars_lenient import TYPES
from benchmarks.given import Given

BLOCK = 16 << 20
_ALLOWED = {**dict.fromkeys(DOUBLES, (pl.Float64, pl.Int64)), **dict.fromkeys(INTEGERS, (pl.Int64,))}


def run(given: Given, out: Path) -> None:
    """Block by block."""
    finish(_pieces(given), out)


def _pieces(given: Given) -> Iterator[Piece]:
    position, rest = 0, b""
    with given.lines.open("rb") as file:
        while data := file.read(BLOCK):
            held = rest + data
            end = held.rfind(b"\n") + 1
            yield from _read(held[:end], position)
            position, rest = position + end, held[end:]
    if rest:
        yield from _read(rest, position)


def _read(data: bytes, position: int) -> Iterator[Piece]:
    piece = _whole(data)
    if piece is not None:
        yield piece
        return
    middle = data.rfind(b"\n", 0, len(data) // 2) + 1 or data.find(b"\n", len(data) // 2) + 1
    if middle in (0, len(data)):
        yield Piece(_NOTHING, [_judged(data, position)])
        return
    yield from _read(data[:middle], position)
    yield from _read(data[middle:], position + middle)


def _whole(data: bytes) -> Piece | None:
    frame = None
    with suppress(pl.exceptions.PolarsError):
        frame = pl.read_ndjson(BytesIO(data), infer_schema_length=None)
    if frame is None or any(_differs(name, kind) for name, kind in frame.schema.items()):
        return None
    if NEVER in frame.columns and frame[NEVER].null_count() < len(frame):
        return None
    absent = [pl.lit(None, TYPES.get(name, pl.String)).alias(name) for name in DECLARED if name not in frame.columns]
    typed = frame.with_columns(absent).with_columns(pl.col(name).cast(kind) for name, kind in TYPES.items())
    rows = typed.with_columns(_TIME).select(DECLARED)
    if any(rows[name].null_count() for name in REQUIRED):
        return None
    extra = {name: len(frame) - frame[name].null_count() for name in frame.columns if name not in (*DECLARED, NEVER)}
    return Piece(rows.to_arrow(), (), extra)


_TIME = pl.col(TIME).cast(pl.String).str.to_datetime("%+", time_unit="ms", time_zone="UTC", strict=False)


def _differs(name: str, kind: pl.DataType) -> bool:
    return name in DECLARED and kind != pl.Null and kind not in _ALLOWED.get(name, (pl.String,))


def _judged(line: bytes, position: int) -> Reject:
    record = None
    with suppress(ValueError):
        record = json.loads(line)
    if not isinstance(record, dict):
        return position, None, "malformed"
    if record.get(NEVER) is not None:
        return position, f"/{NEVER}", "forbidden_field"
    for name in DECLARED:
        value = record.get(name)
        if value is not None and type(value) not in _types(name):
            return position, f"/{name}", "wrong_type"
    if record.get(TIME) is not None and not _is_time(record[TIME]):
        return position, f"/{TIME}", "bad_time"
    missing = next(name for name in REQUIRED if record.get(name) is None)
    return position, f"/{missing}", "missing_field"


def _types(name: str) -> tuple[type, ...]:
    if name in DOUBLES:
        return (float, int)
    return (int,) if name in INTEGERS else (str,)


def _is_time(text: str) -> bool:
    with suppress(ValueError):
        datetime.fromisoformat(text)
        return True
    return False


_NOTHING = pl.DataFrame(schema={name: TYPES.get(name, pl.String) for name in DECLARED}).with_columns(_TIME).to_arrow()
