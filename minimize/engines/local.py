"""The local engine: assembles row groups from batches, and runs one thread per processor, each with a share of the input.

Released batches are buffered until they fill a row group, so that each step fits into the processor's cache. Batches
encoded with the same cache share its dictionary, which grows from batch to batch. It is scrubbed and written once
per row group.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.aggregates.tally import AggregateTally, EventDayTally, settle_tables
from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.hashing import stored_offsets
from minimize.engines.base import BatchOutcome, Job, QuarantineSink, SinkFactory
from minimize.engines.passes import (
    InputShare,
    SharedDictionaries,
    aggregate_tallies,
    decide_risk,
    decide_risk_first,
    empty_dictionaries,
    event_day_tallies,
    last_pass_risk_tally,
    settle_stages,
    split_shares,
    thread_map,
    with_bound,
)
from minimize.records import Batch, Reject, Sink, Stage
from minimize.sources.base import SINK_CHUNK_ROWS, Source
from minimize.stages.generalize import Release
from minimize.stages.risk_bound import RiskDecision, RiskTally

MAX_BUFFERED_BYTES: Final = 256 << 20
"""Approximate maximum of bytes that are buffered before they are written."""
ReleasedLeaves = Mapping[str, pa.Array]


class RowGroupBuffer:
    """Collects released batches and writes them to a Parquet sink in row groups. Nested records are written immediately."""

    def __init__(self, release: Release, sink: Sink) -> None:
        self._release, self._sink = release, sink
        self._parts: list[ReleasedLeaves] = []
        self._rows = self._bytes = 0

    def take(self, batch: Batch) -> None:
        """Add the released part of a batch."""
        if not self._release.flat:
            self._sink.write(self._release.columns(batch))
        elif batch.raw.num_rows:
            self._parts.append(batch.released)
            self._rows += batch.raw.num_rows
            self._bytes += sum(map(_column_bytes, batch.released.values()))
            if self._rows >= SINK_CHUNK_ROWS or self._bytes >= MAX_BUFFERED_BYTES:
                self.flush()

    def flush(self) -> None:
        """Write the buffered rows."""
        parts, self._parts, self._rows, self._bytes = self._parts, [], 0, 0
        if parts:
            columns = _drain_columns(parts, self._release.flat)
            self._sink.write(self._release.flat_columns(columns, for_parquet=True))


def concatenate_arrays(arrays: Sequence[pa.Array]) -> pa.Array:
    """The arrays as one. For dictionary-encoded arrays, the common part of their dictionaries is stored once.

    >>> one, more = pa.array(["a", "b"]).dictionary_encode(), pa.array(["a", "b", "c"]).dictionary_encode()
    >>> both = concatenate_arrays([one, more])
    >>> both.indices.to_pylist(), both.dictionary.to_pylist()
    ([0, 1, 0, 1, 2], ['a', 'b', 'c'])
    """
    if len(arrays) == 1:
        return arrays[0]
    if not any(pa.types.is_dictionary(array.type) for array in arrays):
        return pa.concat_arrays(arrays)
    encoded = [_encode_int32(array) for array in arrays]
    longest = max((array.dictionary for array in encoded), key=len)
    alone = [not _is_prefix(array.dictionary, longest) for array in encoded]
    if any(alone):
        encoded, longest = _unify_dictionaries(encoded, alone, longest)
    return pa.DictionaryArray.from_arrays(pa.concat_arrays([array.indices for array in encoded]), longest, safe=False)


def _drain_columns(parts: list[ReleasedLeaves], keys: Sequence[str]) -> Iterator[pa.Array]:
    """The columns of all parts, each concatenated, one after the other.

    Parts of columns already returned are released from memory.
    """
    columns = [[part[key] for part in parts] for key in reversed(keys)]
    parts.clear()
    while columns:
        yield concatenate_arrays(columns.pop())


def _encode_int32(array: pa.Array) -> pa.DictionaryArray:
    """Dictionary-encoded with 32-bit indices, without null among the entries."""
    if not pa.types.is_dictionary(array.type) or array.dictionary.null_count:
        return decode_dictionary(array).dictionary_encode()
    if pa.types.is_int32(array.type.index_type):
        return array
    return array.cast(pa.dictionary(pa.int32(), array.type.value_type))


def _unify_dictionaries(
    encoded: Sequence[pa.DictionaryArray], alone: Sequence[bool], shared: pa.Array
) -> tuple[list[pa.DictionaryArray], pa.Array]:
    """The arrays with one dictionary: shared entries are processed once, and the entries of the other arrays are added."""
    shared_entries = pa.DictionaryArray.from_arrays(
        pa.array(np.arange(len(shared), dtype=np.int32)), shared, safe=False
    )
    apart = [array for array, is_alone in zip(encoded, alone, strict=True) if is_alone]
    first, *others = pa.chunked_array([shared_entries, *apart]).unify_dictionaries().chunks
    unified = iter(others)
    return [
        next(unified) if is_alone else _recode(array, first) for array, is_alone in zip(encoded, alone, strict=True)
    ], first.dictionary


def _recode(array: pa.DictionaryArray, names: pa.DictionaryArray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(names.indices.take(array.indices), names.dictionary, safe=False)


def _is_prefix(some: pa.Array, more: pa.Array) -> bool:
    """Whether a dictionary is the beginning of another. Usually both use the same memory, which then need not be compared."""
    if some is more:
        return True
    if (
        pa.types.is_string(some.type)
        and some.type == more.type
        and _text_address(some) == _text_address(more) is not None
    ):
        return bool(np.array_equal(stored_offsets(some), stored_offsets(more)[: len(some) + 1]))
    return bool(some.equals(more.slice(0, len(some))))


def _text_address(texts: pa.Array) -> int | None:
    """The memory address of the characters of texts without nulls."""
    content = texts.buffers()[2]
    return None if texts.null_count or content is None else int(content.address)


def _column_bytes(column: pa.Array) -> int:
    """The bytes of a column without its dictionary, which is assumed to be shared."""
    return int(column.indices.nbytes if pa.types.is_dictionary(column.type) else column.nbytes)


def run(job: Job, source: Source, sinks: SinkFactory | None, quarantine: QuarantineSink) -> BatchOutcome:
    """Run the job over one source: first settle the tallies that need all rows, then write and tally."""
    shares = partial(share_batches, source)
    stages = settle_stages(job, shares)
    decision = decide_risk_first(job, stages, shares)
    worker = ShareWorker(job, with_bound(job, stages, decision), LockedQuarantine(quarantine), empty_dictionaries(job))
    cut = split_shares(source.parts)
    opened = [(share, None if sinks is None else sinks(number)) for number, share in enumerate(cut)]
    with thread_map(len(opened)) as map_shares:
        first, *others = map_shares(worker, opened)
    while others:
        first.merge(others.pop(0))  # and release it before everything is settled
    return first.settle(job, decision)


@dataclass(frozen=True, slots=True)
class ShareWorker:
    """Runs a share of the pieces through the stages, into the share's sink and tallies."""

    job: Job
    stages: tuple[Stage, ...]
    quarantine: QuarantineSink
    dictionaries: SharedDictionaries

    def __call__(self, share: tuple[InputShare, Sink | None]) -> PartitionResult:
        """Return the result of the share."""
        parts, sink = share
        out = (
            None
            if sink is None
            else RowGroupBuffer(Release(self.job.plan, schema=self.job.records_schema, secret=self.job.row_key), sink)
        )
        result = PartitionResult(
            aggregate_tallies(self.job, self.dictionaries),
            event_day_tallies(self.job, self.dictionaries),
            risk=last_pass_risk_tally(self.job),
        )
        for part in parts:
            for chunk in part.read():
                result.outcome.take(part.name, chunk)
                self.quarantine.write(part.name, chunk.rejects)
                batch = Batch(chunk.records, source=part.name)
                for stage in self.stages:
                    batch = stage(batch)
                result.observe(batch)
                if out is not None:
                    out.take(batch)
                del chunk, batch  # otherwise they stay in memory while the next chunk is read
        if out is not None:
            out.flush()
        return result


