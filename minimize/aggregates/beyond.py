"""Distinct pairs beyond the budget: a group and the hash of a code's value, of which only how many they are is asked."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import Codes
from minimize.spill import Accumulator, Aside, Rows, Words

_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
"""Odd numbers: groups times one of them differ, so that the pairs of one value do."""


class Beyond:
    """Distinct pairs of a group and a hash; of the bits beside equal pairs those stay that all have."""

    def __init__(self, aside: Aside, bits: int) -> None:
        self._aside = aside
        self._bits = bits
        self._pairs = Accumulator(aside, width=4, summed=1, by=np.bitwise_and)
        self._counts: Codes | None = None

    def add(self, groups: Codes, hashes: Words, bits: Codes | None = None) -> None:
        """Takes equally long columns in."""
        self._counts = None
        beside = np.zeros(len(groups), np.uint64) if bits is None else bits.astype(np.uint64)
        owners = groups.astype(np.uint64)
        self._pairs.add(Rows(np.column_stack([hashes ^ _mixed(owners), owners, beside])))

    def copy(self) -> Beyond:
        """The same pairs, to go on by themselves."""
        other = Beyond(self._aside, self._bits)
        other._pairs, other._counts = self._pairs.copy(), self._counts
        return other

    @classmethod
    def merged(cls, mine: Self | None, other: Self, groups: Codes) -> Self:
        """Both, or other ones alone; `groups[i]` is our code for their group i."""
        ours = cls(other._aside, other._bits) if mine is None else mine
        for rows in other._pairs.settle():
            theirs = rows.words[:, 2]
            hashes = rows.words[:, :2] ^ _mixed(theirs)
            ours.add(groups[theirs.astype(np.int64)], hashes, rows.words[:, 3].astype(np.int64))
        return ours

    def regrouped(self, owners: Codes) -> Beyond:
        """The pairs of several groups together: group i becomes `owners[i]`, or is left out (-1)."""
        whole = Beyond(self._aside, self._bits)
        for rows in self._pairs.settle():
            theirs = rows.words[:, 2]
            kept = owners[theirs.astype(np.int64)] >= 0
            some = rows.words[kept]
            hashes = some[:, :2] ^ _mixed(some[:, 2])
            whole.add(owners[some[:, 2].astype(np.int64)], hashes, some[:, 3].astype(np.int64))
        return whole

    def distinct(self, groups: Codes, bit: int | None = None) -> Codes:
        """How many distinct hashes some groups have, or have in a pair that lacks the bit."""
        if self._counts is None:
            self._counts = self._counted()
        column = self._counts[:, 0 if bit is None else bit + 1]
        reach = int(groups.max(initial=-1)) + 1
        return np.append(column, np.zeros(max(0, reach - len(column)), np.int64))[groups]

    def _counted(self) -> Codes:
        """Per group the pairs, and for each bit those that lack it: one look at all of them."""
        counts = np.zeros((0, self._bits + 1), np.int64)
        for rows in self._pairs.settle():
            owners, bits = rows.words[:, 2].astype(np.int64), rows.words[:, 3]
            reach = max(int(owners.max(initial=-1)) + 1, len(counts))
            masks = [np.ones(len(owners), np.bool_), *(_lacks(bits, bit) for bit in range(self._bits))]
            more = np.column_stack([np.bincount(owners[mask], minlength=reach) for mask in masks])
            more[: len(counts)] += counts
            counts = more
        return counts


def _mixed(groups: Words) -> Words:
    return np.column_stack([groups * _ODD[0], groups * _ODD[1]])


def _lacks(bits: Words, bit: int) -> npt.NDArray[np.bool_]:
    return np.asarray(bits & np.uint64(1 << bit) == 0, np.bool_)
