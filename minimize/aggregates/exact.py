"""Sums that are exact: every number becomes a few digits of 32 bits, which add up without rounding in any order.

A digit stands in a window: 32 bits that begin at a power of 2**32. A double is cut from above, each digit so many whole
units of its window, until nothing is left; an integer has two digits, a decimal's unscaled integer two for each
word of 64 bits. The digits of a batch are added as doubles that stay below 2**53, those of all batches as 64-bit integers
that hand on what is above their window; Python's unbounded integers put a group's windows together at the end, and one
division rounds once (a superaccumulator: Kulisch, Computer Arithmetic and Validity, 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.aggregates.vector import Vector

_AT_ONCE = 1 << 20
"""So many digits of 32 bits add up below 2**53."""
_ODD = (np.inf, -np.inf, np.nan)
_OFTEN = 256
"""Digits are handed on after so many additions, long before 64 bits are full."""


@dataclass(frozen=True, slots=True)
class Total:
    """An exact sum: `units` × 2**`exponent`, and whether it holds a NaN or an infinity (then `special` is the sum)."""

    units: int = 0
    exponent: int = 0
    special: float | None = None

    @property
    def integer(self) -> int:
        """The sum of integers (or of a decimal's unscaled integers)."""
        return self.units << self.exponent if self.exponent >= 0 else self.units >> -self.exponent

    def over(self, count: int) -> float:
        """The sum divided by a count, rounded once."""
        if self.special is not None:
            return self.special
        up, down = max(self.exponent, 0), max(-self.exponent, 0)
        return _divide(self.units << up, count << down)


class ExactSums:
    """Exact sums per group of doubles, integers or decimals."""

    def __init__(self) -> None:
        self._windows: dict[int, Vector] = {}
        self._odd: dict[int, Vector] = {}
        self._added = 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in (*self._windows.values(), *self._odd.values()))

    def add(self, groups: Codes, values: pa.Array) -> None:
        """Adds values without nulls to their groups."""
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        for first in range(0, len(values), _AT_ONCE):
            self._add(groups[first : first + _AT_ONCE], values[first : first + _AT_ONCE])

    def merge(self, other: Self, groups: Codes) -> None:
        """Adds other sums; `groups[i]` is our code for their group i."""
        other._carry()
        for mine, theirs in ((self._windows, other._windows), (self._odd, other._odd)):
            for place, digits in theirs.items():
                mine.setdefault(place, Vector()).merge(digits, groups)
        self._count()

    def totals(self, groups: Codes) -> list[Total]:
        """The sum of each of some groups."""
        exponent, units = self._units(groups)
        if not self._odd:
            return [Total(unit, exponent) for unit in units]
        with np.errstate(invalid="ignore"):  # infinities of both signs are no number
            odd = np.sum([_times(digits.of(groups), _ODD[place]) for place, digits in self._odd.items()], axis=0)
        return [
            Total(unit, exponent, None if special == 0 else special)
            for unit, special in zip(units, odd.tolist(), strict=True)
        ]

    def _units(self, groups: Codes) -> tuple[int, list[int]]:
        """The power of two that all sums are multiples of, and how many."""
        lowest = min(self._windows, default=0)
        units = [0] * len(groups)
        for place, digits in self._windows.items():
            shift = 32 * (place - lowest)
            # A loop over groups: what their windows hold together is beyond 64 bits.
            units = [unit + (digit << shift) for unit, digit in zip(units, digits.of(groups).tolist(), strict=True)]
        return 32 * lowest, units

    def _add(self, groups: Codes, values: pa.Array) -> None:
        if pa.types.is_floating(values.type):
            self._add_doubles(groups, values.to_numpy(zero_copy_only=False).astype(np.float64, copy=False))
        elif pa.types.is_decimal(values.type):
            self._add_decimals(groups, values)
        else:
            self._add_words(groups, values.to_numpy(zero_copy_only=False), 0)
        self._count()

    def _add_doubles(self, groups: Codes, values: npt.NDArray[np.float64]) -> None:
        finite = np.isfinite(values)
        if not finite.all():
            self._add_odd(groups[~finite], values[~finite])
            groups, values = groups[finite], values[finite]
        largest = float(np.abs(values).max(initial=0))
        place = -(-(int(np.frexp(largest)[1]) - 32) // 32)
        while largest:
            digits = np.trunc(_scaled(values, -32 * place))
            self._weigh(place, groups, digits)
            values = values - _scaled(digits, 32 * place)
            left = values != 0
            largest = float(left.any())
            if np.count_nonzero(left) * 2 < len(left):
                groups, values = groups[left], values[left]
            place -= 1

    def _add_odd(self, groups: Codes, values: npt.NDArray[np.float64]) -> None:
        for place, odd in enumerate((values == np.inf, values == -np.inf, np.isnan(values))):
            if odd.any():
                self._odd.setdefault(place, Vector()).count(groups[odd])

    def _add_words(self, groups: Codes, words: npt.NDArray[np.integer], place: int) -> None:
        wide = words if words.dtype == np.uint64 else words.astype(np.int64, copy=False)
        low, high = wide & wide.dtype.type(0xFFFFFFFF), wide >> wide.dtype.type(32)
        self._weigh(place, groups, low.astype(np.float64))
        if high.any():
            self._weigh(place + 1, groups, high.astype(np.float64))

    def _add_decimals(self, groups: Codes, values: pa.Array) -> None:
        words = _words(values)
        last = words.shape[1] - 1
        for number in range(last):
            self._add_words(groups, words[:, number].view(np.uint64), 2 * number)
        self._add_words(groups, words[:, last], 2 * last)

    def _weigh(self, place: int, groups: Codes, digits: npt.NDArray[np.float64]) -> None:
        self._windows.setdefault(place, Vector()).weigh(groups, digits)

    def _count(self) -> None:
        self._added += 1
        if self._added % _OFTEN == 0:
            self._carry()

    def _carry(self) -> None:
        place = min(self._windows, default=0)
        while place <= max(self._windows, default=-1):
            above = self._windows[place].carry() if place in self._windows else None
            if above is not None:
                self._windows.setdefault(place + 1, Vector()).add(above)
            place += 1


def _times(counts: Codes, odd: float) -> npt.NDArray[np.float64]:
    return np.where(counts > 0, odd, 0.0)


def _scaled(values: npt.NDArray[np.float64], exponent: int) -> npt.NDArray[np.float64]:
    """The values times a power of two; nothing is rounded where the result is normal."""
    return values * 2.0**exponent if -1022 <= exponent <= 1023 else np.ldexp(values, exponent)


def _words(values: pa.Array) -> npt.NDArray[np.int64]:
    if values.type.bit_width < 128:
        values = values.cast(pa.decimal128(values.type.precision, values.type.scale))
    width = values.type.bit_width // 64
    data = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, width)
    return data[values.offset : values.offset + len(values)]


def _divide(units: int, by: int) -> float:
    try:
        return units / by
    except OverflowError:
        return float("inf") if units > 0 else float("-inf")