@dataclass(slots=True)
class PartitionResult:
    """The result of a share: counts, and tallies that have not settled."""

    tallies: Mapping[str, AggregateTally]
    late: Mapping[str, EventDayTally] = field(default_factory=dict)
    outcome: BatchOutcome = field(default_factory=BatchOutcome)
    risk: RiskTally | None = None
    """The combinations of the records, if their risk is only measured."""

    def observe(self, batch: Batch) -> None:
        """Add a batch that has passed all stages."""
        self.outcome.counts += batch.counts
        self.outcome.written += batch.raw.num_rows
        for tally in self.tallies.values():
            tally.observe(batch)
        for days in self.late.values():
            days.observe(batch)
        if self.risk is not None:
            self.risk.observe(batch)

    def merge(self, result: PartitionResult) -> None:
        """Add the result of another share."""
        self.outcome.add(result.outcome)
        for name, tally in result.tallies.items():
            self.tallies[name].merge(tally)
        for name, days in result.late.items():
            self.late[name].merge(days)
        if self.risk is not None and result.risk is not None:
            self.risk.merge(result.risk)

    def settle(self, job: Job, risk: RiskDecision | None) -> BatchOutcome:
        """The result of all shares. Takes what the bound on risk has decided before.

        Aggregates that wait for other batches do not settle yet.
        """
        self.outcome.risk = risk if self.risk is None else decide_risk(job, self.risk)
        self.outcome.late = self.late
        self.outcome.aggregates = settle_tables(self.tallies, job.noise, job.date)
        return self.outcome


class LockedQuarantine:
    """A quarantine that several threads can write to."""

    def __init__(self, quarantine: QuarantineSink) -> None:
        self._quarantine = quarantine
        self._lock = threading.Lock()

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Write the rejects of one part."""
        with self._lock:
            self._quarantine.write(source, rejects)


def share_batches(source: Source, keys: Collection[str] | None = None) -> list[Iterable[Batch]]:
    """The valid records of a source in shares, for reading only; with `keys`, only these fields."""
    return [_read_share(share) for share in split_shares((source if keys is None else source.only(keys)).parts)]


def read_batches(source: Source) -> Iterator[Batch]:
    """The valid records of a source, batch by batch."""
    return _read_share(source.parts)


def _read_share(share: InputShare) -> Iterator[Batch]:
    for part in share:
        for chunk in part.read():
            yield Batch(chunk.records, source=part.name)
            del chunk  # otherwise it stays in memory while the next chunk is read
