"""Numbers: parameters as exact decimals, columns as doubles, and which type can hold which number.

Decimal grid: exact multiples of a step, on the shortest decimal that reads back the same double.

Points of the grid are the decimals `(k * step + origin) / 10**scale` with whole `step` and `origin`. If the
numerator has at most 15 digits, different points are different doubles, and the division is correctly rounded. Comparing a
double with the double of a point then compares their shortest decimals, so that everything is exact within numpy.
Larger numbers are `hard` and are computed one distinct value at a time with fractions.

Positions: a struct of latitude and longitude in degrees, as two numpy columns and masks of valid and invalid pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Annotated, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.hashing import null_mask, number_buffer, numpy_type
from minimize.techniques.base import Family, TechniqueResult, UnsupportedType, failure_mask, type_family

Number = Annotated[Decimal, Field(ge=Decimal("-1e18"), le=Decimal("1e18"))]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64] | npt.NDArray[np.uint64]


def can_hold(number: Decimal | Fraction, type_: pa.DataType) -> bool:
    """Whether a column of this numeric type can hold the number exactly (doubles hold all, by rounding)."""
    if pa.types.is_floating(type_):
        return True
    scaled = Fraction(number) * (10**type_.scale if pa.types.is_decimal(type_) else 1)
    low, high = _type_range(type_)
    return scaled.denominator == 1 and low <= scaled <= high


def _type_range(type_: pa.DataType) -> tuple[int, int]:
    if pa.types.is_decimal(type_):
        return -(10**type_.precision) + 1, 10**type_.precision - 1
    limits = np.iinfo(numpy_type(type_))
    return int(limits.min), int(limits.max)


def as_doubles(values: pa.Array) -> Doubles:
    """A column of floating numbers as doubles, NaN for null.

    A narrower float is read by its shortest decimal, so that a 32-bit 48.8566 is 48.8566 and not 48.856601715087891.
    """
    if pa.types.is_float64(values.type):
        return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
    kind, bits = (np.float16, np.uint16) if pa.types.is_float16(values.type) else (np.float32, np.uint32)
    narrow = np.asarray(values.to_numpy(zero_copy_only=False)).astype(kind)
    distinct_bits, back = np.unique(narrow.view(bits), return_inverse=True)
    return np.asarray(distinct_bits.view(kind).astype(np.str_).astype(np.float64)[back], np.float64)


def as_integers(values: pa.Array) -> Integers:
    """A column of integers as 64-bit ones, 0 for null."""
    wide, kind = (pa.uint64(), np.uint64) if pa.types.is_uint64(values.type) else (pa.int64(), np.int64)
    numbers: Integers = number_buffer(values if values.type == wide else values.cast(wide), kind)
    return np.where(null_mask(values), 0, numbers) if values.null_count else numbers


def finite_result(values: pa.Array, results: Doubles) -> TechniqueResult:
    """Results as floats of the type of the column. Results that are not finite become null, untreated unless they were null."""
    kind = numpy_type(values.type)
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(results.astype(kind))
    finite = pa.array(np.where(bad, 0.0, results).astype(kind), values.type, mask=bad)
    return TechniqueResult(finite, failure_mask(bad & ~null_mask(values)))


def number_text(value: Decimal | float) -> str:
    """A number for readers, whole numbers with a comma at the thousands.

    >>> number_text(1e9), number_text(Decimal("0.10"))
    ('1,000,000,000', '0.1')
    """
    number = float(value)
    return f"{number:,.0f}" if number.is_integer() else f"{number:g}"


def result_from_doubles(
    values: pa.Array, results: Doubles, certain: npt.NDArray[np.bool_], slowly: Callable[[pa.Array], TechniqueResult]
) -> TechniqueResult:
    """Results for 64-bit floats if they are certain. The others are computed by `slowly`. Null stays null."""
    gone = null_mask(values) if values.null_count else None
    settled = certain if gone is None else certain | gone
    untreated = None
    if np.count_nonzero(settled) < len(values):
        rows = np.flatnonzero(~settled)
        slow = slowly(values.take(pa.array(rows)))
        results[rows] = slow.values.to_numpy(zero_copy_only=False)
        gone = np.zeros(len(values), np.bool_) if gone is None else gone
        gone[rows] = null_mask(slow.values)
        lost = np.zeros(len(values), np.bool_)
        lost[rows] = False if slow.untreated is None else slow.untreated.to_numpy(zero_copy_only=False)
        untreated = failure_mask(lost)
    differs, valid = results != number_buffer(values, np.float64), None
    if gone is not None:
        is_kept = ~gone
        words = results.view(np.uint64)  # times zero or one: removed values become 0.0, also NaN
        np.multiply(words, is_kept, out=words)
        differs &= is_kept
        valid = pa.py_buffer(np.packbits(is_kept, bitorder="little"))
    result = pa.Array.from_buffers(values.type, len(values), [valid, pa.py_buffer(results)])
    return TechniqueResult(result, untreated, int(np.count_nonzero(differs)))


def exact_decimal(number: Fraction) -> Decimal:
    """A number with few decimals as a decimal.

    >>> exact_decimal(Fraction(5, 4))
    Decimal('1.25')
    """
    return Decimal(number.numerator) / Decimal(number.denominator)


def as_decimal(number: Fraction, type_: pa.DataType) -> Decimal | None:
    """An exact number as a decimal of this type, or None if it does not fit."""
    if not can_hold(number, type_):
        return None
    digits = int(number * 10**type_.scale)
    return Decimal(f"{digits}E{-type_.scale}")


def as_number(number: Fraction, type_: pa.DataType) -> Decimal | int | float | None:
    """An exact number as a value of this numeric type, or None if it does not fit."""
    if pa.types.is_decimal(type_):
        return as_decimal(number, type_)
    if pa.types.is_integer(type_):
        return int(number) if can_hold(number, type_) else None
    return as_float(number, type_)


def as_float(number: Fraction, type_: pa.DataType) -> float | None:
    """The nearest float of this width, or None beyond the largest."""
    try:
        with np.errstate(over="ignore"):
            narrow = float(numpy_type(type_).type(float(number)))
    except OverflowError:
        return None
    return narrow if np.isfinite(narrow) else None


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
            distances = some - some // self.step * self.step
            if shift:
                distances = np.where(distances < shift, distances + (self.step - shift), distances - shift)
            points = some - distances
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
    results, mask = np.empty_like(numbers), np.empty(len(numbers), np.bool_)
    for first in range(0, len(numbers), _BLOCK):
        block = slice(first, first + _BLOCK)
        results[block], mask[block] = work(numbers[block])
    return results, mask


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


COARSE_METRES = 10_000
"""A cell of this size or larger does not show whose position it is."""
COARSE_DEGREES = Decimal("0.1")
"""A coordinate in steps of this size or larger does not either."""
_NUMBERS = ("double", "integer", "decimal")


@dataclass(frozen=True, slots=True)
class Positions:
    """Latitudes and longitudes (0 if missing), which pairs are positions, and which are out of range."""

    latitude: Doubles
    longitude: Doubles
    good: npt.NDArray[np.bool_]
    bad: npt.NDArray[np.bool_]


def require_position(type_: pa.DataType, takes: tuple[Family, ...]) -> None:
    """Raises UnsupportedType if a struct is not a pair of numbers."""
    if type_.num_fields != 2 or any(type_family(type_.field(place).type) not in _NUMBERS for place in (0, 1)):
        raise UnsupportedType(takes)


def parse_positions(values: pa.StructArray) -> Positions:
    """The pairs; a null pair, and one with a null in it, is neither good nor bad."""
    latitude, longitude = (_degrees(child) for child in values.flatten())
    is_complete = ~(np.asarray(latitude.is_null()) | np.asarray(longitude.is_null()))
    north, east = (np.asarray(part.fill_null(0.0).to_numpy(zero_copy_only=False)) for part in (latitude, longitude))
    good = is_complete & (np.abs(north) <= 90) & (np.abs(east) <= 180)
    return Positions(np.where(good, north, 0.0), np.where(good, east, 0.0), good, is_complete & ~good)


def _degrees(child: pa.Array) -> pa.Array:
    return decode_dictionary(child).cast(pa.float64(), safe=False)
