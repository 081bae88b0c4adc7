"""The records job in Polars: lazy, streaming; each (tenant, device) is hashed once and joined back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.contenders.words import AT_LEAST, EDGES, KEPT, OTHER, TOP, collected, key, pseudonyms
from benchmarks.given import Given


def run(given: Given, out: Path) -> None:
    """Three passes: the top, the pseudonyms, the copy."""
    events = pl.scan_parquet(given.devices / "*.parquet")
    released = (
        events.join(_pseudonyms(events, key(given.keys)), on=["tenant_id", "device_id"], how="left")
        .with_columns(
            pl.col("event_time").dt.truncate("1h"),
            pl.col("pseudonym").alias("device_id"),
            _network(pl.col("ip_address")),
            *_gated("location", given, *(_tenths(pl.col(name)) for name in ("latitude", "longitude"))),
            pl.col("os_version").str.extract(r"^([0-9]+(?:\.[0-9]+)?)", 1),
            *_gated("usage", given, (pl.col("battery_pct") / 10).floor() * 10),
            _bin(pl.col("free_storage_bytes")),
            pl.when(pl.col("model").is_null() | pl.col("model").is_in(_models(events)))
            .then(pl.col("model"))
            .otherwise(pl.lit(OTHER))
            .alias("model"),
        )
        .select(KEPT)
    )
    released.sink_parquet(out / "records.parquet", compression="zstd", compression_level=1, maintain_order=False)


def _models(events: pl.LazyFrame) -> list[str]:
    counted = events.select("model", "device_id").unique().drop_nulls().group_by("model").len()
    frequent = counted.filter(pl.col("len") >= AT_LEAST).collect(engine="streaming")
    return frequent.sort("len", "model", descending=[True, False]).head(TOP)["model"].to_list()


def _pseudonyms(events: pl.LazyFrame, secret: bytes) -> pl.LazyFrame:
    pairs = events.select("tenant_id", "device_id").unique().collect(engine="streaming").sort("tenant_id")
    found = pseudonyms(secret, pairs["tenant_id"].to_list(), pairs["device_id"].to_list())
    return pairs.with_columns(pl.Series("pseudonym", found)).lazy()


def _network(address: pl.Expr) -> pl.Expr:
    six = address.str.extract("^([0-9a-f]+:[0-9a-f]+:[0-9a-f]+)", 1) + "::"
    four = address.str.extract(r"^([0-9]+\.[0-9]+\.[0-9]+\.)", 1) + "0"
    return pl.when(address.str.contains(":", literal=True)).then(six).otherwise(four).alias("ip_address")


def _tenths(degrees: pl.Expr) -> pl.Expr:
    return (degrees * 10).round() / 10 + 0.0


def _bin(storage: pl.Expr) -> pl.Expr:
    chosen: Any = pl.when(storage < EDGES[0]).then(None)
    for low, high in pairwise(EDGES):
        chosen = chosen.when(storage < high).then(low)
    binned: pl.Expr = chosen.otherwise(None).cast(pl.Int64)
    return binned.alias("free_storage_bytes")


def _gated(feature: str, given: Given, *columns: pl.Expr) -> list[pl.Expr]:
    on = pl.col("tenant_id").is_in(collected(given.settings, feature))
    return [pl.when(on).then(column) for column in columns]
