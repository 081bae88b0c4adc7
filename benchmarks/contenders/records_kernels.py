"""The records job as one script over Arrow's kernels, as tight as can be by hand, without a policy and its checks.

Columns pruned before decode, texts read and written as dictionaries, everything evaluated on distinct values, a memory of
pseudonyms, two worker processes that each read, transform and write their own files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
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

WORKERS, BATCH = 2, 1 << 20
CODED = ("tenant_id", "os_version", "model", "owner_type", "compliance_state", "carrier", "os_language", "app_version")
HOUR = 3_600_000


def run(given: Given, out: Path) -> None:
    """The top in one pass, the records in another."""
    job = Job(
        models=_models(given),
        on={feature: set(collected(given.settings, feature)) for feature in ("location", "usage")},
        secret=key(given.keys),
        out=out,
    )
    shares = [given.files[place::WORKERS] for place in range(WORKERS)]
    workers = [get_context("fork").Process(target=job.files, args=(share,)) for share in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise SystemExit(worker.exitcode)


def _models(given: Given) -> set[str]:
    with ThreadPoolExecutor(WORKERS) as pool:
        pairs = pa.concat_tables(pool.map(_pairs, given.files))
    models, devices = (pairs[name].combine_chunks().dictionary_encode() for name in ("model", "device_id"))
    both = _distinct(_whole(devices.indices) * len(models.dictionary) + _whole(models.indices))
    counts = np.bincount(both % len(models.dictionary), minlength=len(models.dictionary)).tolist()
    frequent = [(-count, name) for count, name in zip(counts, models.dictionary.to_pylist(), strict=True)]
    return {name for count, name in sorted(frequent)[:TOP] if -count >= AT_LEAST}


def _pairs(path: Path) -> pa.Table:
    found = []
    with pq.ParquetFile(path, read_dictionary=["model"]) as file:
        for batch in file.iter_batches(BATCH, columns=["model", "device_id"], use_threads=False):
            models, devices = batch["model"], batch["device_id"].dictionary_encode()
            width = len(models.dictionary)
            both = _distinct(_whole(devices.indices) * width + _whole(models.indices))
            known = {
                "model": models.dictionary.take(pa.array(both % width)),
                "device_id": devices.dictionary.take(pa.array(both // width)),
            }
            found.append(pa.table(known))
    return pa.concat_tables(found)


@dataclass
class Job:
    """What a worker needs, and the pseudonyms that it remembers."""

    models: set[str]
    on: dict[str, set[str]]
    secret: bytes
    out: Path
    known: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def files(self, paths: list[Path]) -> None:
        """Reads, transforms and writes files."""
        for path in paths:
            writer = None
            with pq.ParquetFile(path, read_dictionary=list(CODED), pre_buffer=True) as file:
                for batch in file.iter_batches(BATCH, columns=list(KEPT), use_threads=False):
                    released = self.released(batch)
                    writer = writer or pq.ParquetWriter(self.out / path.name, released.schema, compression="zstd")
                    writer.write_batch(released, row_group_size=BATCH)
            if writer is not None:
                writer.close()

    def released(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch as it leaves."""
        columns = {name: batch[name] for name in KEPT}
        located, used = (_spread_mask(batch["tenant_id"], self.on[feature]) for feature in ("location", "usage"))
        columns["event_time"] = _hours(batch["event_time"])
        columns["device_id"] = self.pseudonyms(batch["tenant_id"], batch["device_id"])
        columns["ip_address"] = _networks(batch["ip_address"])
        for name in ("latitude", "longitude"):
            columns[name] = _numbers(batch[name], located, lambda values: np.rint(values * 10) / 10 + 0.0)
        columns["battery_pct"] = _numbers(batch["battery_pct"], used, lambda values: np.floor(values / 10) * 10)
        columns["free_storage_bytes"] = _bins(batch["free_storage_bytes"])
        columns["os_version"] = _mapped(batch["os_version"], _major_minor)
        columns["model"] = _mapped(batch["model"], self._kept)
        return pa.RecordBatch.from_pydict({name: _pruned(column) for name, column in columns.items()})

    def _kept(self, models: pa.Array) -> pa.Array:
        return pa.array([name if name in self.models else OTHER for name in models.to_pylist()])

    def pseudonyms(self, tenants: pa.DictionaryArray, devices: pa.StringArray) -> pa.DictionaryArray:
        """Each distinct (tenant, device) hashed once in the worker's life."""
        coded = devices.dictionary_encode()
        width = len(tenants.dictionary)
        both = pa.array(_whole(coded.indices) * width + _whole(tenants.indices)).dictionary_encode()
        pairs = _whole(both.dictionary)
        names = coded.dictionary.take(pa.array(pairs // width))
        hashed = self._hashed(tenants.dictionary.to_pylist(), pairs % width, names.to_pylist())
        return pa.DictionaryArray.from_arrays(both.indices, hashed)

    def _hashed(self, tenants: list[str], codes: Any, devices: list[str]) -> pa.StringArray:
        inner, outer = (hashlib.sha256(pad) for pad in pads(self.secret))
        states = [inner.copy() for _ in tenants]
        for tenant, state in zip(tenants, states, strict=True):
            state.update(beginning(tenant))
        memory = [self.known.setdefault(tenant, {}) for tenant in tenants]
        digests = []
        for code, device in zip(codes.tolist(), devices, strict=True):
            digest = memory[code].get(device)
            if digest is None:
                first, second, form = states[code].copy(), outer.copy(), b"t" + device.encode()
                first.update(len(form).to_bytes(8, "big") + form)
                second.update(first.digest())
                digest = memory[code][device] = second.digest()[:WIDTH]
            digests.append(digest)
        return _base32(digests)


def _base32(digests: list[bytes]) -> pa.StringArray:
    """All of them at once: five bytes are eight letters of five bits."""
    eights = np.zeros((len(digests) * WIDTH // 5, 8), np.uint8)
    eights[:, 3:] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 5)
    whole = eights.view(">u8").astype(np.uint64)
    letters = _LETTERS[((whole >> _SHIFTS) & np.uint64(31)).astype(np.uint8)]
    offsets = np.arange(len(digests) + 1, dtype=np.int32) * np.int32(WIDTH // 5 * 8)
    return pa.StringArray.from_buffers(len(digests), pa.py_buffer(offsets), pa.py_buffer(letters.tobytes()))


_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)
_SHIFTS = np.arange(35, -1, -5).astype(np.uint64)


def _distinct(values: Any) -> Any:
    return pc.unique(pa.array(values)).to_numpy()


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


def _networks(addresses: pa.StringArray) -> pa.DictionaryArray:
    coded = addresses.dictionary_encode()
    texts = coded.dictionary
    is_six = pc.match_substring(texts, ":")
    four = pc.replace_substring_regex(texts.filter(pc.invert(is_six)), r"[0-9]+$", "0")
    six = pc.replace_substring_regex(texts.filter(is_six), "^([^:]*:[^:]*:[^:]*):.*$", r"\1::")
    networks = pc.replace_with_mask(pc.replace_with_mask(texts, is_six, six), pc.invert(is_six), four)
    return _mapped(coded, lambda _: networks)


def _pruned(values: pa.Array) -> pa.Array:
    """Without dictionary entries that no row uses."""
    if not pa.types.is_dictionary(values.type):
        return values
    codes = values.indices.fill_null(len(values.dictionary)).to_numpy(zero_copy_only=False)
    used = np.bincount(codes, minlength=len(values.dictionary) + 1)[:-1] > 0
    if used.all():
        return values
    places = pa.array(np.cumsum(used, dtype=np.int32) - np.int32(1))
    return pa.DictionaryArray.from_arrays(places.take(values.indices), values.dictionary.filter(pa.array(used)))
