"""Rejection of records whose event time is too far in the future (`future_time`), for every source format.

Rejection of records whose tenant has no region (`no_region`), in a run for one region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.columns import column_microseconds, microsecond_bounds
from minimize.arrow.dictionaries import Bools, valid_mask
from minimize.arrow.nested import leaf, leaf_values
from minimize.arrow.pointers import Pointer
from minimize.output.folder import MAX_FOLDER_BYTES, partition_folder
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.records import Chunk, PositionUnit, Reject
from minimize.settings.tenants import OutputRegion
from minimize.sources.base import Source
from minimize.sources.files import CheckedSource, reject_records
from minimize.sources.schema_check import add_rejects
from minimize.times import epoch_microseconds

S = TypeVar("S", bound=Source)


def reject_future(source: S, policy: Policy, at: datetime) -> S | CheckedSource:
    """A source whose records with an event time later than `at` plus the policy's `future` are rejected.

    Takes a timezone-aware time. A policy without an event time rejects none.
    """
    if policy.time is None:
        return source
    return CheckedSource(source, FutureLimit(Pointer.parse(policy.time), epoch_microseconds(at + policy.future)))


@dataclass(frozen=True, slots=True)
class FutureLimit:
    """The latest event time that is accepted, in microseconds since 1970, and the place of event times."""

    time: Pointer
    latest: int

    def __call__(self, chunk: Chunk) -> Chunk:
        """The chunk with later records moved to its rejects."""
        times = leaf_values(chunk.records, self.time)
        bounds = microsecond_bounds(times)
        if bounds is None or bounds[1] <= self.latest:
            return chunk
        valid, is_later = valid_mask(times), column_microseconds(times) > self.latest
        late = is_later if valid is None else is_later & valid
        return reject_records(chunk, late, str(self.time), "future_time")


def reject_long_partitions(source: Source, keys: Sequence[str], unit: PositionUnit) -> Source:
    """The source without the records whose value in one of these columns is too long for a folder name (`is_too_long`)."""
    return CheckedSource(source, PartitionCheck(tuple(keys), unit), tuple(keys)) if keys else source


@dataclass(frozen=True, slots=True)
class PartitionCheck:
    """Rejects records whose value in one of these columns is too long for a folder name."""

    keys: tuple[str, ...]
    unit: PositionUnit

    def __call__(self, chunk: Chunk) -> Chunk:
        """The chunk with these records moved to its rejects."""
        bad = np.zeros(chunk.records.num_rows, bool)
        fields: dict[int, str] = {}
        for key in self.keys:
            mask = is_too_long(chunk.records.column(key), key)
            fields = dict.fromkeys(np.flatnonzero(mask).tolist(), f"/{key}") | fields
            bad |= mask
        if not bad.any() or chunk.positions is None:
            return chunk
        places = np.asarray(chunk.positions)
        rejects = [Reject(int(places[row]), self.unit, fields[row], "too_long") for row in sorted(fields)]
        good = pa.array(~bad)
        kept = replace(chunk, records=chunk.records.filter(good), positions=chunk.positions.filter(good))
        return add_rejects(replace(kept, read=chunk.read - len(rejects)), rejects)


def is_too_long(values: pa.Array, key: str) -> Bools:
    """Which values of a column are too long for a folder name. Only values that may be too long are encoded one by one."""
    coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    texts = coded.dictionary
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return np.zeros(len(values), bool)
    most = np.asarray(pc.binary_length(texts).fill_null(0)) * 3 + len(partition_folder(key, "").encode())
    long = np.zeros(len(texts) + 1, bool)
    for place in np.flatnonzero(most > MAX_FOLDER_BYTES).tolist():
        long[place] = len(partition_folder(key, texts[place].as_py()).encode()) > MAX_FOLDER_BYTES
    too_long: Bools = long[coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)]
    return too_long


def reject_without_region(source: Source, job: Pipeline) -> Source:
    """A source whose records are rejected if their tenant has no region. Without a region, the pipeline rejects none."""
    policy = job.policy
    if job.region is None or policy.tenant is None:
        return source
    check = RegionCheck(job.region, policy.fields[policy.tenant].pointer, policy.folding.tenant)
    return CheckedSource(source, check, (policy.tenant,))


@dataclass(frozen=True, slots=True)
class RegionCheck:
    """The regions of tenants, the place of the tenant, and whether case is ignored."""

    region: OutputRegion
    tenant: Pointer
    fold: bool

    def __call__(self, chunk: Chunk) -> Chunk:
        """The chunk with the records of tenants without a region moved to its rejects."""
        assigned = self.region.assigned_mask(leaf(chunk.records, self.tenant).values, fold=self.fold)
        return reject_records(chunk, ~assigned, str(self.tenant), "no_region")
