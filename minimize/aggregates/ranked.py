"""Counts of values per group beyond the budget: all of a group's are in one part, where its ranks are counted off.

A part is some groups, spread by multiplying: few values of many groups could not be cut by the values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Self

import numpy as np
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.aggregates.ordered import ordered, values_of, width_of
from minimize.aggregates.vector import Vector
from minimize.codebook import changes
from minimize.spill import Accumulator, Aside, Rows, Words

_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
"""An odd number: groups times it differ, and spread over all parts."""
_BACK: Final = np.uint64(pow(int(_ODD), -1, 1 << 64))


class Ranked:
    """How often each value stands in each group. Takes the type of the values."""

    def __init__(self, aside: Aside, type_: pa.DataType) -> None:
        self._aside = aside
        self._type = type_
        self._width = width_of(type_)
        self._totals = Vector()
        self._counts = Accumulator(aside, width=self._width + 2, summed=1, keys=self._width + 1)

    def add(self, groups: Codes, values: pa.Array, counts: Codes) -> None:
        """Takes equally long columns in."""
        self._add(groups, ordered(values), counts)

    @classmethod
    def merged(cls, mine: Self | None, other: Self, groups: Codes) -> Self:
        """Both, or other ones alone; `groups[i]` is our code for their group i."""
        ours = cls(other._aside, other._type) if mine is None else mine
        for rows in other._counts.settle():
            ours._add(groups[_owners(rows.words)], rows.words[:, 1:-1], rows.words[:, -1].astype(np.int64))
        return ours

    def at(self, wanted: Callable[[Codes], Codes], groups: Codes) -> pa.Array:
        """The value of each group at the count that `wanted` gives for the group's total; null for no values."""
        totals = self._totals.of(groups)
        aims = np.zeros(int(groups.max(initial=-1)) + 1, np.int64)
        aims[groups] = np.where(totals > 0, wanted(totals), 0)
        found = np.zeros((len(aims), self._width), np.uint64)
        for rows in self._counts.settle():
            _count_off(rows.words, aims, found)
        values = values_of(found[groups], self._type)
        return values.take(pa.array(np.arange(len(groups)), mask=totals == 0))

    def _add(self, groups: Codes, values: Words, counts: Codes) -> None:
        self._totals.weigh(groups, counts.astype(np.float64))
        spread = groups.astype(np.uint64) * _ODD
        self._counts.add(Rows(np.column_stack([spread, values, counts.astype(np.uint64)])))


def _count_off(words: Words, aims: Codes, found: Words) -> None:
    """Enters the values with which groups reach their aims. Takes all rows of some groups, those of one in order."""
    owners = _owners(words)
    wanted = owners < len(aims)
    words, owners = words[wanted], owners[wanted]
    counts = words[:, -1].astype(np.int64)
    totals, first = np.cumsum(counts), changes(owners)
    reached = totals - (totals - counts)[np.maximum.accumulate(np.where(first, np.arange(len(owners)), 0))]
    hit = (reached >= aims[owners]) & (reached - counts < aims[owners])
    found[owners[hit]] = words[hit, 1:-1]


def _owners(words: Words) -> Codes:
    """The group of each row."""
    return (words[:, 0] * _BACK).astype(np.int64)
