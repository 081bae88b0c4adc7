"""Outputs before times: two contenders of a job must have written the same rows, however they spell a pseudonym."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.contenders import Job
from benchmarks.contenders.fleet_sql import KEYS
from benchmarks.contenders.words import EDGES, KEPT

QUANTILES = ("storage_median", "storage_p95")
NOISE_SD = 8**0.5
"""Standard deviation of the noise of a count of subjects: two layers of 2."""
ROWS_OF_A_DEVICE = 24
"""`per_subject` of the job: the noise of a number of rows is so many times larger."""
BATTERY_RANGE, BATTERY_GRID = 100, 10
"""Bounds of the field, and the coarsest grid of its mean in groups of ten and more."""
LARGE, ENOUGH = "theirs.devices >= 30", 300
"""Groups of which none is hidden by noise, and how many of them show the size of the noise to a fifth."""
LONG = 32
"""Letters of a pseudonym in base32; in hexadecimal it has 40."""


def unequal(job: Job, ours: Path, theirs: Path) -> str | None:
    """What differs between two outputs, without a value of either; None where nothing does."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        return _COMPARED[job](database, ours, theirs)


def _records(database: duckdb.DuckDBPyConnection, ours: Path, theirs: Path) -> str | None:
    prints = [_fingerprint(database, folder) for folder in (ours, theirs)]
    if prints[0] == prints[1]:
        return None
    apart = [name for name in prints[0] if prints[0][name] != prints[1].get(name)]
    return f"the records differ in {', '.join(apart)}"


def _fingerprint(database: duckdb.DuckDBPyConnection, folder: Path) -> Mapping[str, int]:
    """Sums of hashes over all rows, whatever their order: of the whole row, and of each column by itself."""
    database.execute(
        f"CREATE OR REPLACE TEMP VIEW found AS SELECT * FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = false)"
    )
    database.register(
        "hexed", _hexed(database.sql("SELECT DISTINCT device_id FROM found").to_arrow_table()["device_id"])
    )
    columns = {name: name for name in KEPT} | {
        "event_time": "epoch_ms(event_time)",
        "device_id": "coalesce(spelled, 'none')",
        "latitude": "round(latitude * 10)::INTEGER",
        "longitude": "round(longitude * 10)::INTEGER",
        "battery_pct": "round(battery_pct * 10)::INTEGER",
    }
    each = ", ".join(f"sum(hash({sql})::HUGEINT) AS {name}" for name, sql in columns.items())
    row = f"sum(hash({', '.join(columns.values())})::HUGEINT) AS whole_rows, count(*) AS how_many"
    table = database.sql(f"SELECT {each}, {row} FROM found LEFT JOIN hexed USING (device_id)")
    return dict(zip(table.columns, table.fetchall()[0], strict=True))


def _hexed(pseudonyms: pa.ChunkedArray) -> pa.Table:
    names = pseudonyms.drop_null().to_pylist()
    spelled = [base64.b32decode(name.upper()).hex() if len(name) == LONG else name for name in names]
    return pa.table({"device_id": pa.array(names, pa.string()), "spelled": pa.array(spelled, pa.string())})


def unequal_exact(exact: Path, theirs: Path) -> str | None:
    """What differs between the exact figures of job B and another's: the mean only in its last digits (ours is rounded once)."""
    with duckdb.connect() as database:
        same = _fleets(database, exact, theirs)
        off = " OR ".join(
            [f"ours.{name} IS DISTINCT FROM theirs.{name}" for name in ("events", "devices", *QUANTILES)]
            + [
                "(ours.battery_mean IS NULL) <> (theirs.battery_mean IS NULL)",
                "abs(ours.battery_mean - theirs.battery_mean) > 1e-9",
            ]
        )
        counted = f"count(*), count(*) FILTER ({off}), count(ours.events), count(theirs.events)"
        every, wrong, mine, peers = database.sql(f"SELECT {counted} FROM ours FULL JOIN theirs ON {same}").fetchall()[0]
    if every == mine == peers and not wrong:
        return None
    return f"of {every} groups {mine} are ours, {peers} theirs, {wrong} differ"


def _fleets(database: duckdb.DuckDBPyConnection, ours: Path, theirs: Path) -> str:
    """Reads both tables, and returns the condition that two rows are of one group."""
    database.execute("SET TimeZone = 'UTC'")
    for name, folder in (("ours", ours), ("theirs", theirs)):
        source = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = false)"
        database.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * REPLACE (epoch_ms(day) AS day) FROM {source}"
        )
    return " AND ".join(f"ours.{key} IS NOT DISTINCT FROM theirs.{key}" for key in KEYS.split(", "))


def _fleet(database: duckdb.DuckDBPyConnection, ours: Path, theirs: Path) -> str | None:
    """Group by group: ours has noise, theirs is exact.

    Each of our groups is one of theirs, every group that no noise hides is ours, and no figure is off by more than noise can be.
    """
    same = _fleets(database, ours, theirs)
    devices, events = 6 * NOISE_SD, 6 * NOISE_SD * ROWS_OF_A_DEVICE
    off = " OR ".join(
        (
            f"abs(ours.devices - theirs.devices) > {devices}",
            f"abs(ours.events - theirs.events) > {events}",
            f"abs(ours.battery_mean - theirs.battery_mean) > {events * BATTERY_RANGE} / theirs.events + {BATTERY_GRID}",
            *(f"ours.{name} NOT IN {tuple(EDGES[:-1])}" for name in QUANTILES),
            f"theirs.devices >= {10 + 3 + devices} AND ours.devices IS NULL",
            "theirs.devices IS NULL",
        )
    )
    figures = (
        f"count(*) FILTER ({off}), count(ours.devices), count(*) FILTER ({LARGE}), "
        f"stddev(ours.devices - theirs.devices) FILTER ({LARGE})"
    )
    wrong, shown, large, spread = database.sql(f"SELECT {figures} FROM ours FULL JOIN theirs ON {same}").fetchall()[0]
    if wrong:
        return f"of {shown} groups {wrong} are off by more than noise can be"
    if large >= ENOUGH and abs(spread - NOISE_SD) > NOISE_SD / 5:
        return f"the noise has a standard deviation of {spread:.2f}, not {NOISE_SD:.2f}"
    return None


def _ingest(database: duckdb.DuckDBPyConnection, ours: Path, theirs: Path) -> str | None:
    for name in ("rejects", "undeclared"):
        pair = [sorted(map(tuple, _listed(database, folder / f"{name}.parquet"))) for folder in (ours, theirs)]
        if pair[0] != pair[1]:
            return f"{name} differ: {len(pair[0])} against {len(pair[1])}"
    rows = [_rows(database, folder / "rows.parquet") for folder in (ours, theirs)]
    return None if rows[0] == rows[1] else "rows differ"


def _listed(database: duckdb.DuckDBPyConnection, path: Path) -> list[tuple[object, ...]]:
    return database.sql(f"SELECT COLUMNS(*)::VARCHAR FROM '{path}'").fetchall()


def _rows(database: duckdb.DuckDBPyConnection, path: Path) -> object:
    found = database.sql(f"SELECT * REPLACE (epoch_ms(event_time) AS event_time) FROM '{path}'")
    names = ", ".join(sorted(found.columns))
    return database.sql(f"SELECT count(*), sum(hash({names})::HUGEINT) FROM found").fetchall()


_COMPARED = {"a": _records, "b": _fleet, "h": _records, "ingest": _ingest}
