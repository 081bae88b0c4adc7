"""What the two DuckDB contenders of the records job share."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.contenders.words import AT_LEAST, EDGES, OTHER, TOP, WIDTH, beginning, collected, key, pads, prefixed
from benchmarks.given import Given

GUID = 36
"""Tenants and devices are GUIDs, so that the lengths in the hashed message are constants."""
HASHED = f"""
    left(sha256(getvariable('outer_block') || unhex(sha256(
        getvariable('inner_block') || tenant_id::BLOB || getvariable('between') || device_id::BLOB
    ))), {WIDTH * 2})
"""
MODELS = f"""
    CREATE TEMP TABLE models AS SELECT model AS kept FROM events WHERE model IS NOT NULL
    GROUP BY model HAVING count(DISTINCT device_id) >= {AT_LEAST}
    ORDER BY count(DISTINCT device_id) DESC, model LIMIT {TOP}
"""
FROM = "events LEFT JOIN tenants USING (tenant_id) LEFT JOIN models ON model = kept"


def prepared(database: duckdb.DuckDBPyConnection, given: Given, out: Path) -> None:
    """The view, the settings and the key."""
    database.execute("SET threads = 2; SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
    database.execute(f"SET temp_directory = '{out}'")
    database.execute(f"CREATE TEMP VIEW events AS SELECT * FROM read_parquet('{given.devices}/*.parquet')")
    inner, outer = pads(key(given.keys))
    before = beginning("0" * GUID)[:-GUID]
    for name, value in (
        ("inner_block", inner + before),
        ("outer_block", outer),
        ("between", prefixed(b"t" * (GUID + 1))[:-GUID]),
    ):
        database.execute(f"SET VARIABLE {name} = $1", [value])
    on = {feature: set(collected(given.settings, feature)) for feature in ("location", "usage")}
    everyone = sorted(on["location"] | on["usage"])
    flags = {feature: [tenant in found for tenant in everyone] for feature, found in on.items()}
    database.register("switches", pa.table({"tenant_id": pa.array(everyone, pa.string()), **flags}))
    database.execute("CREATE TEMP TABLE tenants AS SELECT * FROM switches")


_BINS = " ".join(f"WHEN free_storage_bytes < {high} THEN {low}" for low, high in pairwise(EDGES))
EDGE_BINS = f"CASE WHEN free_storage_bytes < {EDGES[0]} THEN NULL {_BINS} END::BIGINT"


def kept(pseudonym: str, storage: str = EDGE_BINS) -> str:
    """The columns that leave, with these expressions for the pseudonym and for the storage."""
    return rf"""
        tenant_id,
        make_timestamptz(epoch_us(event_time) // 3600000000 * 3600000000) AS event_time,
        {pseudonym} AS device_id,
        CASE WHEN contains(ip_address, ':') THEN regexp_extract(ip_address, '^[0-9a-f]+:[0-9a-f]+:[0-9a-f]+') || '::'
             ELSE regexp_extract(ip_address, '^[0-9]+\.[0-9]+\.[0-9]+\.') || '0' END AS ip_address,
        CASE WHEN location THEN round(latitude * 10) / 10 + 0.0 END AS latitude,
        CASE WHEN location THEN round(longitude * 10) / 10 + 0.0 END AS longitude,
        regexp_extract(os_version, '^[0-9]+(\.[0-9]+)?') AS os_version,
        CASE WHEN usage THEN floor(battery_pct / 10) * 10 END AS battery_pct,
        {storage} AS free_storage_bytes,
        CASE WHEN model IS NULL THEN NULL ELSE coalesce(kept, '{OTHER}') END AS model,
        owner_type, compliance_state, carrier, os_language, app_version
    """
