"""Generating the data once, and finding it again: a folder a size, finished when its `_SUCCESS` stands."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data.fleet import AT, DAYS, SCHEMA, VARIED, Fleet, events, fleet, varied
from benchmarks.data.lines import rendered
from benchmarks.given import Given
from minimize.keys import new_keyring

FILES, GROUP, SLICE = 5, 1 << 20, 1 << 17
SEED = 20261125
EDITION = 2
"""Goes up whenever other data would come from the same seed, so that what was made before is not taken for it."""
FEATURES = ("location", "usage")


def devices(folder: Path, rows: int, times: int = 1, *, vary: bool = False) -> Given:
    """Parquet files of so many rows, and `times` as many files of the same size and fleet, with settings and a keyring.

    With `vary`, little repeats in them: 20 columns, a model per row, unique doubles.
    """
    given = Given(folder / f"{'varied' if vary else 'devices'}-{EDITION}-{rows}x{times}")
    if not given.done:
        with given.made():
            members = fleet(rows, SEED)
            _settings(members, given.settings)
            _keyring(given.keys)
            given.devices.mkdir()
            jobs = [(rows, file, given.devices / f"part-{file:03}.parquet", vary) for file in range(FILES * times)]
            with ProcessPoolExecutor(2, get_context("spawn")) as pool:
                list(pool.map(_file, *zip(*jobs, strict=True)))
    return given


def lines(folder: Path, count: int) -> Given:
    """One NDJSON file of so many lines."""
    given = Given(folder / f"lines-{EDITION}-{count}")
    if not given.done:
        with given.made(), given.lines.open("wb") as file, given.clean.open("wb") as clean:
            members = fleet(count, SEED)
            for number, size in enumerate(_sizes(count, SLICE)):
                table = events(members, size, (number % DAYS, number % DAYS + 1), (SEED, 2, number))
                for target, found in zip((file, clean), rendered(table, (SEED, 3, number)), strict=True):
                    target.write("\n".join(found.to_pylist()).encode() + b"\n")
    return given


def _file(rows: int, number: int, path: Path, vary: bool) -> None:
    """One file, a slice in memory at a time, a day of events from its first minute to its last."""
    members = _fleet_of(rows)
    share = rows // FILES + (number % FILES < rows % FILES)
    made = 0
    with pq.ParquetWriter(path, VARIED if vary else SCHEMA, compression="zstd") as writer:
        for group, size in enumerate(_sizes(share, GROUP)):
            slices = []
            for place, part in enumerate(_sizes(size, SLICE)):
                window = (number % DAYS + made / share, number % DAYS + (made + part) / share)
                seed = (SEED, 1, number, group, place)
                table = events(members, part, window, seed)
                slices.append(varied(table, seed) if vary else table)
                made += part
            writer.write_table(pa.concat_tables(slices), row_group_size=GROUP)


@cache
def _fleet_of(rows: int) -> Fleet:
    """Drawn again from its seed in each process that wants it."""
    return fleet(rows, SEED)


def _sizes(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)


def _settings(members: Fleet, path: Path) -> None:
    """Who turned what on, long before the events: each tenant once or twice a feature, the last row counts."""
    random = np.random.default_rng([SEED, 4])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("tenant_id", "subject", "setting", "value", "holder", "valid_from", "recorded_at"))
        for tenant in members.tenants.to_pylist():
            for feature in FEATURES:
                for days, value in ((300, "on"), (200, "off"))[: 1 + (random.random() < 0.3)]:
                    when = (AT - timedelta(days=days)).isoformat()
                    writer.writerow((tenant, "", feature, value, "admin", when, when))


def _keyring(path: Path) -> None:
    new_keyring(path, ("device",), now=datetime.now(UTC))
