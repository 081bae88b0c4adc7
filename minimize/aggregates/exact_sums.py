"""Exact sums in any order of the rows: integers per group, and sums of numbers per group.

A sum of numbers is kept as digits of 32 bits in windows that begin at powers of 2**32. A double is cut from above, each
digit so many whole units of its window, until nothing is left. An integer has two digits, a decimal's unscaled integer two
for each word of 64 bits. The digits of a batch are added as doubles that stay below 2**53, those of all batches as 64-bit
integers that carry into the next window. Python's unbounded integers put a group's windows together at the end, and one
division rounds once (a superaccumulator: Kulisch, Computer Arithmetic and Validity, 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.dictionaries import Codes, decode_dictionary
from minimize.arrow.hashing import decimal_words


class GroupSums:
    """Integers by group; 0 if nothing was added.

    >>> rows = GroupSums()
    >>> rows.count(np.array([2, 0, 2]))
    >>> rows.select(np.array([0, 1, 2])).tolist()
    [1, 0, 2]
    """

    def __init__(self) -> None:
        self._sums: Codes = np.zeros(0, np.int64)

    @property
    def sums(self) -> Codes:
        """The integer of each group, and zeros for groups that nothing was added to."""
        return self._sums

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

    def merge(self, addends: Self, groups: Codes) -> None:
        """Adds other integers; `groups[i]` is the code here for their group i."""
        ours = groups[: len(addends._sums)]
        self._reach(int(ours.max(initial=-1)) + 1)
        self._sums[ours] += addends._sums[: len(ours)]

    def add(self, sums: Codes) -> None:
        """Adds an integer to each of the first groups."""
        self._reach(len(sums))
        self._sums[: len(sums)] += sums

    def select(self, groups: Codes) -> Codes:
        """The integers of some groups."""
        if len(groups):
            self._reach(int(groups.max()) + 1)
        return self._sums[groups]

    def carry(self) -> Codes | None:
        """Leaves the low 32 bits of each, as a number around 0, and returns the rest in units of 2**32; None if there is none."""
        carried = (self._sums + (1 << 31)) >> 32
        if not carried.any():
            return None
        self._sums = self._sums - (carried << 32)
        return carried

    def _reach(self, groups: int) -> None:
        if groups > len(self._sums):
            grown = np.zeros(max(groups, len(self._sums) * 3 // 2), np.int64)
            grown[: len(self._sums)] = self._sums
            self._sums = grown


_DIGITS_AT_ONCE = 1 << 20
"""Number of 32-bit digits whose sum is below 2**53."""
_SPECIAL_VALUES = (np.inf, -np.inf, np.nan)
_CARRY_INTERVAL = 256
"""Number of additions after which digits are carried, long before 64 bits overflow."""


@dataclass(frozen=True, slots=True)
class ExactTotal:
    """An exact sum: `units` × 2**`exponent`, and whether it holds a NaN or an infinity (then `special` is the sum)."""

    units: int = 0
    exponent: int = 0
    special: float | None = None

    @property
    def integer(self) -> int:
        """The sum of integers (or of a decimal's unscaled integers)."""
        return self.units << self.exponent if self.exponent >= 0 else self.units >> -self.exponent

    def divide_by(self, count: int) -> float:
        """The sum divided by a count, rounded once."""
        if self.special is not None:
            return self.special
        up, down = max(self.exponent, 0), max(-self.exponent, 0)
        return _divide_once(self.units << up, count << down)


class ExactSums:
    """Exact sums per group of doubles, integers or decimals."""

    def __init__(self) -> None:
        self._windows: dict[int, GroupSums] = {}
        self._odd: dict[int, GroupSums] = {}
        self._added = 0

    def add(self, groups: Codes, values: pa.Array) -> None:
        """Adds values without nulls to their groups."""
        values = decode_dictionary(values)
        for first in range(0, len(values), _DIGITS_AT_ONCE):
            self._add(groups[first : first + _DIGITS_AT_ONCE], values[first : first + _DIGITS_AT_ONCE])

    def merge(self, addends: Self, groups: Codes) -> None:
        """Adds other sums; `groups[i]` is the code here for their group i."""
        addends._carry()
        for windows, added_windows in ((self._windows, addends._windows), (self._odd, addends._odd)):
            for place, digits in added_windows.items():
                windows.setdefault(place, GroupSums()).merge(digits, groups)
        self._count()

    def totals(self, groups: Codes) -> list[ExactTotal]:
        """The sum of each of some groups."""
        exponent, units = self._units(groups)
        if not self._odd:
            return [ExactTotal(unit, exponent) for unit in units]
        with np.errstate(invalid="ignore"):  # infinities of both signs result in NaN
            odd = np.sum(
                [_special_sum(digits.select(groups), _SPECIAL_VALUES[place]) for place, digits in self._odd.items()],
                axis=0,
            )
        return [
            ExactTotal(unit, exponent, None if special == 0 else special)
            for unit, special in zip(units, odd.tolist(), strict=True)
        ]

    def _units(self, groups: Codes) -> tuple[int, list[int]]:
        """The power of two of which all sums are multiples, and these multiples."""
        lowest = min(self._windows, default=0)
        units = [0] * len(groups)
        for place, digits in self._windows.items():
            shift = 32 * (place - lowest)
            # A loop over groups: the sum of their windows can exceed 64 bits.
            units = [unit + (digit << shift) for unit, digit in zip(units, digits.select(groups).tolist(), strict=True)]
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
            digits = np.trunc(_scale_by_power(values, -32 * place))
            self._weigh(place, groups, digits)
            values = values - _scale_by_power(digits, 32 * place)
            is_nonzero = values != 0
            largest = float(is_nonzero.any())
            if np.count_nonzero(is_nonzero) * 2 < len(is_nonzero):
                groups, values = groups[is_nonzero], values[is_nonzero]
            place -= 1

    def _add_odd(self, groups: Codes, values: npt.NDArray[np.float64]) -> None:
        for place, odd in enumerate((values == np.inf, values == -np.inf, np.isnan(values))):
            if odd.any():
                self._odd.setdefault(place, GroupSums()).count(groups[odd])

    def _add_words(self, groups: Codes, words: npt.NDArray[np.integer], place: int) -> None:
        wide = words if words.dtype == np.uint64 else words.astype(np.int64, copy=False)
        low, high = wide & wide.dtype.type(0xFFFFFFFF), wide >> wide.dtype.type(32)
        self._weigh(place, groups, low.astype(np.float64))
        if high.any():
            self._weigh(place + 1, groups, high.astype(np.float64))

    def _add_decimals(self, groups: Codes, values: pa.Array) -> None:
        words = decimal_words(values)
        last = words.shape[1] - 1
        for number in range(last):
            self._add_words(groups, words[:, number].view(np.uint64), 2 * number)
        self._add_words(groups, words[:, last], 2 * last)

    def _weigh(self, place: int, groups: Codes, digits: npt.NDArray[np.float64]) -> None:
        self._windows.setdefault(place, GroupSums()).weigh(groups, digits)

    def _count(self) -> None:
        self._added += 1
        if self._added % _CARRY_INTERVAL == 0:
            self._carry()

    def _carry(self) -> None:
        place = min(self._windows, default=0)
        while place <= max(self._windows, default=-1):
            above = self._windows[place].carry() if place in self._windows else None
            if above is not None:
                self._windows.setdefault(place + 1, GroupSums()).add(above)
            place += 1


def _special_sum(counts: Codes, odd: float) -> npt.NDArray[np.float64]:
    return np.where(counts > 0, odd, 0.0)


def _scale_by_power(values: npt.NDArray[np.float64], exponent: int) -> npt.NDArray[np.float64]:
    """The values times a power of two. Normal results are not rounded."""
    return values * 2.0**exponent if -1022 <= exponent <= 1023 else np.ldexp(values, exponent)


def _divide_once(units: int, divisor: int) -> float:
    try:
        return units / divisor
    except OverflowError:
        return float("inf") if units > 0 else float("-inf")
