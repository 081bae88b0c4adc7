"""Integer codes: two of them packed into one integer, distinct ones in order; codes of integers."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]

_LOW = np.int64(0xFFFFFFFF)
_SHIFT = np.int64(32)


def pack_codes(high: Codes, low: Codes) -> Codes:
    """Two codes as one integer; both below 2**31."""
    return (high << _SHIFT) | low


def unpack_codes(packed: Codes) -> tuple[Codes, Codes]:
    """The two codes that `pack_codes` put together."""
    return packed >> _SHIFT, packed & _LOW


def unique_codes(codes: Codes) -> Codes:
    """The distinct codes in order. Sorting integers is much faster than NumPy's hash table (`numpy.unique`).

    >>> unique_codes(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(codes)
    return ordered[run_starts(ordered)]


def is_identity(codes: Codes) -> bool:
    """Whether each code stands for itself.

    >>> is_identity(np.array([0, 1, 2])), is_identity(np.array([0, 2]))
    (True, False)
    """
    return bool(not len(codes) or (codes[-1] == len(codes) - 1 and np.array_equal(codes, np.arange(len(codes)))))


def run_starts(ordered: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it; the first one does.

    >>> run_starts(np.array([1, 1, 3])).tolist()
    [True, False, True]
    """
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


class OrderedIntegers:
    """What tables of codes have in common.

    >>> known = OrderedIntegers()
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


_MIN_SLOTS: Final = 1 << 12
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
"""Fibonacci hashing: integers that stand close together spread."""
_FREE: Final = -1
_SLOTS_PER_INTEGER: Final = 2
"""Slots for each integer, at least."""


class IntegerDictionary(OrderedIntegers):
    """Hands out the codes 0, 1, 2 … to integers from 0 to 2**63 - 1, in the order in which they first come.

    >>> known = IntegerDictionary()
    >>> known.codes(np.array([7, 3])).tolist(), known.codes(np.array([5, 7])).tolist(), known.values.tolist()
    ([0, 1], [2, 0], [7, 3, 5])
    """

    def __init__(self) -> None:
        super().__init__()
        self._slots = np.full(_MIN_SLOTS, _FREE, np.int64)
        self._codes = np.zeros(_MIN_SLOTS, np.int32)

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
        if len(self) * _SLOTS_PER_INTEGER > len(self._slots):
            size = 1 << (len(self) * 2 * _SLOTS_PER_INTEGER - 1).bit_length()
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
