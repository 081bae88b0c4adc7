"""The aggregate in DuckDB as one would first write it."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.contenders.fleet_sql import BIN, CLOSED, KEYS, SIDES, closed, view
from benchmarks.given import Given

DEVICES = "count(DISTINCT device_id) FILTER"
STATEMENT = f"""
    SELECT * EXCLUDE (contributing, storage_median, storage_p95, {", ".join(SIDES)}),
        {closed("storage_median")}, {closed("storage_p95")}
    FROM (
        SELECT {KEYS}, count(*) AS events, count(DISTINCT device_id) AS devices,
            {DEVICES} (battery_pct IS NOT NULL) AS contributing,
            {", ".join(f"{DEVICES} ({BIN} <= {place}) AS upto_{place}" for place in CLOSED)},
            {", ".join(f"{DEVICES} ({BIN} >= {place}) AS from_{place}" for place in CLOSED)},
            CASE WHEN contributing >= 10
                THEN avg(least(greatest(battery_pct, 0), 100)) FILTER (battery_pct IS NOT NULL) END AS battery_mean,
            quantile_disc({BIN}, 0.5) AS storage_median, quantile_disc({BIN}, 0.95) AS storage_p95
        FROM events GROUP BY {KEYS} HAVING devices >= 10
    )
"""


def run(given: Given, out: Path) -> None:
    """One statement."""
    with duckdb.connect() as database:
        view(database, given, out)
        database.execute(f"COPY ({STATEMENT}) TO '{out / 'fleet.parquet'}' (FORMAT parquet, COMPRESSION zstd)")
