"""Codes of integers: a hash table with open addresses, looked into for whole columns at once."""

from __future__ import annotations

from typing import Final

import numpy as np

from minimize.codebook.inorder import InOrder
from minimize.codebook.packed import Codes

_LEAST: Final = 1 << 12
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""Fibonacci hashing: integers that stand close together spread."""
_FREE: Final = -1
_ROOM: Final = 2
"""Slots for each integer, at least."""


class Integers(InOrder):
    """Hands out the codes 0, 1, 2 … to integers from 0 to 2**63 - 1, in the order in which they first come.

    >>> known = Integers()
    >>> known.codes(np.array([7, 3])).tolist(), known.codes(np.array([5, 7])).tolist(), known.values.tolist()
    ([0, 1], [2, 0], [7, 3, 5])
    """

    def __init__(self) -> None:
        super().__init__()
        self._slots = np.full(_LEAST, _FREE, np.int64)
        self._codes = np.zeros(_LEAST, np.int32)

    def codes(self, distinct: Codes) -> Codes:
        """The code of each of some integers, none of which comes twice."""
        places = self._places(distinct)
        held = self._slots.take(places)
        left = np.flatnonzero((held != distinct) & (held != _FREE))
        while left.size:
            places[left] = self._next(places[left])
            held[left] = self._slots.take(places[left])
            left = left[(held[left] != distinct[left]) & (held[left] != _FREE)]
        codes: Codes = self._codes.take(places).astype(np.int64)
        fresh = np.flatnonzero(held == _FREE)
        if fresh.size:
            codes[fresh] = self.add(distinct[fresh])
        return codes

    def add(self, fresh: Codes) -> Codes:
        """The codes of integers that have none yet, each once; these are found from now on."""
        added = super().add(fresh)
        first = len(self) - len(fresh)
        if len(self) * _ROOM > len(self._slots):
            size = 1 << (len(self) * 2 * _ROOM - 1).bit_length()
            self._slots, self._codes = np.full(size, _FREE, np.int64), np.zeros(size, np.int32)
            fresh, first = self.values, 0
        self._enter(fresh, first)
        return added

    def _enter(self, fresh: Codes, first: int) -> None:
        """Each into the next free slot: of several that want it, the one that is there afterwards has it."""
        left, places = np.arange(len(fresh)), self._places(fresh)
        while left.size:
            free = self._slots[places] == _FREE
            self._slots[places[free]] = fresh[left[free]]
            there = self._slots[places] == fresh[left]
            self._codes[places[there]] = left[there] + first
            left, places = left[~there], self._next(places[~there])

    def _places(self, integers: Codes) -> Codes:
        bits = len(self._slots).bit_length() - 1
        return ((integers.view(np.uint64) * _SPREAD) >> np.uint64(64 - bits)).view(np.int64)

    def _next(self, places: Codes) -> Codes:
        return (places + 1) & (len(self._slots) - 1)
