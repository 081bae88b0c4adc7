"""The distinct subjects behind each value of a group: whether enough of them are on both sides of a quantile's rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.aggregates.beyond import Beyond
from minimize.aggregates.combined import Combinations
from minimize.aggregates.ordered import ordered, width_of
from minimize.aggregates.pairs import Pairs
from minimize.spill import Accumulator, Aside, Rows, Words

Mask = npt.NDArray[np.bool_]
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_NOT_BELOW, _NOT_ABOVE, _NOT_AT = range(3)
"""Bits: a row's value is above the result, below it, another one."""


class ValueSubjects:
    """The subjects of each value of each group. Groups, values and subjects are codes that the caller hands out."""

    def __init__(self) -> None:
        self._cells = Combinations(2)
        self._pairs = Pairs()
        self._beyond: _Beyond | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that could be set aside."""
        return self._pairs.nbytes

    def add(self, groups: Codes, values: Codes, subjects: Codes) -> None:
        """Takes rows in. A row without a subject (-1) supports nothing."""
        there = subjects >= 0
        if not there.all():
            groups, values, subjects = groups[there], values[there], subjects[there]
        self._pairs.add(self._cells.encode([groups, values], len(groups)), subjects)

    def merge(self, other: Self, groups: Codes, values: Codes, subjects: Codes) -> None:
        """Takes others in; `groups[i]`, `values[i]` and `subjects[i]` are our codes for their code i."""
        theirs, codes = other._cells.columns()
        cells = self._cells.encode([groups[theirs], values[codes]], len(theirs))
        self._pairs.merge(other._pairs, cells, subjects)
        if other._beyond is not None:
            self._beyond = self._beyond or _Beyond(other._beyond.aside, other._beyond.width)
            self._beyond.merge(other._beyond, groups)

    def set_aside(self, aside: Aside, values: pa.Array, subjects: Words) -> None:
        """Sets everything aside. Takes the value, and the hash of the subject, of each code."""
        self._beyond = self._beyond or _Beyond(aside, width_of(values.type))
        words = ordered(values)
        for owners, codes, some in self._rows():
            self._beyond.add(owners, words[codes], subjects[some])
        self._cells, self._pairs = Combinations(2), Pairs()

    def supported(self, groups: Codes, results: pa.Array, values: pa.Array, below: int, *, exact: bool) -> Mask:
        """Whether each group's result has `below` subjects with a value at or below it, and as many at or above it.

        Takes the value of each code. `exact` demands `below` subjects with exactly the result. Null has no support.
        """
        aims = _Aims.of(groups, results)
        if self._beyond is not None:
            counts: Pairs | Beyond = self._beyond.sides(aims)
        else:
            counts, words = Pairs(), ordered(values)
            for owners, codes, some in self._rows():
                chosen, lacking = aims.compared(owners, words[codes])
                counts.add(owners[chosen], some[chosen], lacking)
        bits = (_NOT_AT,) if exact else (_NOT_BELOW, _NOT_ABOVE)
        found = np.minimum.reduce([counts.distinct(groups, bit) for bit in bits])
        return np.asarray((found >= below) & aims.known[groups], np.bool_)

    def _rows(self) -> Iterator[tuple[Codes, Codes, Codes]]:
        """Each distinct combination of group, value and subject, some at a time."""
        owners, codes = self._cells.columns()
        for cells, subjects in self._pairs.rows():
            yield owners[cells], codes[cells], subjects


class _Aims:
    """The result of each group, to compare values with."""

    def __init__(self, known: Mask, words: Words) -> None:
        self.known = known
        self._words = words

    @classmethod
    def of(cls, groups: Codes, results: pa.Array) -> Self:
        size = int(groups.max(initial=-1)) + 1
        valid: Mask = np.asarray(results.is_valid())
        found = ordered(results.filter(pa.array(valid)))
        known, words = np.zeros(size, np.bool_), np.zeros((size, found.shape[1]), np.uint64)
        known[groups[valid]], words[groups[valid]] = True, found
        return cls(known, words)

    def compared(self, owners: Codes, words: Words) -> tuple[Codes, Codes]:
        """The rows of groups that have a result, and how the value of each compares with it, in bits."""
        chosen = np.flatnonzero(owners < len(self.known))
        chosen = chosen[self.known[owners[chosen]]]
        mine, aim = words[chosen], self._words[owners[chosen]]
        above, under = np.zeros(len(chosen), np.bool_), np.zeros(len(chosen), np.bool_)
        for place in range(mine.shape[1]):
            undecided = ~(above | under)
            above |= undecided & (mine[:, place] > aim[:, place])
            under |= undecided & (mine[:, place] < aim[:, place])
        bits = above.astype(np.int64) << _NOT_BELOW
        bits |= under.astype(np.int64) << _NOT_ABOVE
        bits |= (above | under).astype(np.int64) << _NOT_AT
        return chosen, bits


class _Beyond:
    """The same beyond the budget: subjects by their hashes, values as ordered words."""

    def __init__(self, aside: Aside, width: int) -> None:
        self.aside = aside
        self.width = width
        self._rows = Accumulator(aside, width=5 + width)

    def add(self, groups: Codes, values: Words, subjects: Words) -> None:
        """Takes rows in: the group, the value and the subject's hash of each."""
        owners = groups.astype(np.uint64)
        mixed = owners * _ODD
        for place in range(self.width):
            mixed = (mixed ^ values[:, place]) * _ODD
        hashes = subjects ^ np.column_stack([mixed, mixed * _ODD])
        self._rows.add(Rows(np.column_stack([hashes, subjects, owners, values])))

    def merge(self, other: Self, groups: Codes) -> None:
        """Takes others in; `groups[i]` is our code for their group i."""
        for rows in other._rows.settle():
            self.add(groups[rows.words[:, 4].astype(np.int64)], rows.words[:, 5:], rows.words[:, 2:4])

    def sides(self, aims: _Aims) -> Beyond:
        """The distinct subjects of each group with a result, by how their values compare with it."""
        counts = Beyond(self.aside, bits=3)
        for rows in self._rows.settle():
            owners = rows.words[:, 4].astype(np.int64)
            chosen, lacking = aims.compared(owners, rows.words[:, 5:])
            counts.add(owners[chosen], rows.words[chosen, 2:4], lacking)
        return counts
