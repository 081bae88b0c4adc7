"""The aggregate as one script over Arrow's and NumPy's kernels, as tight as can be by hand, without a policy and its checks.

Columns pruned before decode, few rows at a time; a group is found by looks into small tables, a bin is one of five; groups
and devices have the same codes in both threads. A device in a bin of a group is kept unless it was last seen in the same one.
What is left is sorted once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.contenders.words import EDGES
from benchmarks.given import Given
from minimize.aggregates.dictionaries import CombinationDictionary
from minimize.arrow.interner import TextInterner

WORKERS, BATCH, LEAST = 2, 1 << 17, 10
CODED = ("tenant_id", "os_version", "model", "compliance_state")
READ = [*CODED, "event_time", "device_id", "battery_pct", "free_storage_bytes"]
DAY = 86_400_000
BINS = 8
"""Bins, rounded up to a power of two."""
CODE = 32
"""Bits of a device's code."""
LACKS_BATTERY, BITS = 1, 4
"""The lowest bits of a word say whether the battery is lacking, and which bin it is."""


def run(given: Given, out: Path) -> None:
    """A thread a file, one table."""
    pa.set_cpu_count(1)
    shared = Shared()
    with ThreadPoolExecutor(WORKERS) as pool:
        counted = list(pool.map(partial(_file, shared), given.files))
    pq.write_table(_table(shared, counted), out / "fleet.parquet", compression="zstd")


class Shared:
    """What the threads share: the codes of devices and of keys."""

    def __init__(self) -> None:
        self.devices = TextInterner(pa.string())
        self.keys = {name: TextInterner(pa.string()) for name in CODED}
        self.groups = CombinationDictionary(1 + len(CODED))
        self.lock = Lock()


@dataclass
class Counted:
    """What was counted of a file: per group, and which devices were in it."""

    rows: Any = field(default_factory=lambda: np.empty(0))
    batteries: Any = field(default_factory=lambda: np.empty(0))
    charge: Any = field(default_factory=lambda: np.empty(0))
    bins: Any = field(default_factory=lambda: np.empty(0))
    last: Any = field(default_factory=lambda: np.empty(0, np.int64))
    pairs: list[Any] = field(default_factory=list)

    def take(self, batch: pa.RecordBatch, shared: Shared) -> None:
        """Takes rows in."""
        with shared.lock:
            groups = shared.groups.encode(_keys(batch, shared.keys), batch.num_rows)
        battery, there = _numbers(batch["battery_pct"])
        places = np.searchsorted(EDGES_, batch["free_storage_bytes"].to_numpy(), side="right")
        self.rows = _added(self.rows, groups)
        self.batteries = _added(self.batteries, groups, there)
        self.charge = _added(self.charge, groups, np.where(there, np.clip(battery, 0, 100), 0))
        self.bins = _added(self.bins, groups * BINS + places)
        self._see(groups, shared.devices.codes(batch["device_id"]), ~there | places << 1)

    def _see(self, groups: Any, devices: Any, about: Any) -> None:
        """Keeps the rows that say something new about a device: whether it lacks the battery, and its bin."""
        if len(self.last) <= (most := int(devices.max())):
            self.last = np.concatenate([self.last, np.full(most * 2 + 2 - len(self.last), -1)])
        before, now = self.last[devices], groups << BITS | about
        new = np.flatnonzero((before != now) & (before != now & ~LACKS_BATTERY))
        self.last[devices[new]] = now[new]
        self.pairs.append(_ascending((groups[new] << CODE | devices[new]) << BITS | about[new]))


EDGES_ = np.array(EDGES)


def _file(shared: Shared, path: Path) -> Counted:
    counted = Counted()
    with pq.ParquetFile(path, read_dictionary=list(CODED), pre_buffer=False) as file:
        for batch in file.iter_batches(BATCH, columns=READ, use_threads=False):
            counted.take(batch, shared)
    return counted


