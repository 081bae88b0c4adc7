"""Digests by code, and codes by digest: a hash table with open addresses, probed for whole columns at once."""

from __future__ import annotations

import numpy as np

from minimize.codebook.digests import Words
from minimize.codebook.packed import Codes

_LEAST = 1 << 14
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Fibonacci hashing, for digests that are numbers as they came in."""
_FREE = -1


class Index:
    """Hands out the codes 0, 1, 2 … to digests in the order in which they come. Costs what is asked, not what is known."""

    def __init__(self) -> None:
        self._digests = np.empty((2, _LEAST), np.uint64)
        self._slots = np.full(2 * _LEAST, _FREE, np.int32)
        self._known = 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self._digests.nbytes + self._slots.nbytes)

    def codes(self, high: Words, low: Words) -> tuple[Codes, Codes]:
        """The code of each digest, new ones for new digests; and the rows in which the new ones first came."""
        found = self._find(high, low)
        missing = np.flatnonzero(found < 0)
        if not missing.size:
            return found, missing
        rows = self._add(high[missing], low[missing])
        found[missing] = self._known + np.cumsum(rows == np.arange(rows.size))[rows] - 1
        first = missing[rows == np.arange(rows.size)]
        self._known += first.size
        return found, first

    def _find(self, high: Words, low: Words) -> Codes:
        """The code of each digest that is known; -1."""
        codes = np.full(len(high), _FREE, np.int64)
        left, places = np.arange(len(high)), self._places(high)
        while left.size:
            there = self._slots[places]
            taken = there != _FREE
            left, places, there = left[taken], places[taken], there[taken]
            same = (self._digests[0][there] == high[left]) & (self._digests[1][there] == low[left])
            codes[left[same]] = there[same]
            left, places = left[~same], self._next(places[~same])
        return codes

    def _add(self, high: Words, low: Words) -> Codes:
        """Enters digests that are not known; for each the first row that has the same one."""
        self._make_room(len(high))
        rows = np.arange(len(high), dtype=np.int64)
        left, places = rows, self._places(high)
        firsts = rows.copy()
        entered = np.zeros(len(high), np.int64)
        while left.size:
            free = self._slots[places] == _FREE
            # Of several rows for one free slot the first one gets it: NumPy writes in order, so the last must be it.
            self._slots[places[free][::-1]] = -2 - left[free][::-1]
            owner = -2 - self._slots[places].astype(np.int64)
            same = owner >= 0
            same[same] = (high[owner[same]] == high[left[same]]) & (low[owner[same]] == low[left[same]])
            firsts[left[same]] = owner[same]
            entered[left[same]] = places[same]
            left, places = left[~same], self._next(places[~same])
        mine = np.flatnonzero(firsts == rows)
        codes = self._known + np.arange(mine.size)
        self._slots[entered[mine]] = codes
        self._digests[:, codes] = high[mine], low[mine]
        return firsts

    def _make_room(self, more: int) -> None:
        needed = self._known + more
        if needed > self._digests.shape[1]:
            size = max(2 * self._digests.shape[1], 1 << (needed - 1).bit_length())
            grown = np.empty((2, size), np.uint64)
            grown[:, : self._known] = self._digests[:, : self._known]
            self._digests, self._slots = grown, np.full(2 * size, _FREE, np.int32)
            self._enter_all()

    def _enter_all(self) -> None:
        left: Codes = np.arange(self._known, dtype=np.int64)
        places = self._places(self._digests[0][: self._known])
        while left.size:
            free = self._slots[places] == _FREE
            self._slots[places[free]] = left[free]
            lost = self._slots[places] != left
            left, places = left[lost], self._next(places[lost])

    def _places(self, high: Words) -> Codes:
        bits = len(self._slots).bit_length() - 1
        return ((high * _SPREAD) >> np.uint64(64 - bits)).astype(np.int64)

    def _next(self, places: Codes) -> Codes:
        return (places + 1) & (len(self._slots) - 1)
