"""Lines through Polars' typed reader as it is: it coerces. It stops at a malformed line, so it is given a file without any."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.contenders.ingest import DECLARED, DOUBLES, INTEGERS, Piece, finish
from benchmarks.given import Given

TYPES = {**dict.fromkeys(DOUBLES, pl.Float64), **dict.fromkeys(INTEGERS, pl.Int64)}


def run(given: Given, out: Path) -> None:
    """One scan."""
    schema = {name: TYPES.get(name, pl.String) for name in DECLARED}
    lines = pl.scan_ndjson(given.clean, schema=schema)
    timed = lines.with_columns(
        pl.col("event_time").str.to_datetime("%+", time_unit="ms", time_zone="UTC", strict=False)
    )
    finish([Piece(timed.collect(engine="streaming").to_arrow())], out)
