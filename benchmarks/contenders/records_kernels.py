"""The records job as one script over Arrow's and NumPy's kernels, as tight as can be by hand, without a policy and its checks.

Columns pruned before decode, texts read and written as dictionaries, identifiers and addresses told apart by a hash table
that stays from batch to batch, a memory of pseudonyms and networks, two threads that each read, transform and write files.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.contenders.words import (
    AT_LEAST,
    EDGES,
    KEPT,
    OTHER,
    TOP,
    WIDTH,
    beginning,
    collected,
    key,
    pads,
)
from benchmarks.given import Given
from minimize.arrow.interner import TextInterner, compact_codes

WORKERS, BATCH, LOOK = 2, 1 << 20, 1 << 17
CODED = ("tenant_id", "os_version", "model", "owner_type", "compliance_state", "carrier", "os_language", "app_version")
NUMBERS = ["event_time", "latitude", "longitude", "battery_pct", "free_storage_bytes"]
HOUR = 3_600_000


def run(given: Given, out: Path) -> None:
    """The top in one pass, the records in another."""
    pa.set_cpu_count(1)
    if (
        "jemalloc" in pa.supported_memory_backends()
    ):  # as the house: others leave the system to clear pages again and again
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    job = Job(
        models=_models(given),
        on={feature: set(collected(given.settings, feature)) for feature in ("location", "usage")},
        secret=key(given.keys),
        out=out,
    )
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(job.file, given.files))


def _models(given: Given) -> set[str]:
    devices, models = TextInterner(pa.string()), TextInterner(pa.string())
    with ThreadPoolExecutor(WORKERS) as pool:
        pairs = _ascending(np.concatenate(list(pool.map(lambda path: _pairs(path, devices, models), given.files))))
    counts = np.bincount(pairs & 0xFFFFFFFF, minlength=len(models)).tolist()
    frequent = [(-count, name) for count, name in zip(counts, models.values().to_pylist(), strict=True)]
    return {name for count, name in sorted(frequent)[:TOP] if -count >= AT_LEAST}


def _pairs(path: Path, devices: TextInterner, models: TextInterner) -> Any:
    """The distinct pairs of a device and a model: mostly a device has one, so that only the others are sorted out."""
    first, others = np.full(0, -1, np.int32), [np.empty(0, np.int64)]
    with pq.ParquetFile(path, read_dictionary=["model"], buffer_size=1 << 20) as file:
        for batch in file.iter_batches(LOOK, columns=["model", "device_id"], use_threads=False):
            codes = devices.codes(batch["device_id"])
            model = models.codes(batch["model"].dictionary)[_whole(batch["model"].indices)]
            first = np.concatenate([first, np.full(max(len(devices) - len(first), 0), -1, np.int32)])
            new = first[codes] < 0
            first[codes[new]] = model[new]
            other = np.flatnonzero(first[codes] != model)
            others.append(_ascending(codes[other].astype(np.int64) << 32 | model[other]))
    known = np.flatnonzero(first >= 0)
    return np.concatenate([known << 32 | first[known], *others])


def _ascending(values: Any) -> Any:
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=-1) > 0]


class Job:
    """What the workers share, with the pseudonyms and networks that they remember."""

    def __init__(self, models: set[str], on: dict[str, set[str]], secret: bytes, out: Path) -> None:
        self._models, self._on, self._secret, self._out = models, on, secret, out
        self._tenants = TextInterner(pa.string())
        self._devices, self._addresses = TextInterner(pa.string()), TextInterner(pa.string())
        self._networks = TextInterner(pa.string())
        self._pseudonyms: Any = np.empty((0, WIDTH // 5 * 8), np.uint8)
        self._network: Any = np.empty(0, np.int32)
        self._lock = threading.Lock()

    def file(self, path: Path) -> None:
        """Reads, transforms and writes a file."""
        writer = None
        with pq.ParquetFile(path, read_dictionary=list(CODED), pre_buffer=False) as file:
            for batch in file.iter_batches(BATCH, columns=list(KEPT), use_threads=False):
                released = self.released(batch)
                writer = writer or pq.ParquetWriter(
                    self._out / path.name, released.schema, compression="zstd", write_statistics=NUMBERS
                )
                writer.write_batch(released, row_group_size=BATCH)
        if writer is not None:
            writer.close()

    def released(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch as it leaves."""
        columns = {name: batch[name] for name in KEPT}
        located, used = (_spread_mask(batch["tenant_id"], self._on[feature]) for feature in ("location", "usage"))
        columns["event_time"] = _hours(batch["event_time"])
        columns["device_id"] = self.pseudonyms(batch["tenant_id"], batch["device_id"])
        columns["ip_address"] = self.networks(batch["ip_address"])
        for name in ("latitude", "longitude"):
            columns[name] = _numbers(batch[name], located, lambda values: np.rint(values * 10) / 10 + 0.0)
        columns["battery_pct"] = _numbers(batch["battery_pct"], used, lambda values: np.floor(values / 10) * 10)
        columns["free_storage_bytes"] = _bins(batch["free_storage_bytes"])
        columns["os_version"] = _mapped(batch["os_version"], _major_minor)
        columns["model"] = _mapped(batch["model"], self._kept)
        return pa.RecordBatch.from_pydict({name: _pruned(column) for name, column in columns.items()})

    def _kept(self, models: pa.Array) -> pa.Array:
        return pa.array([name if name in self._models else OTHER for name in models.to_pylist()])

    def pseudonyms(self, tenants: pa.DictionaryArray, devices: pa.StringArray) -> pa.DictionaryArray:
        """Each distinct (tenant, device) hashed once."""
        codes = self._devices.codes(devices, self._tenants.codes(tenants.dictionary)[_whole(tenants.indices)])
        with self._lock:
            known = len(self._pseudonyms)
            if codes.max() >= known:
                scopes, texts = self._devices.scoped_values(known)
                self._pseudonyms = np.concatenate([self._pseudonyms, self._hashed(scopes, texts.to_pylist())])
            rows = self._pseudonyms
        used, places = compact_codes(codes)
        return pa.DictionaryArray.from_arrays(pa.array(places), _texts(rows[used]))

    def _hashed(self, codes: Any, devices: list[str]) -> Any:
        inner, outer = (hashlib.sha256(pad) for pad in pads(self._secret))
        tenants = self._tenants.values().to_pylist()
        states = [inner.copy() for _ in tenants]
        for tenant, state in zip(tenants, states, strict=True):
            state.update(beginning(tenant))
        digests = []
        for code, device in zip(codes.tolist(), devices, strict=True):
            first, second, form = states[code].copy(), outer.copy(), b"t" + device.encode()
            first.update(len(form).to_bytes(8, "big") + form)
            second.update(first.digest())
            digests.append(second.digest()[:WIDTH])
        return _base32(digests)

    def networks(self, addresses: pa.StringArray) -> pa.DictionaryArray:
        """Each distinct address cut once."""
        codes = self._addresses.codes(addresses)
        with self._lock:
            known = len(self._network)
            if codes.max() >= known:
                new = self._networks.codes(_cut(self._addresses.values(known)))
                self._network = np.concatenate([self._network, new])
            network = self._network
        return pa.DictionaryArray.from_arrays(pa.array(network[codes]), self._networks.values())


