"""Deduplicate: row digests, the rule for duplicates, candidates in memory and spilled, the tally and the stage.

The first pass (a tally) finds the records to keep; the second (the stage that it settles into) keeps them. The records may
come in any order and in any batches, and these may differ between the passes.

A row is encoded as one unambiguous text, independent of the encoding of the columns. A value is its length, a colon and its
text (`3:abc`), null is `-`, a list is its number of elements and their texts, a struct the texts of its children by name.
Whole columns are encoded at once; only the digests are computed one by one.

The columns of a table of candidates:

group   digest of the fields in which duplicates agree
time    event time
record  id of the record
row     digest of the whole record
count   number of records that are equal to it in everything
at      position in the batch
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.plan.model import Plan
from minimize.records import Batch, BatchCounts
from minimize.spill import SpilledPiece, SpillFile, SpillSpace
from minimize.stages.raw_values import filter_records

DIGEST_TYPE = pa.binary(16)
_TEXT_TYPE = pa.large_binary()


def row_digests(columns: Sequence[pa.Array], key: bytes) -> pa.FixedSizeBinaryArray:
    """A 128-bit keyed digest (BLAKE2b, RFC 7693) for each row of these equally long columns.

    >>> one, other = row_digests([pa.array(["ab", "a"]), pa.array(["c", "bc"])], b"k" * 32).to_pylist()
    >>> one == other
    False
    """
    texts = _join_texts([encode_values(column) for column in columns]).to_pylist()
    secret = key if len(key) <= 64 else hashlib.blake2b(key).digest()
    return pa.array([hashlib.blake2b(text, digest_size=16, key=secret).digest() for text in texts], DIGEST_TYPE)


def encode_values(values: pa.Array) -> pa.LargeBinaryArray:
    """The encoded text of each value, never null.

    >>> encode_values(pa.array([[1, None], [], None])).to_pylist()
    [b'2[1:1-]', b'0[]', b'-']
    """
    if pa.types.is_dictionary(values.type):
        return encode_values(values.dictionary).take(values.indices).fill_null(b"-")
    if pa.types.is_struct(values.type):
        return _mark_nulls(values, _encode_struct(values))
    if pa.types.is_map(values.type):
        kind = pa.struct([("key", values.type.key_type), ("value", values.type.item_type)])
        return encode_values(values.cast(pa.list_(kind)))
    if pa.types.is_nested(values.type):
        return _mark_nulls(values, _encode_list(values))
    text = _encode_flat(values)
    return _join_texts([pc.binary_length(text).cast(pa.string()).cast(_TEXT_TYPE), _text_scalar(b":"), text]).fill_null(
        b"-"
    )


def _encode_flat(values: pa.Array) -> pa.LargeBinaryArray:
    """A flat value as bytes; times and dates as numbers."""
    if pa.types.is_fixed_size_binary(values.type):
        return values.cast(pa.binary()).cast(_TEXT_TYPE)
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return values.cast(_TEXT_TYPE)
    if pa.types.is_date32(values.type) or pa.types.is_time32(values.type):
        values = values.cast(pa.int32())
    elif pa.types.is_temporal(values.type):
        values = values.cast(pa.int64())
    return values.cast(pa.large_string()).cast(_TEXT_TYPE)


def _encode_struct(values: pa.StructArray) -> pa.LargeBinaryArray:
    children = dict(zip((field.name for field in values.type.fields), values.flatten(), strict=True))
    return _join_texts(
        [_text_scalar(b"{"), *(encode_values(children[name]) for name in sorted(children)), _text_scalar(b"}")],
        len(values),
    )


def _encode_list(values: pa.Array) -> pa.LargeBinaryArray:
    counts = pc.list_value_length(values).fill_null(0)
    ends = np.concatenate([[0], np.cumsum(counts.to_numpy(zero_copy_only=False))])
    items = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), encode_values(values.flatten()))
    numbers = counts.cast(pa.string()).cast(_TEXT_TYPE)
    return _join_texts([numbers, _text_scalar(b"["), pc.binary_join(items, _text_scalar(b"")), _text_scalar(b"]")])


def _mark_nulls(values: pa.Array, text: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    return pc.if_else(values.is_valid(), text, _text_scalar(b"-"))


def _join_texts(parts: Sequence[pa.Array | pa.Scalar], rows: int | None = None) -> pa.LargeBinaryArray:
    joined = pc.binary_join_element_wise(*parts, _text_scalar(b""))
    return joined if isinstance(joined, pa.Array) else pa.repeat(joined, rows or 0)


def _text_scalar(text: bytes) -> pa.Scalar:
    return pa.scalar(text, _TEXT_TYPE)


Indices = npt.NDArray[np.int64]
NO_TIME = np.iinfo(np.int64).max
UNITS_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
CANDIDATE_ORDER = [(name, "ascending") for name in ("group", "time", "record", "row")]


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """Records that agree in these fields on one UTC day of `time` are duplicates.

    The earliest is kept, then the one with the smaller `record`.
    """

    pointers: tuple[Pointer, ...]
    time: Pointer
    record: Pointer | None
    key: bytes = field(repr=False)

    @classmethod
    def from_plan(cls, plan: Plan, key: bytes) -> DuplicateRule:
        """The rule of a plan with deduplication. Raises ConfigurationError without event time, or for fields of list elements."""
        records = None if plan.pipeline is None else plan.pipeline.records
        rule = None if records is None else records.deduplicate
        if rule is None or plan.policy.time is None:
            raise ConfigurationError(
                "deduplicate needs a policy with `time`", hint="Add `time` with the name of the event time field."
            )
        pointers = tuple(Pointer.parse(name) for name in rule.by)
        if any(pointer.stars for pointer in pointers):
            raise ConfigurationError(
                "deduplicate compares fields of the record, not fields of list elements",
                hint="Remove the fields of list elements from `deduplicate`.",
            )
        record = None if plan.policy.record is None else Pointer.parse(plan.policy.record)
        return cls(pointers, Pointer.parse(plan.policy.time), record, key)

    def candidates(self, raw: pa.RecordBatch) -> pa.Table:
        """The record to keep in each group of this batch. Only candidates are digested."""
        times, days = _event_times(leaf(raw, self.time).values)
        groups = _combination_codes([*(_value_codes(leaf(raw, pointer).values) for pointer in self.pointers), days])
        records = self._records(raw)
        ranks = pc.rank(records, tiebreaker="dense").to_numpy().astype(np.int64)
        rows = _earliest_rows(groups, times, ranks)
        taken = raw.take(pa.array(rows))
        keys = [*(leaf(taken, pointer).values for pointer in self.pointers), pa.array(days[rows])]
        table = {
            "group": row_digests(keys, self.key),
            "time": pa.array(times[rows]),
            "record": records.take(pa.array(rows)),
            "row": row_digests([taken.column(name) for name in sorted(taken.schema.names)], self.key),
            "count": pa.repeat(pa.scalar(1, pa.int64()), rows.size),
            "at": pa.array(rows),
        }
        return select_survivors(pa.table(table))

    def _records(self, raw: pa.RecordBatch) -> pa.Array:
        """The record ids; constant if there is no `record` field."""
        if self.record is None:
            return pa.repeat(pa.scalar(0), raw.num_rows)
        return decode_dictionary(leaf(raw, self.record).values)


def select_survivors(candidates: pa.Table) -> pa.Table:
    """One row per group, the first in order, with the total count of equal rows."""
    if not candidates.num_rows:
        return candidates
    ordered = candidates.take(pc.sort_indices(candidates, sort_keys=CANDIDATE_ORDER)).combine_chunks()
    starts, leaders = _group_runs(digest_words(ordered["group"]))
    rows = digest_words(ordered["row"])
    equal = np.where(rows == rows[leaders], ordered["count"].to_numpy(), 0)
    counts = np.add.reduceat(equal, starts)
    first = ordered.take(pa.array(starts))
    return first.set_column(first.schema.get_field_index("count"), "count", pa.array(counts))


def digest_words(digests: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Digests as fixed-width bytes, which NumPy can compare and sort."""
    array = digests.combine_chunks() if isinstance(digests, pa.ChunkedArray) else digests
    if not len(array):
        return np.empty(0, "S16")
    return np.frombuffer(array.buffers()[1], "S16", len(array), array.offset * 16)


