"""What the two DuckDB contenders of the aggregate share."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.contenders.words import EDGES
from benchmarks.given import Given

KEYS = "day, tenant_id, os_version, model, compliance_state"
BIN = " + ".join(f"(free_storage_bytes >= {edge})::TINYINT" for edge in EDGES)
"""The bin's place: 0 below the first edge, 4 from the last on; both are open."""
CLOSED = range(1, len(EDGES))
SIDES = [f"upto_{place}, from_{place}" for place in CLOSED]
"""The columns with the number of devices on either side of a bin."""


def view(database: duckdb.DuckDBPyConnection, given: Given, out: Path) -> None:
    """The events with their released keys."""
    database.execute("SET threads = 2; SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
    database.execute(f"SET temp_directory = '{out}'")
    database.execute(
        "CREATE TEMP VIEW events AS SELECT make_timestamptz(epoch_us(event_time) // 86400000000 * 86400000000) AS day, "
        rf"tenant_id, regexp_extract(os_version, '^[0-9]+(\.[0-9]+)?') AS os_version, model, compliance_state, "
        f"device_id, battery_pct, free_storage_bytes FROM read_parquet('{given.devices}/*.parquet')"
    )


def closed(column: str) -> str:
    """The lower bound of a bin. Null for an open one, and unless ten devices have a value up to it, and ten from it on."""
    cases = " ".join(
        f"WHEN {place} THEN CASE WHEN least(upto_{place}, from_{place}) >= 10 THEN {EDGES[place - 1]} END"
        for place in CLOSED
    )
    return f"CASE {column} {cases} END::BIGINT AS {column}"
