"""The aggregate in Polars, tuned: devices first, so that distinct is a count, and quantiles from counts of bins."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.contenders.fleet_frame import BATTERY, KEYS, PLACES, closed, events
from benchmarks.given import Given

BINS = [f"bin_{place}" for place in PLACES]
SUMS = ["events", "batteries", "stored", "battery_sum", *BINS]


def run(given: Given, out: Path) -> None:
    """Two group-bys, streaming."""
    devices = events(given).group_by(*KEYS, "device_id").agg(
        pl.len().cast(pl.Int64).alias("events"),
        pl.col("battery_pct").count().alias("batteries"),
        pl.col("bin").count().alias("stored"),
        BATTERY.sum().alias("battery_sum"),
        *((pl.col("bin") == place).sum().alias(name) for place, name in zip(PLACES, BINS, strict=True)),
    )  # fmt: skip
    groups = devices.group_by(KEYS).agg(
        *(pl.col(name).sum() for name in SUMS),
        pl.len().alias("devices"),
        (pl.col("batteries") > 0).sum().alias("contributing"),
        (pl.col("stored") > 0).sum().alias("storing"),
    )
    found = groups.with_columns(
        (pl.col("battery_sum") / pl.col("batteries")).alias("battery_mean"),
        _rank(0.5).alias("storage_median"),
        _rank(0.95).alias("storage_p95"),
    )
    closed(found).sink_parquet(out / "fleet.parquet")


def _rank(share: float) -> pl.Expr:
    """The first bin at which the counts reach a share."""
    wanted = (pl.sum_horizontal(BINS) * share).ceil()
    return pl.sum_horizontal(*(pl.sum_horizontal(BINS[: place + 1]) < wanted for place in PLACES)).cast(pl.Int8)