def _event_times(values: pa.Array) -> tuple[Indices, Indices]:
    """Event times as integers and their UTC days. A null is later than all times, on a separate day."""
    values = decode_dictionary(values)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("ms"))
    times: Indices = values.cast(pa.int64()).fill_null(NO_TIME).to_numpy()
    return times, times // UNITS_PER_DAY[values.type.unit]


def _value_codes(values: pa.Array) -> Indices:
    """Equal values as equal integers; null has a code, too."""
    if pa.types.is_nested(values.type):
        values = encode_values(values)
    if pa.types.is_dictionary(values.type):
        codes = pc.index_in(values.dictionary, value_set=values.dictionary).take(values.indices)
    else:
        codes = values.dictionary_encode().indices
    indices: Indices = codes.cast(pa.int64()).fill_null(-1).to_numpy()
    return indices


def _combination_codes(columns: Sequence[Indices]) -> Indices:
    """Equal combinations as equal integers."""
    combined = np.zeros(columns[0].size, np.int64)
    for codes in columns:
        values, dense = np.unique(codes, return_inverse=True)
        combined = np.unique(combined * values.size + dense, return_inverse=True)[1].astype(np.int64)
    return combined


def _earliest_rows(groups: Indices, times: Indices, ranks: Indices) -> Indices:
    """The rows that no other row of their group precedes: one per group, more only if they are tied."""
    order = np.lexsort((ranks, times, groups))
    _, leaders = _group_runs(groups[order])
    first = order[leaders]
    rows: Indices = order[(times[order] == times[first]) & (ranks[order] == ranks[first])]
    return rows