def _base32(digests: list[bytes]) -> Any:
    """All of them at once: five bytes are eight letters of five bits."""
    eights = np.zeros((len(digests) * WIDTH // 5, 8), np.uint8)
    eights[:, 3:] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 5)
    whole = eights.view(">u8").astype(np.uint64)
    letters = _LETTERS[((whole >> _SHIFTS) & np.uint64(31)).astype(np.uint8)]
    return letters.reshape(len(digests), WIDTH // 5 * 8)


def _texts(rows: Any) -> pa.StringArray:
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.shape[1])
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows)))


_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)
_SHIFTS = np.arange(35, -1, -5).astype(np.uint64)


def _whole(values: pa.Array) -> Any:
    return values.to_numpy(zero_copy_only=False).astype(np.int64)


def _spread_mask(tenants: pa.DictionaryArray, on: set[str]) -> Any:
    mask = np.array([name in on for name in tenants.dictionary.to_pylist()])
    return mask[_whole(tenants.indices)]


def _hours(times: pa.Array) -> pa.Array:
    ms = times.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return pa.array(ms // HOUR * HOUR).cast(times.type)


def _numbers(values: pa.Array, on: Any, change: Callable[[Any], Any]) -> pa.Array:
    changed = change(values.to_numpy(zero_copy_only=False))
    return pa.array(np.where(on, changed, np.nan), mask=~on | np.isnan(changed))


def _bins(values: pa.Array) -> pa.Array:
    place = np.searchsorted(np.array(EDGES), values.to_numpy(zero_copy_only=False), side="right")
    lower = np.array([0, *EDGES])[place]
    return pa.array(lower, mask=(place == 0) | (place == len(EDGES)))


def _mapped(values: pa.DictionaryArray, change: Callable[[pa.Array], pa.Array]) -> pa.DictionaryArray:
    """The dictionary changed, entries that became equal made one."""
    merged = change(values.dictionary).dictionary_encode()
    return pa.DictionaryArray.from_arrays(merged.indices.take(values.indices), merged.dictionary)


def _major_minor(versions: pa.Array) -> pa.Array:
    return pc.extract_regex(versions, r"^(?P<kept>[0-9]+(?:\.[0-9]+)?)").field("kept")


def _cut(texts: pa.StringArray) -> pa.StringArray:
    is_six = pc.match_substring(texts, ":")
    four = pc.replace_substring_regex(texts.filter(pc.invert(is_six)), r"[0-9]+$", "0")
    six = pc.replace_substring_regex(texts.filter(is_six), "^([^:]*:[^:]*:[^:]*):.*$", r"\1::")
    return pc.replace_with_mask(pc.replace_with_mask(texts, is_six, six), pc.invert(is_six), four)


def _pruned(values: pa.Array) -> pa.Array:
    """Without dictionary entries that no row uses."""
    if not pa.types.is_dictionary(values.type):
        return values
    used = np.zeros(len(values.dictionary) + 1, np.bool_)
    used[values.indices.fill_null(len(values.dictionary)).to_numpy(zero_copy_only=False)] = True
    used = used[:-1]
    if used.all():
        return values
    places = pa.array(np.cumsum(used, dtype=np.int32) - np.int32(1))
    return pa.DictionaryArray.from_arrays(places.take(values.indices), values.dictionary.filter(pa.array(used)))
