"""Numbers: parameters as exact decimals, columns as doubles, and which type can hold which number."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from minimize.arrow.hashing import null_mask, number_buffer, numpy_type
from minimize.techniques.base import TechniqueResult, failure_mask

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
    found, back = np.unique(narrow.view(bits), return_inverse=True)
    return np.asarray(found.view(kind).astype(np.str_).astype(np.float64)[back], np.float64)


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
    given = pa.array(np.where(bad, 0.0, results).astype(kind), values.type, mask=bad)
    return TechniqueResult(given, failure_mask(bad & ~null_mask(values)))


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
        there = ~gone
        words = results.view(np.uint64)  # times zero or one: removed values become 0.0, also NaN
        np.multiply(words, there, out=words)
        differs &= there
        valid = pa.py_buffer(np.packbits(there, bitorder="little"))
    given = pa.Array.from_buffers(values.type, len(values), [valid, pa.py_buffer(results)])
    return TechniqueResult(given, untreated, int(np.count_nonzero(differs)))


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
