"""Values as whole numbers around the middle of their bounds."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates.base import ValueBounds, not_nan


def bounds(low: str, high: str) -> ValueBounds:
    return ValueBounds(Decimal(low), Decimal(high))


@pytest.mark.parametrize(
    ("type_", "low", "high", "unit"),
    [
        (pa.int64(), "0", "100", Fraction(1)),
        (pa.uint8(), "-5", "5", Fraction(1)),
        (pa.int64(), "0.5", "100", Fraction("99.5") / (1 << 32)),
        (pa.int64(), "0", str(1 << 33), Fraction(2)),
        (pa.decimal128(9, 2), "0", "9.99", Fraction(1, 100)),
        (pa.decimal128(9, 1), "0", "0.25", Fraction(1, 4) / (1 << 32)),
        (pa.float64(), "-1", "1", Fraction(2, 1 << 32)),
    ],
)
def test_a_unit_divides_the_distance_of_the_bounds(type_: pa.DataType, low: str, high: str, unit: Fraction) -> None:
    found = bounds(low, high)
    assert found.unit(type_) == unit
    assert found.width(type_) * unit == Fraction(found.high - found.low)


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9))
def test_integers_are_exact(low: int, distance: int, values: list[int]) -> None:
    found = ValueBounds(Decimal(low), Decimal(low + distance)).centred(pa.array(values, pa.int64()))
    assert found.tolist() == [2 * min(max(value, low), low + distance) - (2 * low + distance) for value in values]


@given(st.lists(st.decimals(-100, 100, places=2), max_size=9))
def test_decimals_are_exact(values: list[Decimal]) -> None:
    found = bounds("-10", "20.25").centred(pa.array(values, pa.decimal128(9, 2)))
    clipped = [min(max(value, Decimal(-10)), Decimal("20.25")) for value in values]
    assert found.tolist() == [int(200 * value) - 1025 for value in clipped]


@given(st.lists(st.floats(allow_nan=False), max_size=9))
def test_doubles_count_in_units_and_never_beyond_the_bounds(values: list[float]) -> None:
    found = bounds("-1.5", "2.5").centred(pa.array(values, pa.float64()))
    for value, centred in zip(values, found.tolist(), strict=True):
        exact = Fraction(min(max(value, -1.5), 2.5)) * 2 - 1
        assert abs(Fraction(centred) * 4 / (1 << 32) - exact) <= Fraction(4, 1 << 32)
        assert abs(centred) <= 1 << 32


@pytest.mark.parametrize("type_", [pa.int32(), pa.float64(), pa.decimal128(30, 2), pa.uint64()])
def test_equal_bounds_leave_nothing_to_add_up(type_: pa.DataType) -> None:
    values = pa.array([1, 5, 9]).cast(type_)
    assert bounds("5", "5").centred(values).tolist() == [0, 0, 0]


def test_large_unsigned_integers_count_as_the_upper_bound() -> None:
    values = pa.array([0, 7, 2**64 - 1], pa.uint64())
    assert bounds("0", "10").centred(values).tolist() == [-10, 4, 10]
    assert bounds("0", "10").centred(values.dictionary_encode()).tolist() == [-10, 4, 10]


@pytest.mark.parametrize("is_encoded", [False, True])
@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0, math.inf], None), ([1.0, math.nan, -0.0], [True, False, True])],
)
def test_nan_is_no_value(values: list[float], expected: Any, is_encoded: bool) -> None:
    column = pa.array(values, pa.float64())
    found = not_nan(column.dictionary_encode() if is_encoded else column)
    assert (None if found is None else found.tolist()) == expected
    assert not_nan(pa.array([1, 2])) is None


def test_the_middle_is_between_the_bounds() -> None:
    assert bounds("-1.5", "2.5").middle == Fraction(1, 2)
    assert np.abs(bounds("0", "1").centred(pa.array([0, 1]))).tolist() == [1, 1]