def _group_runs(ordered: npt.NDArray[Any]) -> tuple[Indices, Indices]:
    """The start of each run of equal values, and for each value the start of its run."""
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: ordered.size]
    starts = np.flatnonzero(new)
    return starts, starts[np.cumsum(new) - 1]


PARTITIONS: Final = 64
_WORKING_FACTOR: Final = 4
"""Selecting survivors takes up to this many times the size of the candidates."""
_MIN_BYTES: Final = 1 << 16
"""Bytes that candidates may use in any case."""


@dataclass(slots=True)
class DuplicateCandidates:
    """The candidates, one or a few per group, in bounded memory and, beyond it, in a spill file."""

    space: SpillSpace
    tables: list[pa.Table] = field(default_factory=list, repr=False)
    decided: int = 0
    pieces: dict[int, list[tuple[SpillFile, SpilledPiece]]] = field(default_factory=dict, repr=False)

    def add(self, tables: Sequence[pa.Table]) -> None:
        """Add candidates.

        When their number has doubled, select survivors, so that memory depends on the groups, not the records.
        """
        self.tables.extend(tables)
        if sum(table.num_rows for table in self.tables) > 2 * self.decided:
            self._decide()
            if self._is_full():
                self._set_aside()

    def merge(self, candidates: DuplicateCandidates) -> None:
        """Add the candidates of another tally."""
        for part, pieces in candidates.pieces.items():
            self.pieces.setdefault(part, []).extend(pieces)
        self.add(candidates.tables)

    def survivors(self) -> Iterator[pa.Table]:
        """The record to keep in each group, in parts."""
        if not self.pieces:
            yield from ([select_survivors(pa.concat_tables(self.tables))] if self.tables else [])
            return
        self._set_aside()
        for part in sorted(self.pieces):
            yield select_survivors(
                pa.concat_tables([_read_table(spill_file, piece) for spill_file, piece in self.pieces[part]])
            )

    def _decide(self) -> None:
        if self.tables:
            self.tables = [select_survivors(pa.concat_tables(self.tables))]
            self.decided = self.tables[0].num_rows

    def _is_full(self) -> bool:
        part = self.space.budget.part()
        return part is not None and sum(table.nbytes for table in self.tables) > max(
            part // _WORKING_FACTOR, _MIN_BYTES
        )

    def _set_aside(self) -> None:
        """Spill one piece per partition. The candidates are sorted by group."""
        self._decide()
        for table in self.tables:
            parts = digest_words(table["group"]).view(np.uint8)[::16] // (256 // PARTITIONS)
            edges = np.searchsorted(parts, np.arange(PARTITIONS + 1))
            for part in np.flatnonzero(np.diff(edges)).tolist():
                piece = self.space.spill_file.put(_write_table(table.slice(edges[part], edges[part + 1] - edges[part])))
                self.pieces.setdefault(part, []).append((self.space.spill_file, piece))
        self.tables, self.decided = [], 0


