"""Integers in the order in which they came, where the place of each is its code."""

from __future__ import annotations

import numpy as np

from minimize.codebook.packed import Codes


class InOrder:
    """What tables of codes have in common.

    >>> known = InOrder()
    >>> known.add(np.array([7, 3])).tolist(), known.add(np.array([5])).tolist(), known.values.tolist(), len(known)
    ([0, 1], [2], [7, 3, 5], 3)
    """

    def __init__(self) -> None:
        self._parts: list[Codes] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> Codes:
        """The integer of each code."""
        if len(self._parts) != 1:
            self._parts = [np.concatenate([np.empty(0, np.int64), *self._parts])]
        return self._parts[0]

    def add(self, fresh: Codes) -> Codes:
        """The codes of integers that have none yet, each once."""
        first = self._size
        self._parts.append(fresh)
        self._size += len(fresh)
        return np.arange(first, self._size)
