"""Suppression of small groups: rows whose groups may still be suppressed, and figures of one table that disclose a small group
by difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import MeasureTally
from minimize.aggregates.cells import CellMeasure
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure
from minimize.arrow.dictionaries import Bools, Codes
from minimize.arrow.hashing import SPREAD_FACTOR
from minimize.spill import Accumulator, HashedRows, HashWords, SpillSpace

LargeGroups = Callable[[], npt.NDArray[np.bool_]]
"""Whether each group has enough subjects so far."""

_MIN_PENDING = 1 << 18


def has_enough_subjects(subjects: Codes, below: int) -> Bools:
    """The groups that may be published: those with at least `below` distinct subjects. All others are suppressed.

    >>> has_enough_subjects(np.array([9, 10, 11]), 10).tolist()
    [False, True, True]
    """
    return np.greater_equal(subjects, below)


class PendingRecords:
    """Pairs of a record (a number of its own) and a group that is still too small."""

    def __init__(self) -> None:
        self._records: Codes = np.empty(0, np.int64)
        self._groups: Codes = np.empty(0, np.int64)
        self._next = 0
        self._limit = _MIN_PENDING
        self._gone = 0
        self._beyond: Accumulator | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return int(self._records.nbytes + self._groups.nbytes)

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Spills all pairs. Later records are other ones."""
        if len(self._records):
            records = (self._records + self._gone).astype(np.uint64) * SPREAD_FACTOR
            self._put(space, np.column_stack([records, self._groups.astype(np.uint64)]))
        self._gone += self._next
        self._records = self._groups = np.empty(0, np.int64)
        self._next = 0

    def add(self, records: Codes, groups: Codes, large_groups: LargeGroups) -> None:
        """Adds the records of a batch, each once per group."""
        self._records = np.concatenate([self._records, records + self._next])
        self._groups = np.concatenate([self._groups, groups])
        self._next = int(self._records.max(initial=self._next - 1)) + 1
        if len(self._records) > self._limit:
            self._forget(large_groups())
            self._limit = max(_MIN_PENDING, 2 * len(self._records))

    def merge(self, other: Self, groups: Codes, large_groups: LargeGroups) -> None:
        """Merges others; `groups[i]` is the code here for their group i."""
        self.add(other._records, groups[other._groups], large_groups)
        if other._beyond is not None:
            for rows in other._beyond.settle():
                records = rows.words[:, 0] + np.uint64(self._gone * int(SPREAD_FACTOR) % (1 << 64))
                ours = groups[rows.words[:, 1].astype(np.int64)]
                self._put(other._beyond.aside, np.column_stack([records, ours.astype(np.uint64)]))
        self._gone += other._gone

    def count_lost(self, large: npt.NDArray[np.bool_]) -> int:
        """The number of records in no published group."""
        self._forget(large)
        parts = () if self._beyond is None else self._beyond.settle()
        return len(np.unique(self._records)) + sum(_count_lost(rows, large) for rows in parts)

    def _put(self, space: SpillSpace, words: HashWords) -> None:
        self._beyond = self._beyond or Accumulator(space, width=2)
        self._beyond.add(HashedRows(words))

    def _forget(self, large: npt.NDArray[np.bool_]) -> None:
        decided = np.zeros(self._next, np.bool_)
        decided[self._records[large[self._groups]]] = True
        left = ~decided[self._records]
        self._groups = self._groups[left]
        self._records = np.unique(self._records[left], return_inverse=True)[1].astype(np.int64)
        self._next = int(self._records.max(initial=-1)) + 1


def _count_lost(rows: HashedRows, large: npt.NDArray[np.bool_]) -> int:
    """The number of records of a part in no published group. The pairs of a record are in one part, one after another."""
    if not len(rows):
        return 0
    records, groups = rows.words[:, 0], rows.words[:, 1].astype(np.int64)
    starts = np.flatnonzero(np.append(True, records[1:] != records[:-1]))
    return int((~np.logical_or.reduceat(large[groups], starts)).sum())


def additional_measures(definition: AggregateDefinition) -> Iterator[BoundMeasure]:
    """Measures that are tallied but not published by the table."""
    for kind in _cell_measures(definition):
        yield from kind.additional_measures(definition)


def suppressed_measures(
    definition: AggregateDefinition, tallies: Mapping[BoundMeasure, MeasureTally], groups: Codes
) -> Iterator[tuple[BoundMeasure, Bools]]:
    """Measures that become null in some of these groups, each with a mask over the groups."""
    below = max(definition.below, definition.related_below, 1)
    for kind in _cell_measures(definition):
        yield from kind.suppressed_measures(definition, tallies, groups, below)


def _cell_measures(definition: AggregateDefinition) -> list[type[CellMeasure]]:
    """The classes of the cell measures of the same groups."""
    measures = (each.measure for each in (*definition.measures.values(), *definition.related_measures))
    return list(dict.fromkeys(type(measure) for measure in measures if isinstance(measure, CellMeasure)))
