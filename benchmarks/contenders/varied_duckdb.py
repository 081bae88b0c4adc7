"""The records job on varied data in DuckDB: as job A, with bins of one width for integers."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import records_duckdb
from benchmarks.given import Given


def run(given: Given, out: Path) -> None:
    """Runs the same statements."""
    records_duckdb.run(given, out, "free_storage_bytes // 1000000000 * 1000000000")
