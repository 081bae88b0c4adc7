"""Lines through DuckDB's typed reader as it is: it coerces, and a bad line becomes nulls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from benchmarks.contenders.ingest import DECLARED, DOUBLES, INTEGERS, TIME, Piece, finish
from benchmarks.given import Given

TYPES = {**dict.fromkeys(DOUBLES, "DOUBLE"), **dict.fromkeys(INTEGERS, "BIGINT"), TIME: "TIMESTAMPTZ"}
COLUMNS = "{" + ", ".join(f"{name}: '{TYPES.get(name, 'VARCHAR')}'" for name in DECLARED) + "}"


def run(given: Given, out: Path) -> None:
    """One statement, to Arrow batch by batch."""
    finish(_pieces(given), out)


def _pieces(given: Given) -> Iterator[Piece]:
    with duckdb.connect() as database:
        database.execute("SET threads = 2; SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        found = database.sql(
            f"SELECT * FROM read_json('{given.lines}', format = 'newline_delimited', columns = {COLUMNS}, ignore_errors = true)"
        )
        yield from map(Piece, found.to_arrow_reader(100_000))
