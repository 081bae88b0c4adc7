"""An integer for each group, for as many groups as there are."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import Codes


class Vector:
    """Integers by group, 0 where nothing was added.

    >>> rows = Vector()
    >>> rows.count(np.array([2, 0, 2]))
    >>> rows.of(np.array([0, 1, 2])).tolist()
    [1, 0, 2]
    """

    def __init__(self) -> None:
        self._sums: Codes = np.zeros(0, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self._sums.nbytes)

    def count(self, groups: Codes) -> None:
        """Adds one for each row."""
        if len(groups):
            self._reach(int(groups.max()) + 1)
            np.add.at(self._sums, groups, 1)

    def weigh(self, groups: Codes, weights: npt.NDArray[np.float64]) -> None:
        """Adds whole numbers below 2**63."""
        if len(groups):
            self._reach(int(groups.max()) + 1)
            np.add.at(self._sums, groups, weights.astype(np.int64))

    def merge(self, other: Self, groups: Codes) -> None:
        """Adds other integers; `groups[i]` is our code for their group i."""
        ours = groups[: len(other._sums)]
        self._reach(int(ours.max(initial=-1)) + 1)
        self._sums[ours] += other._sums[: len(ours)]

    def add(self, sums: Codes) -> None:
        """Adds an integer to each of the first groups."""
        self._reach(len(sums))
        self._sums[: len(sums)] += sums

    def of(self, groups: Codes) -> Codes:
        """The integers of some groups."""
        if len(groups):
            self._reach(int(groups.max()) + 1)
        return self._sums[groups]

    def carry(self) -> Codes | None:
        """Leaves the low 32 bits of each, as a number around 0, and gives the rest in units of 2**32; None for nothing."""
        rest = (self._sums + (1 << 31)) >> 32
        if not rest.any():
            return None
        self._sums = self._sums - (rest << 32)
        return rest

    def _reach(self, groups: int) -> None:
        if groups > len(self._sums):
            grown = np.zeros(max(groups, len(self._sums) * 3 // 2), np.int64)
            grown[: len(self._sums)] = self._sums
            self._sums = grown
