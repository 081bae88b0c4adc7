"""Decimal grid: exact multiples of a step, on the shortest decimal that reads back the same double.

Points of the grid are the decimals `(k * step + origin) / 10**scale` with whole `step` and `origin`. If the
numerator has at most 15 digits, different points are different doubles, and the division is correctly rounded. Comparing a
double with the double of a point then compares their shortest decimals, so that everything is exact within numpy.
Larger numbers are `hard` and are computed one distinct value at a time with fractions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from minimize.arrow.dictionaries import Bools
from minimize.techniques.numeric import Doubles, Integers

GridIndices = npt.NDArray[np.int64]
MAX_EXACT = 10**15
_NEAREST_MARGIN = 10_000
_BLOCK = 16_384
"""Numbers per block: they and all intermediate results fit into the cache of the processor."""


@dataclass(frozen=True)
class DecimalGrid:
    """The points `(k * step + origin) / 10**scale`."""

    step: int
    origin: int
    scale: int

    @classmethod
    def from_decimals(cls, step: Decimal, origin: Decimal = Decimal(0)) -> DecimalGrid:
        """The grid of these decimals, with the smallest scale that holds both."""
        scale = max(_decimal_places(step), _decimal_places(origin))
        return cls(int(Fraction(step) * 10**scale), int(Fraction(origin) * 10**scale), scale)

    @property
    def is_exact(self) -> bool:
        """Whether step and origin are short enough (14 digits at the common scale) for exact work near the origin."""
        return max(self.step, abs(self.origin)) < MAX_EXACT // 10

    def hard(self, numbers: Doubles) -> npt.NDArray[np.bool_]:
        """The finite numbers that are too large for exact work in doubles."""
        return np.isfinite(numbers) & (np.abs(numbers) >= self._limit)

    def floor(self, numbers: Doubles) -> GridIndices:
        """The `k` of the last point that is not above the number; 0 for numbers that are hard or not finite."""
        usable = np.where(np.isfinite(numbers) & ~self.hard(numbers), numbers, 0.0)
        guess = np.floor((usable * self._unit - self.origin) / self.step).astype(np.int64)
        guess -= usable < self.points(guess)
        return guess + (usable >= self.points(guess + 1))

    def points(self, index: GridIndices) -> Doubles:
        """The doubles of these points."""
        return (index * self.step + self.origin) / self._unit

    def nearest(self, numbers: Doubles) -> tuple[Doubles, Bools]:
        """The doubles of the nearest points, and which are certain: finite, not too large, and not about halfway."""
        near, limit = self.step / self._unit / 2 * (1 - 1 / _NEAREST_MARGIN), self._limit / _NEAREST_MARGIN

        def nearest(some: Doubles) -> tuple[Doubles, Bools]:
            points = self._points(np.rint((some * self._unit - self.origin) / self.step))
            return points, (np.abs(some - points) < near) & (np.abs(some) < limit)

        return _in_blocks(nearest, numbers)

    def below(self, numbers: Doubles, *, middle: bool = False) -> tuple[Doubles, Bools]:
        """The doubles of the last points that are not above (or of the middles to the next points), and which are certain."""
        limit = self._limit

        def below(some: Doubles) -> tuple[Doubles, Bools]:
            index = np.floor((some * self._unit - self.origin) / self.step)
            points = self._points(index)
            sure = (points <= some) & (some < self._points(index + 1)) & (np.abs(some) < limit)
            return self._points(index + 0.5) if middle else points, sure

        return _in_blocks(below, numbers)

    def floor_integers(self, numbers: Integers) -> tuple[Integers, Bools]:
        """The last points that are not above integers, for a scale of 0; and which are too small for 64 bits."""
        shift = self.origin % self.step

        def below(some: Integers) -> tuple[Integers, Bools]:
            rest = some - some // self.step * self.step
            if shift:
                rest = np.where(rest < shift, rest + (self.step - shift), rest - shift)
            points = some - rest
            return points, points > some

        return _in_blocks(below, numbers)

    def _points(self, index: Doubles) -> Doubles:
        """As `points`, of whole numbers (or multiples of 0.5) that are doubles."""
        return (index * self.step + self.origin) / self._unit

    @cached_property
    def _unit(self) -> float:
        return float(10**self.scale)

    @cached_property
    def _limit(self) -> float:
        """The limit from which a number is `hard`."""
        return max(MAX_EXACT - 2 * self.step - abs(self.origin), 0) / self._unit

    def floor_one(self, number: Fraction) -> int:
        """The `k` of the last point that is not above one exact number."""
        return int((number * 10**self.scale - self.origin) // self.step)

    def point(self, index: int) -> Fraction:
        """One point, exactly."""
        return Fraction(index * self.step + self.origin, 10**self.scale)


_Numbers = TypeVar("_Numbers", Doubles, Integers)


def _in_blocks(work: Callable[[_Numbers], tuple[_Numbers, Bools]], numbers: _Numbers) -> tuple[_Numbers, Bools]:
    """The results and the mask of the work on all numbers, block by block."""
    if len(numbers) <= _BLOCK:
        return work(numbers)
    found, mask = np.empty_like(numbers), np.empty(len(numbers), np.bool_)
    for first in range(0, len(numbers), _BLOCK):
        block = slice(first, first + _BLOCK)
        found[block], mask[block] = work(numbers[block])
    return found, mask


def shortest_decimal(number: float) -> Fraction:
    """The shortest decimal that reads back the same double."""
    return Fraction(repr(float(number)))


def nearest_double(number: Fraction) -> float | None:
    """The double nearest to an exact number, or None beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return None


def _decimal_places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def decimal_text(number: Fraction) -> str:
    """A decimal number in its shortest form, without exponent.

    >>> decimal_text(Fraction(80)), decimal_text(Fraction(-1, 2)), decimal_text(Fraction(1, 8))
    ('80', '-0.5', '0.125')
    """
    scale = 0
    while (number * 10**scale).denominator != 1:
        scale += 1
    digits = str(abs(int(number * 10**scale))).rjust(scale + 1, "0")
    whole, part = (digits[:-scale], "." + digits[-scale:]) if scale else (digits, "")
    return ("-" if number < 0 else "") + whole + part
