"""The aggregate in Polars as one would first write it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.contenders.fleet_frame import BATTERY, KEYS, QUANTILES, closed, events
from benchmarks.given import Given

DEVICE, BIN = pl.col("device_id"), pl.col("bin")


def run(given: Given, out: Path) -> None:
    """One group-by."""
    found = events(given).group_by(KEYS).agg(
        pl.len().alias("events"),
        DEVICE.n_unique().alias("devices"),
        DEVICE.filter(pl.col("battery_pct").is_not_null()).n_unique().alias("contributing"),
        BATTERY.mean().alias("battery_mean"),
        *(column for name, share in QUANTILES.items() for column in _quantile(name, share)),
    )  # fmt: skip
    closed(found).sink_parquet(out / "fleet.parquet")


def _quantile(name: str, share: float) -> list[pl.Expr]:
    """The bin at a share of the rows, and the number of devices on either side of it."""
    bin_ = BIN.sort().get((pl.len() * share).ceil().cast(pl.Int64) - 1)
    upto, above = (DEVICE.filter(side).n_unique() for side in (BIN.le(bin_), BIN.ge(bin_)))
    return [bin_.alias(name), upto.alias(f"upto_{name}"), above.alias(f"from_{name}")]
