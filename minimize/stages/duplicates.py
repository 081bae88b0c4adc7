"""Which records are duplicates of each other, and which of them stays: the rule, over whole columns.

In a table of candidates a row is `group` (a digest of what duplicates agree in), `time`, `record`, `row` (a digest of the
whole record), `count` (how many records are equal to it in everything) and `at` (where it stands in its batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import ConfigurationError
from minimize.nested import leaf
from minimize.plan.model import Plan
from minimize.pointer import Pointer
from minimize.stages.canonical import encoded, row_digests
from minimize.techniques.distinct import decoded

Indices = npt.NDArray[np.int64]
NO_TIME = np.iinfo(np.int64).max
PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
ORDER = [(name, "ascending") for name in ("group", "time", "record", "row")]


@dataclass(frozen=True, slots=True)
class Rule:
    """Records that agree in `by` on one UTC day of `time` are duplicates; the earliest stays, then the smaller `record`."""

    by: tuple[Pointer, ...]
    time: Pointer
    record: Pointer | None
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, plan: Plan, key: bytes) -> Rule:
        """The rule of a plan whose pipeline deduplicates. Raises ConfigurationError without event time, or by elements."""
        records = None if plan.pipeline is None else plan.pipeline.records
        rule = None if records is None else records.deduplicate
        if rule is None or plan.policy.time is None:
            raise ConfigurationError("deduplicate wants a policy with `time`", hint="name the field of the event time")
        by = tuple(Pointer.parse(name) for name in rule.by)
        if any(pointer.stars for pointer in by):
            raise ConfigurationError("deduplicate goes by fields of the record", hint="not by those of list elements")
        record = None if plan.policy.record is None else Pointer.parse(plan.policy.record)
        return cls(by, Pointer.parse(plan.policy.time), record, key)

    def candidates(self, raw: pa.RecordBatch) -> pa.Table:
        """The record of each group that stays of these. Only rows that may stay are digested."""
        times, days = _times(leaf(raw, self.time).values)
        groups = _dense([*(_codes(leaf(raw, pointer).values) for pointer in self.by), days])
        records = self._records(raw)
        ranks = pc.rank(records, tiebreaker="dense").to_numpy().astype(np.int64)
        rows = _earliest(groups, times, ranks)
        taken = raw.take(pa.array(rows))
        keys = [*(leaf(taken, pointer).values for pointer in self.by), pa.array(days[rows])]
        table = {
            "group": row_digests(keys, self.key),
            "time": pa.array(times[rows]),
            "record": records.take(pa.array(rows)),
            "row": row_digests([taken.column(name) for name in sorted(taken.schema.names)], self.key),
            "count": pa.repeat(pa.scalar(1, pa.int64()), rows.size),
            "at": pa.array(rows),
        }
        return best(pa.table(table))

    def _records(self, raw: pa.RecordBatch) -> pa.Array:
        """The record ids; without a `record` field they say nothing."""
        if self.record is None:
            return pa.repeat(pa.scalar(0), raw.num_rows)
        return decoded(leaf(raw, self.record).values)


def best(candidates: pa.Table) -> pa.Table:
    """One row per group, the first in order, with the count of all that equal it."""
    if not candidates.num_rows:
        return candidates
    ordered = candidates.take(pc.sort_indices(candidates, sort_keys=ORDER)).combine_chunks()
    starts, leaders = _runs(words(ordered["group"]))
    rows = words(ordered["row"])
    equal = np.where(rows == rows[leaders], ordered["count"].to_numpy(), 0)
    counts = np.add.reduceat(equal, starts)
    first = ordered.take(pa.array(starts))
    return first.set_column(first.schema.get_field_index("count"), "count", pa.array(counts))


def words(digests: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Digests as fixed-width bytes that numpy compares and sorts."""
    array = digests.combine_chunks() if isinstance(digests, pa.ChunkedArray) else digests
    if not len(array):
        return np.empty(0, "S16")
    return np.frombuffer(array.buffers()[1], "S16", len(array), array.offset * 16)


def _times(values: pa.Array) -> tuple[Indices, Indices]:
    """Event times as integers and their UTC days; a null is later than all, on a day of its own."""
    values = decoded(values)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("ms"))
    times: Indices = values.cast(pa.int64()).fill_null(NO_TIME).to_numpy()
    return times, times // PER_DAY[values.type.unit]


def _codes(values: pa.Array) -> Indices:
    """Equal values as equal integers; null has a code, too."""
    if pa.types.is_nested(values.type):
        values = encoded(values)
    if pa.types.is_dictionary(values.type):
        codes = pc.index_in(values.dictionary, value_set=values.dictionary).take(values.indices)
    else:
        codes = values.dictionary_encode().indices
    found: Indices = codes.cast(pa.int64()).fill_null(-1).to_numpy()
    return found


def _dense(columns: Sequence[Indices]) -> Indices:
    """Equal combinations as equal integers."""
    combined = np.zeros(columns[0].size, np.int64)
    for codes in columns:
        values, dense = np.unique(codes, return_inverse=True)
        combined = np.unique(combined * values.size + dense, return_inverse=True)[1].astype(np.int64)
    return combined


def _earliest(groups: Indices, times: Indices, ranks: Indices) -> Indices:
    """The rows that no other row of their group precedes: one per group, more only in a tie."""
    order = np.lexsort((ranks, times, groups))
    _, leaders = _runs(groups[order])
    first = order[leaders]
    rows: Indices = order[(times[order] == times[first]) & (ranks[order] == ranks[first])]
    return rows


def _runs(ordered: npt.NDArray[Any]) -> tuple[Indices, Indices]:
    """Where runs of equal values start, and for each value where its run starts."""
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: ordered.size]
    starts = np.flatnonzero(new)
    return starts, starts[np.cumsum(new) - 1]
