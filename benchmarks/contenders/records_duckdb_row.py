"""The records job in DuckDB: hand-written SQL; every row's device is hashed."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.contenders.sql import FROM, HASHED, MODELS, kept, prepared
from benchmarks.given import Given


def run(given: Given, out: Path) -> None:
    """Two statements: the top, the copy."""
    with duckdb.connect() as database:
        prepared(database, given, out)
        database.execute(MODELS)
        database.execute(
            f"COPY (SELECT {kept(HASHED)} FROM {FROM}) "
            f"TO '{out / 'records.parquet'}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )
