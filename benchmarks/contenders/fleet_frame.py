"""What the two Polars contenders of the aggregate share."""

from __future__ import annotations

import polars as pl

from benchmarks.contenders.words import EDGES
from benchmarks.given import Given

KEYS = ["day", "tenant_id", "os_version", "model", "compliance_state"]
BATTERY = pl.col("battery_pct").clip(0, 100)
PLACES = range(len(EDGES) + 1)
QUANTILES = {"storage_median": 0.5, "storage_p95": 0.95}
_STORAGE = pl.col("free_storage_bytes")


def events(given: Given) -> pl.LazyFrame:
    """The events with their released keys, and the bin's place: 0 below the first edge, 4 from the last on."""
    return pl.scan_parquet(given.devices / "*.parquet").select(
        pl.col("event_time").dt.truncate("1d").alias("day"),
        "tenant_id",
        pl.col("os_version").str.extract(r"^([0-9]+(?:\.[0-9]+)?)", 1),
        "model",
        "compliance_state",
        "device_id",
        "battery_pct",
        pl.sum_horizontal(*(_STORAGE.ge(edge).cast(pl.Int8) for edge in EDGES), ignore_nulls=False).alias("bin"),
    )


def closed(found: pl.LazyFrame) -> pl.LazyFrame:
    """The groups that stand, without what too few contribute to, and without open bins.

    A quantile needs ten devices with a value in its bin or below (`upto_`), and ten with one in it or above (`from_`).
    """
    bounds = dict(enumerate(EDGES[:-1], 1))
    return found.filter(pl.col("devices") >= 10).select(
        *KEYS,
        pl.col("events").cast(pl.Int64),
        pl.col("devices").cast(pl.Int64),
        pl.when(pl.col("contributing") >= 10).then(pl.col("battery_mean")),
        *(
            pl.when(pl.min_horizontal(f"upto_{name}", f"from_{name}") >= 10).then(
                pl.col(name).replace_strict(bounds, default=None, return_dtype=pl.Int64)
            )
            for name in QUANTILES
        ),
    )