def _write_table(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _read_table(spill_file: SpillFile, piece: SpilledPiece) -> pa.Table:
    return pa.ipc.open_stream(pa.py_buffer(spill_file.get(piece))).read_all()


@dataclass(slots=True)
class DeduplicateTally:
    """Finds, among the records of one batch date, those to keep. It contains digests, event times and record ids."""

    plan: Plan
    rule: DuplicateRule
    candidates: DuplicateCandidates = field(repr=False)

    @classmethod
    def from_plan(cls, plan: Plan, key: bytes, space: SpillSpace | None = None) -> DeduplicateTally:
        """An empty tally. Takes secret bytes for the keyed digests, and the run's spill space (None: no limit).

        Raises ConfigurationError (see `DuplicateRule.from_plan`).
        """
        return cls(
            plan, DuplicateRule.from_plan(plan, key), DuplicateCandidates(SpillSpace(None) if space is None else space)
        )

    def observe(self, batch: Batch) -> None:
        """Add the records of a batch that the gate let through."""
        if batch.raw.num_rows:
            self.candidates.add([self.rule.candidates(batch.raw)])

    def merge(self, tally: DeduplicateTally) -> None:
        """Add the candidates of another tally."""
        self.candidates.merge(tally.candidates)

    def settle(self) -> DeduplicateRecords:
        """The stage that keeps, of all observed records, those that survive."""
        winners = [(digest_words(part["row"]), part["count"].to_numpy()) for part in self.candidates.survivors()]
        rows = np.concatenate([np.empty(0, "S16"), *(rows for rows, _ in winners)])
        counts = np.concatenate([np.empty(0, np.int64), *(counts for _, counts in winners)])
        order = np.argsort(rows)
        return DeduplicateRecords(self.plan, self.rule, rows[order], counts[order])


@dataclass(slots=True)
class DeduplicateRecords:
    """Keeps the surviving records.

    Of records that are equal in everything one is kept: the first of each `counts` records, so that any number of complete passes
    over the same records gives the same result. Threads may share the stage; each process must see all copies of a record.
    """

    plan: Plan
    rule: DuplicateRule
    winners: npt.NDArray[Any] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)
    occurrences: npt.NDArray[np.int64] = field(init=False, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self.occurrences = np.zeros_like(self.counts)

    def __call__(self, batch: Batch) -> Batch:
        """The batch without its duplicates, which are counted."""
        rows = batch.raw.num_rows
        if not rows:
            return batch
        keep = np.zeros(rows, np.bool_)
        keep[self._surviving_rows(self.rule.candidates(batch.raw))] = True
        counts = batch.counts + BatchCounts(deduplicated=rows - int(keep.sum()))
        return filter_records(batch, keep, self.plan).with_(counts=counts)

    def _surviving_rows(self, candidates: pa.Table) -> npt.NDArray[np.int64]:
        """The positions of the surviving candidates in their batch."""
        rows = digest_words(candidates["row"])
        places = np.searchsorted(self.winners, rows)
        is_winner = places < self.winners.size
        is_winner[is_winner] = self.winners[places[is_winner]] == rows[is_winner]
        places, equal = places[is_winner], candidates["count"].to_numpy()[is_winner]
        with self.lock:
            due = -self.occurrences[places] % self.counts[places] < equal
            self.occurrences[places] += equal
        at: npt.NDArray[np.int64] = candidates["at"].to_numpy()[is_winner][due]
        return at
