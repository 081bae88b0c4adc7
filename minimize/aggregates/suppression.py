"""Suppression of small groups: rows whose groups may still be suppressed, and figures of one table that disclose a small group
by difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import MeasureTally
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure
from minimize.aggregates.histogram import Histogram, HistogramTally
from minimize.aggregates.share import Share, ShareTally
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


ShareValue = bool | int | float | str
_SPLITTING_MEASURES = ("share",)
"""Measures that split the hidden cells: each part must be large enough by itself."""
_WHOLE_MEASURES = ("sum", "mean", "quantile", "count_distinct")
"""Measures of all values, including hidden ones."""


def additional_measures(definition: AggregateDefinition) -> Iterator[BoundMeasure]:
    """Measures that are tallied but not published by the table: the parts of shares, and measures of other tables."""
    for shares in _related_shares(definition).values():
        yield from _share_parts(shares)
        yield _make_share(shares[0], _named_values(shares))
    fields = {each.measure.of for each in definition.measures.values()}
    yield from (
        each
        for each in definition.related_measures
        if isinstance(each.measure, Histogram) and each.measure.of in fields
    )


def suppressed_measures(
    definition: AggregateDefinition, tallies: Mapping[BoundMeasure, MeasureTally], groups: Codes
) -> Iterator[tuple[BoundMeasure, Bools]]:
    """Measures that become null in some of these groups, each with a mask over the groups."""
    below = max(definition.below, definition.related_below, 1)
    for shares in _related_shares(definition).values():
        small = np.zeros(len(groups), np.bool_)
        for part in _share_parts(shares):
            small |= _groups_with_few(tallies[part], groups, below)
        small |= _groups_with_few(
            tallies[_make_share(shares[0], _named_values(shares))], groups, below, complement=True
        )
        yield from ((each, small) for each in shares[1:])
    for histogram in dict.fromkeys([*definition.measures.values(), *definition.related_measures]):
        tally = tallies.get(histogram)
        if isinstance(tally, HistogramTally):
            hidden = tally.hidden_subjects(groups)
            for each in definition.measures.values():
                if each.measure.of == histogram.measure.of and each.measure.name in (
                    *_SPLITTING_MEASURES,
                    *_WHOLE_MEASURES,
                ):
                    yield each, (hidden > 0) & ((hidden < below) | (each.measure.name in _SPLITTING_MEASURES))


def _groups_with_few(tally: MeasureTally, groups: Codes, below: int, *, complement: bool = False) -> Bools:
    """The groups in which few subjects have one of the values of a share, or another value."""
    assert isinstance(tally, ShareTally)
    subjects = tally.subjects(groups)[complement]
    return np.asarray((subjects > 0) & (subjects < below), np.bool_)


def _related_shares(definition: AggregateDefinition) -> dict[str, list[BoundMeasure]]:
    """The published shares of the same groups by field, if there are several; the one with the fewest values first."""
    every = [
        each
        for each in (*definition.measures.values(), *definition.related_measures)
        if isinstance(each.measure, Share)
    ]
    found: dict[str, list[BoundMeasure]] = {}
    for each in sorted(
        dict.fromkeys(every), key=lambda each: (len(_share_values(each)), repr(sorted(map(repr, _share_values(each)))))
    ):
        found.setdefault(each.measure.of or "", []).append(each)
    own = {*definition.measures.values()}
    several = (
        len({_share_values(each) for each in shares}) > 1 and own.intersection(shares) for shares in found.values()
    )
    return {of: shares for (of, shares), chosen in zip(found.items(), several, strict=True) if chosen}


def _share_parts(shares: Sequence[BoundMeasure]) -> list[BoundMeasure]:
    """The parts into which shares divide the values that they name."""
    by: dict[tuple[bool, ...], list[ShareValue]] = {}
    for value in _named_values(shares):
        by.setdefault(tuple(value in _share_values(each) for each in shares), []).append(value)
    return [_make_share(shares[0], values) for values in by.values()]


def _named_values(shares: Sequence[BoundMeasure]) -> list[ShareValue]:
    """All values that shares name."""
    return sorted(
        frozenset[ShareValue]().union(*map(_share_values, shares)), key=lambda value: (type(value).__name__, value)
    )


def _make_share(like: BoundMeasure, values: Sequence[ShareValue]) -> BoundMeasure:
    return BoundMeasure(Share(of=like.measure.of or "", is_=tuple(values)), like.type, like.generalized)


def _share_values(share: BoundMeasure) -> frozenset[ShareValue]:
    assert isinstance(share.measure, Share)
    return frozenset(share.measure.is_)
