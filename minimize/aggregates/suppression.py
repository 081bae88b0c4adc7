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
from minimize.spill import Accumulator, HashedRows, SpillSpace

LargeGroups = Callable[[], npt.NDArray[np.bool_]]
"""Whether each group has enough subjects so far."""

_MAX_PENDING = 1 << 20
"""Pairs in memory."""


def has_enough_subjects(subjects: Codes, below: int) -> Bools:
    """The groups that may be published: those with at least `below` distinct subjects. All others are suppressed.

    >>> has_enough_subjects(np.array([9, 10, 11]), 10).tolist()
    [False, True, True]
    """
    return np.greater_equal(subjects, below)


class PendingRecords:
    """Pairs of a record (a number of its own) and a group, of records of which no group has enough subjects so far."""

    def __init__(self, space: SpillSpace) -> None:
        self._records: Codes = np.empty(0, np.int64)
        self._groups: Codes = np.empty(0, np.int64)
        self._next = 0
        self._rows = Accumulator(space, width=2)

    def add(self, records: Codes, groups: Codes, large_groups: LargeGroups) -> None:
        """Adds the records of a batch, each once per group."""
        self._records = np.concatenate([self._records, records + self._next])
        self._groups = np.concatenate([self._groups, groups])
        self._next = int(self._records.max(initial=self._next - 1)) + 1
        if len(self._records) > _MAX_PENDING:
            self._put_aside(large_groups())

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges others; `groups[i]` is the code here for their group i."""
        other._put_aside(np.zeros(len(groups), np.bool_))
        first = np.uint64(self._next * int(SPREAD_FACTOR) % (1 << 64))
        for rows in other._rows.settle():
            ours = groups[rows.words[:, 1].astype(np.int64)].astype(np.uint64)
            self._rows.add(HashedRows(np.column_stack([rows.words[:, 0] + first, ours])))
        self._next += other._next

    def count_lost(self, large: npt.NDArray[np.bool_]) -> int:
        """The number of records in no published group."""
        self._put_aside(large)
        return sum(_count_lost(rows, large) for rows in self._rows.settle())

    def _put_aside(self, large: npt.NDArray[np.bool_]) -> None:
        """Moves the pairs to the rows, without those of records that have a large group."""
        records = self._records - self._records.min(initial=self._next)
        decided = np.zeros(int(records.max(initial=-1)) + 1, np.bool_)
        decided[records[large[self._groups]]] = True
        kept = np.flatnonzero(~decided[records])
        keys = self._records[kept].astype(np.uint64) * SPREAD_FACTOR
        self._rows.add(HashedRows(np.column_stack([keys, self._groups[kept].astype(np.uint64)])))
        self._records = self._groups = np.empty(0, np.int64)


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
    below = max(definition.below, 1)
    for kind in _cell_measures(definition):
        yield from kind.suppressed_measures(definition, tallies, groups, below)


def _cell_measures(definition: AggregateDefinition) -> list[type[CellMeasure]]:
    """The classes of the cell measures of the same groups."""
    measures = (each.measure for each in definition.measures.values())
    return list(dict.fromkeys(type(measure) for measure in measures if isinstance(measure, CellMeasure)))
