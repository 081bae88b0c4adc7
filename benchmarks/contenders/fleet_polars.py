"""The aggregate in Polars, tuned: devices first, so that distinct is a count, and quantiles from counts of bins."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.contenders.fleet_frame import BATTERY, KEYS, PLACES, QUANTILES, closed, events
from benchmarks.given import Given

BINS = [f"bin_{place}" for place in PLACES]
SUMS = ["events", "batteries", "battery_sum", *BINS]


def run(given: Given, out: Path) -> None:
    """Two group-bys, streaming."""
    devices = events(given).group_by(*KEYS, "device_id").agg(
        pl.len().cast(pl.Int64).alias("events"),
        pl.col("battery_pct").count().alias("batteries"),
        pl.col("bin").min().alias("lowest"),
        pl.col("bin").max().alias("highest"),
        BATTERY.sum().alias("battery_sum"),
        *((pl.col("bin") == place).sum().alias(name) for place, name in zip(PLACES, BINS, strict=True)),
    )  # fmt: skip
    groups = devices.group_by(KEYS).agg(
        *(pl.col(name).sum() for name in SUMS),
        pl.len().alias("devices"),
        (pl.col("batteries") > 0).sum().alias("contributing"),
        *((pl.col("lowest") <= place).sum().alias(f"upto_{place}") for place in PLACES),
        *((pl.col("highest") >= place).sum().alias(f"from_{place}") for place in PLACES),
    )
    found = groups.with_columns(
        (pl.col("battery_sum") / pl.col("batteries")).alias("battery_mean"),
        *(_rank(share).alias(name) for name, share in QUANTILES.items()),
    ).with_columns(_at(name, side).alias(f"{side}_{name}") for name in QUANTILES for side in ("upto", "from"))
    closed(found).sink_parquet(out / "fleet.parquet")


def _rank(share: float) -> pl.Expr:
    """The first bin at which the counts reach a share."""
    wanted = (pl.sum_horizontal(BINS) * share).ceil()
    return pl.sum_horizontal(*(pl.sum_horizontal(BINS[: place + 1]) < wanted for place in PLACES)).cast(pl.Int8)


def _at(name: str, side: str) -> pl.Expr:
    """The number of devices on a side of a quantile's bin."""
    return pl.coalesce(pl.when(pl.col(name) == place).then(pl.col(f"{side}_{place}")) for place in PLACES)