def _keys(batch: pa.RecordBatch, known: dict[str, TextInterner]) -> list[Any]:
    keys = [batch["event_time"].cast(pa.int64()).to_numpy() // DAY - FIRST]
    for name in CODED:
        values = batch[name]
        words = _major_minor(values.dictionary) if name == "os_version" else values.dictionary
        keys.append(known[name].codes(words).astype(np.int64)[values.indices.to_numpy()])
    return keys


FIRST = 20_000
"""A day before all events, in days since 1970."""


def _major_minor(versions: pa.Array) -> pa.Array:
    return pc.extract_regex(versions, r"^(?P<kept>[0-9]+(?:\.[0-9]+)?)").field("kept")


def _numbers(values: pa.Array) -> tuple[Any, Any]:
    numbers = values.to_numpy(zero_copy_only=False)
    return numbers, ~np.isnan(numbers)


def _added(sums: Any, places: Any, weights: Any = None) -> Any:
    """The sums and what comes to some places of them."""
    first = int(places.min())
    more = np.bincount(places - first, weights)
    if first + len(more) > len(sums):
        sums = np.concatenate([sums, np.zeros(first + len(more) - len(sums) + len(sums) // 4)])
    sums[first : first + len(more)] += more
    return sums


def _ascending(values: Any, kind: Any = None) -> Any:
    ordered = np.sort(values, kind=kind)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _table(shared: Shared, counted: list[Counted]) -> pa.Table:
    """The groups that stand."""
    whole = _merged(shared, counted)
    pairs = _ascending(np.concatenate(whole.pairs), "stable")
    starts = np.flatnonzero(np.diff(pairs >> BITS, prepend=-1))
    lowest, highest = ((pairs[some] % (1 << BITS)) >> 1 for some in (starts, np.append(starts[1:], len(pairs)) - 1))
    lacking = np.bitwise_and.reduceat(pairs, starts) & LACKS_BATTERY
    owners = pairs[starts] >> (CODE + BITS)
    devices, contributing = np.bincount(owners), np.bincount(owners, 1 - lacking)
    standing = np.flatnonzero(devices >= LEAST)
    enough = contributing[standing] >= LEAST
    bins = whole.bins.reshape(-1, BINS)[standing]
    upto = _per_bin(owners, lowest)[standing].cumsum(axis=1)
    above = _per_bin(owners, highest)[standing, ::-1].cumsum(axis=1)[:, ::-1]
    mean = np.divide(whole.charge[standing], whole.batteries[standing], where=enough, out=np.zeros(len(standing)))
    return pa.table(
        {
            **_named(shared, standing),
            "events": pa.array(whole.rows[standing].astype(np.int64)),
            "devices": pa.array(devices[standing]),
            "battery_mean": pa.array(mean, mask=~enough),
            "storage_median": _at(bins, upto, above, 0.5),
            "storage_p95": _at(bins, upto, above, 0.95),
        }
    )


def _merged(shared: Shared, counted: list[Counted]) -> Counted:
    """All of them: the threads have the same codes."""
    whole, count = Counted(), len(shared.groups)
    whole.rows = sum(_padded(one.rows, count) for one in counted)
    whole.batteries = sum(_padded(one.batteries, count) for one in counted)
    whole.charge = sum(_padded(one.charge, count) for one in counted)
    whole.bins = sum(_padded(one.bins, count * BINS) for one in counted)
    whole.pairs = [pairs for one in counted for pairs in one.pairs]
    return whole


def _padded(values: Any, size: int) -> Any:
    return np.concatenate([values, np.zeros(max(0, size - len(values)))])[:size]


def _named(shared: Shared, groups: Any) -> dict[str, pa.Array]:
    days, *codes = shared.groups.columns(groups)
    named = {name: shared.keys[name].values().take(pa.array(each)) for name, each in zip(CODED, codes, strict=True)}
    return {"day": pa.array((days + FIRST) * DAY).cast(pa.timestamp("ms", "UTC")), **named}


def _per_bin(owners: Any, bins: Any) -> Any:
    """How many devices of each group have each bin."""
    return np.bincount(owners * BINS + bins, minlength=(int(owners[-1]) + 1) * BINS).reshape(-1, BINS)


def _at(bins: Any, upto: Any, above: Any, share: float) -> pa.Array:
    """The lower bound of the bin at a share of the rows. Null for an open one, and if few devices support it.

    Takes per group and bin the rows, the devices with a value in it or below, and those with one in it or above.
    """
    running = bins.cumsum(axis=1)
    place = (running < np.ceil(running[:, -1:] * share)).sum(axis=1)
    lower = np.array([0, *EDGES, 0, 0, 0])[place]
    few = np.minimum(upto, above)[np.arange(len(place)), place] < LEAST
    return pa.array(lower, mask=few | (place == 0) | (place >= len(EDGES)))
