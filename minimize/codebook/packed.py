"""Codes, and two of them as one integer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]

_LOW = np.int64(0xFFFFFFFF)
_SHIFT = np.int64(32)


def pack(high: Codes, low: Codes) -> Codes:
    """Two codes as one integer; both below 2**31."""
    return (high << _SHIFT) | low


def unpack(packed: Codes) -> tuple[Codes, Codes]:
    """The two codes that `pack` put together."""
    return packed >> _SHIFT, packed & _LOW


def ascending(codes: Codes) -> Codes:
    """The distinct codes in order. Sorting integers is much faster than NumPy's hash table (`numpy.unique`).

    >>> ascending(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(codes)
    return ordered[changes(ordered)]


def are_same(codes: Codes) -> bool:
    """Whether each code stands for itself.

    >>> are_same(np.array([0, 1, 2])), are_same(np.array([0, 2]))
    (True, False)
    """
    return bool(not len(codes) or (codes[-1] == len(codes) - 1 and np.array_equal(codes, np.arange(len(codes)))))


def changes(ordered: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it; the first one does.

    >>> changes(np.array([1, 1, 3])).tolist()
    [True, False, True]
    """
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first
