"""The aggregate in Polars as one would first write it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.contenders.fleet_frame import BATTERY, KEYS, closed, events
from benchmarks.given import Given

DEVICE, BIN = pl.col("device_id"), pl.col("bin")


def run(given: Given, out: Path) -> None:
    """One group-by."""
    found = events(given).group_by(KEYS).agg(
        pl.len().alias("events"),
        DEVICE.n_unique().alias("devices"),
        DEVICE.filter(pl.col("battery_pct").is_not_null()).n_unique().alias("contributing"),
        DEVICE.filter(BIN.is_not_null()).n_unique().alias("storing"),
        BATTERY.mean().alias("battery_mean"),
        BIN.sort().get((pl.len() * 0.5).ceil().cast(pl.Int64) - 1).alias("storage_median"),
        BIN.sort().get((pl.len() * 0.95).ceil().cast(pl.Int64) - 1).alias("storage_p95"),
    )  # fmt: skip
    closed(found).sink_parquet(out / "fleet.parquet")
