from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques.numeric import MAX_EXACT, DecimalGrid, nearest_double, shortest_decimal

LATTICES = st.builds(
    DecimalGrid.from_decimals,
    st.sampled_from(["0.1", "0.25", "5", "10", "0.003", "1000000"]).map(Decimal),
    st.sampled_from(["0", "0.5", "-3"]).map(Decimal),
)
NUMBERS = st.one_of(
    st.floats(), st.integers(-(10**6), 10**6).map(lambda number: number / 100), st.integers(-100, 100).map(float)
)


@given(LATTICES, st.lists(NUMBERS, max_size=20))
def test_a_certain_nearest_point_is_the_nearest(lattice: DecimalGrid, numbers: list[float]) -> None:
    with np.errstate(all="ignore"):
        found, sure = lattice.nearest(np.array(numbers, np.float64))
    for number, point, is_sure in zip(numbers, found.tolist(), sure.tolist(), strict=True):
        if is_sure:
            places = shortest_decimal(number) * 10**lattice.scale - lattice.origin
            assert point == nearest_double(lattice.point(round(places / lattice.step)))


@given(LATTICES, st.lists(NUMBERS, max_size=20))
def test_a_certain_last_point_below_is_the_last_one_below(lattice: DecimalGrid, numbers: list[float]) -> None:
    with np.errstate(all="ignore"):
        low, sure = lattice.below(np.array(numbers, np.float64))
        middle, _ = lattice.below(np.array(numbers, np.float64), middle=True)
    for number, point, half, is_sure in zip(numbers, low.tolist(), middle.tolist(), sure.tolist(), strict=True):
        if is_sure:
            index = lattice.floor_one(shortest_decimal(number))
            assert point == nearest_double(lattice.point(index))
            assert half == nearest_double((lattice.point(index) + lattice.point(index + 1)) / 2)


def test_common_numbers_are_beyond_doubt() -> None:
    numbers = np.array([48.8566, 2.3522, -122.4194, 87.0])
    assert DecimalGrid.from_decimals(Decimal("0.1")).nearest(numbers)[1].all()
    assert DecimalGrid.from_decimals(Decimal(10)).below(numbers)[1].all()


def test_ties_what_is_far_out_and_what_is_no_number_are_in_doubt() -> None:
    numbers = np.array([0.25, 1e300, np.nan, np.inf])
    with np.errstate(all="ignore"):
        assert not DecimalGrid.from_decimals(Decimal("0.1")).nearest(numbers)[1].any()
        assert not DecimalGrid.from_decimals(Decimal("0.1")).below(numbers[1:])[1].any()


@pytest.mark.parametrize("step", ["0.1", "0.000001", "1000000"])
def test_numbers_beyond_the_precision_of_doubles_are_uncertain(step: str) -> None:
    lattice = DecimalGrid.from_decimals(Decimal(step))
    far = np.array([MAX_EXACT, -MAX_EXACT, 2 * MAX_EXACT]) / 10**lattice.scale
    assert not lattice.nearest(far)[1].any()
    assert not lattice.below(far)[1].any()
