"""The records job in DuckDB: hand-written SQL; each (tenant, device) is hashed once and joined back."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.contenders.sql import EDGE_BINS, FROM, HASHED, MODELS, kept, prepared
from benchmarks.given import Given


def run(given: Given, out: Path, storage: str = EDGE_BINS) -> None:
    """Three statements: the top, the pseudonyms, the copy."""
    with duckdb.connect() as database:
        prepared(database, given, out)
        database.execute(MODELS)
        database.execute(
            f"CREATE TEMP TABLE pseudonyms AS SELECT tenant_id, device_id, {HASHED} AS pseudonym "
            "FROM (SELECT DISTINCT tenant_id, device_id FROM events)"
        )
        database.execute(
            f"COPY (SELECT {kept('pseudonym', storage)} FROM {FROM} JOIN pseudonyms USING (tenant_id, device_id)) "
            f"TO '{out / 'records.parquet'}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )
