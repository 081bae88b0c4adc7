"""The local engine: row groups put together from batches, and one thread per processor for a share of the input each.

Released batches wait until they make a row group, so that they are read, treated and kept in a processor's cache. Batches
that were made with one memory share its dictionary, of which a later batch has more entries. It is scrubbed and written once
for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.aggregates.tally import AggregateTally, EventDayTally
from minimize.arrow.batch import Batch, Stage
from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.hashing import text_offsets
from minimize.engines.base import BatchOutcome, Job, QuarantineSink, SinkFactory
from minimize.engines.passes import (
    InputShare,
    SharedDictionaries,
    aggregate_tallies,
    empty_dictionaries,
    event_day_tallies,
    settle_stages,
    split_shares,
    thread_map,
)
from minimize.sources.base import SINK_CHUNK_ROWS, Reject, Sink, Source
from minimize.stages.release import Release

MAX_BUFFERED_BYTES: Final = 256 << 20
"""Bytes that wait, at most about, before they are written."""
ReleasedLeaves = Mapping[str, pa.Array]


class RowGroupBuffer:
    """The way from the stages to a sink, a row group's worth at a time. Nested records go as they come."""

    def __init__(self, release: Release, sink: Sink) -> None:
        self._release, self._sink = release, sink
        self._parts: list[ReleasedLeaves] = []
        self._rows = self._bytes = 0

    def take(self, batch: Batch) -> None:
        """Takes in what may leave a batch."""
        if not self._release.flat:
            self._sink.write(self._release.columns(batch))
        elif batch.raw.num_rows:
            self._parts.append(batch.released)
            self._rows += batch.raw.num_rows
            self._bytes += sum(map(_column_bytes, batch.released.values()))
            if self._rows >= SINK_CHUNK_ROWS or self._bytes >= MAX_BUFFERED_BYTES:
                self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        parts, self._parts, self._rows, self._bytes = self._parts, [], 0, 0
        if parts:
            self._sink.write(self._release.flat_columns(_drain_columns(parts, self._release.flat)))


def concatenate_arrays(arrays: Sequence[pa.Array]) -> pa.Array:
    """The arrays as one; of dictionary-encoded ones with what their dictionaries have in common told once.

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
    """The columns of all parts, one after the other, each as one; of what was given nothing is held any longer."""
    columns = [[part[key] for part in parts] for key in reversed(keys)]
    parts.clear()
    while columns:
        yield concatenate_arrays(columns.pop())


def _encode_int32(array: pa.Array) -> pa.DictionaryArray:
    """With indices of 32 bits, and no null among the entries."""
    if not pa.types.is_dictionary(array.type) or array.dictionary.null_count:
        return decode_dictionary(array).dictionary_encode()
    if pa.types.is_int32(array.type.index_type):
        return array
    return array.cast(pa.dictionary(pa.int32(), array.type.value_type))


def _unify_dictionaries(
    encoded: Sequence[pa.DictionaryArray], alone: Sequence[bool], shared: pa.Array
) -> tuple[list[pa.DictionaryArray], pa.Array]:
    """The arrays under one dictionary: what some share is looked at once, what others have alone is added."""
    every = pa.DictionaryArray.from_arrays(pa.array(np.arange(len(shared), dtype=np.int32)), shared, safe=False)
    apart = [array for array, own in zip(encoded, alone, strict=True) if own]
    first, *others = pa.chunked_array([every, *apart]).unify_dictionaries().chunks
    left = iter(others)
    return [
        next(left) if own else _recode(array, first) for array, own in zip(encoded, alone, strict=True)
    ], first.dictionary


def _recode(array: pa.DictionaryArray, names: pa.DictionaryArray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(names.indices.take(array.indices), names.dictionary, safe=False)


def _is_prefix(some: pa.Array, more: pa.Array) -> bool:
    """Whether a dictionary is the beginning of another. Mostly both are one piece of memory, which need not be read."""
    if some is more:
        return True
    if (
        pa.types.is_string(some.type)
        and some.type == more.type
        and _text_address(some) == _text_address(more) is not None
    ):
        return bool(np.array_equal(text_offsets(some), text_offsets(more)[: len(some) + 1]))
    return bool(some.equals(more.slice(0, len(some))))


def _text_address(texts: pa.Array) -> int | None:
    """Where the letters of texts without nulls stand."""
    content = texts.buffers()[2]
    return None if texts.null_count or content is None else int(content.address)


def _column_bytes(column: pa.Array) -> int:
    """The bytes of a column; a dictionary is taken as shared."""
    return int(column.indices.nbytes if pa.types.is_dictionary(column.type) else column.nbytes)


def run(job: Job, source: Source, sinks: SinkFactory | None, quarantine: QuarantineSink) -> BatchOutcome:
    """Runs the job over one source: settles what must see everything first, then writes and tallies."""
    stages = settle_stages(job, lambda keys: share_batches(source, keys))
    worker = ShareWorker(job, stages, LockedQuarantine(quarantine), empty_dictionaries(job))
    cut = split_shares(source.parts)
    opened = [(share, None if sinks is None else sinks(number)) for number, share in enumerate(cut)]
    with thread_map(len(opened)) as map_shares:
        first, *others = map_shares(worker, opened)
    while others:
        first.merge(others.pop(0))  # and lets go of it, before everything is settled
    return first.settle()


@dataclass(frozen=True, slots=True)
class ShareWorker:
    """Takes a share of the pieces through the stages, into the share's sink and tallies."""

    job: Job
    stages: tuple[Stage, ...]
    quarantine: QuarantineSink
    dictionaries: SharedDictionaries

    def __call__(self, share: tuple[InputShare, Sink | None]) -> PartitionResult:
        """What came of the share."""
        parts, sink = share
        out = (
            None
            if sink is None
            else RowGroupBuffer(Release(self.job.plan, schema=self.job.records_schema, secret=self.job.row_key), sink)
        )
        done = PartitionResult(
            aggregate_tallies(self.job, self.dictionaries), event_day_tallies(self.job, self.dictionaries)
        )
        for part in parts:
            for chunk in part.read():
                done.outcome.take(part.name, chunk)
                self.quarantine.write(part.name, chunk.rejects)
                batch = Batch(chunk.records, source=part.name)
                for stage in self.stages:
                    batch = stage(batch)
                done.observe(batch)
                if out is not None:
                    out.take(batch)
                del chunk, batch  # or they would stay in memory while the next one is read
        if out is not None:
            out.flush()
        return done


@dataclass(slots=True)
class PartitionResult:
    """What came of a share: counts, and tallies that have not settled."""

    tallies: Mapping[str, AggregateTally]
    late: Mapping[str, EventDayTally] = field(default_factory=dict)
    outcome: BatchOutcome = field(default_factory=BatchOutcome)

    def observe(self, batch: Batch) -> None:
        """Takes in a batch behind all stages."""
        self.outcome.counts += batch.counts
        self.outcome.written += batch.raw.num_rows
        for tally in self.tallies.values():
            tally.observe(batch)
        for days in self.late.values():
            days.observe(batch)

    def merge(self, other: PartitionResult) -> None:
        """Takes in what came of another share."""
        self.outcome.add(other.outcome)
        for name, tally in other.tallies.items():
            self.tallies[name].merge(tally)
        for name, days in other.late.items():
            self.late[name].merge(days)

    def settle(self) -> BatchOutcome:
        """What came of all shares. What waits for other batches does not settle yet."""
        self.outcome.late = self.late
        self.outcome.aggregates = {name: tally.settle() for name, tally in self.tallies.items()}
        return self.outcome


class LockedQuarantine:
    """A quarantine that several threads may write to."""

    def __init__(self, quarantine: QuarantineSink) -> None:
        self._quarantine = quarantine
        self._lock = threading.Lock()

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Takes the rejects of one part."""
        with self._lock:
            self._quarantine.write(source, rejects)


def share_batches(source: Source, keys: Collection[str] | None = None) -> list[Iterable[Batch]]:
    """The good records of a source in shares, with no more than these fields where some are named: for a look only."""
    return [_read_share(share) for share in split_shares((source if keys is None else source.only(keys)).parts)]


def read_batches(source: Source) -> Iterator[Batch]:
    """The good records of a source, one batch after another."""
    return _read_share(source.parts)


def _read_share(share: InputShare) -> Iterator[Batch]:
    for part in share:
        for chunk in part.read():
            yield Batch(chunk.records, source=part.name)
            del chunk  # or it would stay in memory while the next one is read
