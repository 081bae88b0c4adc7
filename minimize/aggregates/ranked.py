"""Counts of values per group beyond the budget, in the order of the values: ranks are counted off a part at a time.

A part is some groups, spread by multiplying, for few values of many groups could not be cut by the values; where many values of
few groups are too many for a part, these are cut by the values, the smaller ones first.
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
_LOW: Final = np.uint64(52)
"""Bits that the values have in the word that says which part; the others are the group's."""


class Ranked:
    """How often each value stands in each group. Takes the type of the values."""

    def __init__(self, aside: Aside, type_: pa.DataType) -> None:
        self._aside = aside
        self._type = type_
        self._width = width_of(type_)
        self._totals = Vector()
        self._counts = Accumulator(aside, width=self._width + 3, summed=1, keys=self._width + 2)

    def add(self, groups: Codes, values: pa.Array, counts: Codes) -> None:
        """Takes equally long columns in."""
        self._add(groups, ordered(values), counts)

    @classmethod
    def merged(cls, mine: Self | None, other: Self, groups: Codes) -> Self:
        """Both, or other ones alone; `groups[i]` is our code for their group i."""
        ours = cls(other._aside, other._type) if mine is None else mine
        for rows in other._counts.settle():
            theirs = rows.words[:, -2].astype(np.int64)
            ours._add(groups[theirs], rows.words[:, 1:-2], rows.words[:, -1].astype(np.int64))
        return ours

    def at(self, wanted: Callable[[Codes], Codes], groups: Codes) -> pa.Array:
        """The value of each group at the count that `wanted` gives for the group's total; null for no values."""
        totals = self._totals.of(groups)
        aims = np.zeros(int(groups.max(initial=-1)) + 1, np.int64)
        aims[groups] = np.where(totals > 0, wanted(totals), 0)
        found = np.zeros((len(aims), self._width), np.uint64)
        running = np.zeros(len(aims), np.int64)
        for rows in self._counts.settle():
            _count_off(rows.words, aims, running, found)
        values = values_of(found[groups], self._type)
        return values.take(pa.array(np.arange(len(groups)), mask=totals == 0))

    def _add(self, groups: Codes, values: Words, counts: Codes) -> None:
        self._totals.weigh(groups, counts.astype(np.float64))
        owners = groups.astype(np.uint64)
        part = (owners * _ODD >> _LOW << _LOW) | (values[:, 0] >> (np.uint64(64) - _LOW))
        self._counts.add(Rows(np.column_stack([part, values, owners, counts.astype(np.uint64)])))


def _count_off(words: Words, aims: Codes, running: Codes, found: Words) -> None:
    """Goes on counting where the values before have left off; enters the values with which groups reach their aims."""
    words = words[words[:, -2] < len(aims)]
    words = words[np.argsort(words[:, -2], kind="stable")]
    owners, counts = words[:, -2].astype(np.int64), words[:, -1].astype(np.int64)
    totals = np.cumsum(counts)
    starts = np.maximum.accumulate(np.where(changes(owners), np.arange(len(owners)), 0))
    reached = totals - (totals - counts)[starts] + running[owners]
    hit = (reached >= aims[owners]) & (reached - counts < aims[owners])
    found[owners[hit]] = words[hit, 1:-2]
    np.add.at(running, owners, counts)
