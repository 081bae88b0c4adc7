"""The aggregate in DuckDB, tuned: devices first, so that distinct is a count, and quantiles from counts of bins."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.contenders.fleet_sql import BIN, CLOSED, KEYS, closed, view
from benchmarks.contenders.words import EDGES
from benchmarks.given import Given

PLACES = range(len(EDGES) + 1)


def _rank(share: str) -> str:
    """The first bin at which the counts reach a share."""
    reached = [" + ".join(f"bin_{place}" for place in range(last + 1)) for last in PLACES]
    cases = " ".join(f"WHEN {so_far} >= wanted THEN {place}" for place, so_far in enumerate(reached))
    wanted = f"ceil({share} * ({reached[-1]}))"
    return "CASE " + cases.replace("wanted", wanted) + " END"


STATEMENT = f"""
    SELECT {KEYS}, events, devices, CASE WHEN contributing >= 10 THEN battery_sum / batteries END AS battery_mean,
        {closed("storage_median")}, {closed("storage_p95")}
    FROM (
        SELECT *, {_rank("0.5")} AS storage_median, {_rank("0.95")} AS storage_p95
        FROM (
            SELECT {KEYS}, sum(events)::BIGINT AS events, count(*) AS devices,
                count(*) FILTER (batteries > 0) AS contributing,
                {", ".join(f"count(*) FILTER (lowest <= {place}) AS upto_{place}" for place in CLOSED)},
                {", ".join(f"count(*) FILTER (highest >= {place}) AS from_{place}" for place in CLOSED)},
                sum(battery_sum) AS battery_sum, sum(batteries) AS batteries,
                {", ".join(f"sum(bin_{place})::BIGINT AS bin_{place}" for place in PLACES)}
            FROM (
                SELECT {KEYS}, device_id, count(*) AS events, count(battery_pct) AS batteries,
                    min({BIN}) AS lowest, max({BIN}) AS highest,
                    sum(least(greatest(battery_pct, 0), 100)) AS battery_sum,
                    {", ".join(f"count(*) FILTER ({BIN} = {place}) AS bin_{place}" for place in PLACES)}
                FROM events GROUP BY {KEYS}, device_id
            ) GROUP BY {KEYS} HAVING devices >= 10
        )
    )
"""


def run(given: Given, out: Path) -> None:
    """One statement in two phases."""
    with duckdb.connect() as database:
        view(database, given, out)
        database.execute(f"COPY ({STATEMENT}) TO '{out / 'fleet.parquet'}' (FORMAT parquet, COMPRESSION zstd)")
