"""Exact sums: whatever the order and the batches, rounded once."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.aggregates.exact_sums import ExactSums, ExactTotal, GroupSums
from tests.hypothesis_profiles import examples

finite = st.floats(allow_nan=False, allow_infinity=False)


def total(*batches: pa.Array) -> ExactTotal:
    sums = ExactSums()
    for batch in batches:
        sums.add(np.zeros(len(batch), np.int64), batch)
    return sums.totals(np.arange(1))[0]


@given(st.lists(finite, min_size=1, max_size=30), st.integers(0, 30))
def test_a_sum_and_a_mean_of_doubles_are_rounded_once_wherever_it_is_cut(values: list[float], cut: int) -> None:
    array = pa.array(values, pa.float64())
    exact = sum(map(Fraction, values), Fraction())
    for batches in ((array,), (array[:cut], array[cut:]), (array[cut:], array[:cut])):
        assert total(*batches).divide_by(len(values)) == _rounded(exact / len(values))
        assert total(*batches).divide_by(1) == _rounded(exact)


@settings(max_examples=examples(50))
@given(st.lists(finite, max_size=20), st.lists(finite, max_size=20))
def test_sums_that_are_merged_are_those_of_all_values(ours: list[float], theirs: list[float]) -> None:
    one, other = ExactSums(), ExactSums()
    one.add(np.full(len(ours), 1), pa.array(ours, pa.float64()))
    other.add(np.zeros(len(theirs), np.int64), pa.array(theirs, pa.float64()))
    one.merge(other, np.array([1]))
    exact = sum(map(Fraction, [*ours, *theirs]), Fraction())
    assert one.totals(np.array([1]))[0].divide_by(1) == _rounded(exact)


@pytest.mark.parametrize("value", [1.7976931348623157e308, -5e-324, 0.1, -(2.0**62)])
def test_digits_are_handed_on_long_before_they_are_full(value: float) -> None:
    sums, times = ExactSums(), 1000
    for _ in range(times):
        sums.add(np.zeros(3, np.int64), pa.array([value, value, -value]))
    assert sums.totals(np.arange(1))[0].divide_by(times) == value


def test_memory_grows_only_with_the_number_of_groups() -> None:
    sums = ExactSums()
    sums.add(np.arange(100), pa.array(np.linspace(0.0, 1.0, 100)))
    held = len(ForkingPickler.dumps(sums))
    for _ in range(50):
        sums.add(np.arange(100), pa.array(np.linspace(0.0, 1.0, 100)))
    assert len(ForkingPickler.dumps(sums)) <= held + 100


def _rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


@pytest.mark.parametrize("values", [[0.1] * 10, [1e16, 1.0, -1e16], [5e-324, 5e-324]])
def test_sums_are_those_of_fsum(values: list[float]) -> None:
    assert total(pa.array(values)).divide_by(1) == math.fsum(values)


def test_a_sum_may_pass_what_a_double_holds_on_its_way() -> None:
    assert total(pa.array([1e308, 1e308, -1e308])).divide_by(1) == 1e308


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([math.inf, 1.0], math.inf),
        ([-math.inf, 1.0], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, 1.0], math.nan),
    ],
)
def test_infinity_and_nan_count_as_they_do_in_floating_point(values: list[float], expected: float) -> None:
    assert total(pa.array(values)).divide_by(1) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.int64(), [2**63 - 1] * 5),
        (pa.int64(), [-(2**63)] * 5),
        (pa.uint64(), [2**64 - 1] * 5),
        (pa.int8(), [-128, 127, -1]),
    ],
)
def test_sums_of_integers_do_not_overflow(type_: pa.DataType, values: list[int]) -> None:
    assert total(pa.array(values, type_)).integer == sum(values)


@pytest.mark.parametrize("type_", [pa.decimal128(38, 2), pa.decimal256(70, 2), pa.decimal128(5, 2)])
def test_sums_of_decimals_are_exact_from_any_offset(type_: pa.DataType) -> None:
    values = [Decimal("1.10"), Decimal("-999.99"), Decimal("0.01"), Decimal("-0.01"), Decimal("5.00")]
    assert total(pa.array(values, type_)[1:4]).integer == -99999


@settings(max_examples=examples(50))
@given(st.lists(st.decimals("-1e30", "1e30", places=3), max_size=20))
def test_any_decimals_add_up(values: list[Any]) -> None:
    assert total(pa.array(values, pa.decimal128(38, 3))).integer == sum(map(Fraction, values)) * 1000


def test_a_group_without_additions_is_zero() -> None:
    vector = GroupSums()
    vector.add(np.array([1, 2]))
    assert vector.select(np.array([1, 5])).tolist() == [2, 0]


def test_rows_and_weights_are_added_to_their_groups_and_empty_input_to_none() -> None:
    vector, nobody = GroupSums(), np.array([], np.int64)
    vector.count(np.array([4, 3, 4]))
    vector.weigh(np.array([5, 4]), np.array([10.0, -20.0]))
    vector.count(nobody)
    vector.weigh(nobody, np.array([]))
    assert vector.select(np.arange(6)).tolist() == [0, 0, 0, 1, -18, 10]


def test_merging_translates_the_groups() -> None:
    ours, theirs = GroupSums(), GroupSums()
    ours.count(np.array([0, 1, 1]))
    theirs.weigh(np.array([0, 1]), np.array([10.0, -20.0]))
    ours.merge(theirs, np.array([4, 1]))
    assert ours.select(np.arange(5)).tolist() == [1, -18, 0, 0, 10]


def test_sums_with_more_groups_than_expected_can_be_merged() -> None:
    ours, theirs = GroupSums(), GroupSums()
    for last in (39, 40):
        theirs.count(np.array([0, last]))
    ours.merge(theirs, np.arange(41))
    assert ours.select(np.array([0, 39, 40])).tolist() == [2, 1, 1]


def test_nothing_merges_into_something() -> None:
    ours = GroupSums()
    ours.count(np.array([0]))
    ours.merge(GroupSums(), np.array([], np.int64))
    assert ours.select(np.arange(1)).tolist() == [1]


def test_carried_and_remaining_parts_add_up_to_the_sum() -> None:
    vector, sums = GroupSums(), np.array([5, -5, 2**32 + 7, -(2**40) - 1, 2**31])
    vector.add(sums)
    above = vector.carry()
    assert above is not None
    stays = vector.select(np.arange(5))
    assert (above * 2**32 + stays).tolist() == sums.tolist()
    assert int(np.abs(stays).max()) <= 2**31
    assert vector.carry() is None
