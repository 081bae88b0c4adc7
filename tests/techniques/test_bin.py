from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques import Context, UnsupportedType
from minimize.techniques.bin import Bin
from minimize.techniques.numeric import can_hold

Run = Callable[..., list[Any]]
CONTEXT = Context("f", datetime(2026, 11, 25, tzinfo=UTC))


def binned(**parameters: Any) -> Bin:
    return Bin.model_validate(parameters)


def test_the_lower_bound_keeps_the_type(run: Run) -> None:
    assert run(binned(width=10), [87.0, 80.0, 79.9, -0.5, None]) == [80.0, 80.0, 70.0, -10.0, None]
    assert run(binned(width=10), [87, -1], pa.int8()) == [80, -10]
    assert run(binned(width=0.5), [Decimal("1.74")], pa.decimal128(5, 2)) == [Decimal("1.50")]


def test_the_middle_is_a_double(run: Run) -> None:
    assert run(binned(width=5, **{"as": "middle"}), [7, -1]) == [7.5, -2.5]


def test_labels_show_the_interval_in_the_shortest_form(run: Run) -> None:
    assert run(binned(width=10, **{"as": "label"}), [87.0]) == ["[80, 90)"]
    assert run(binned(width=0.25, **{"as": "label"}), [-0.1]) == ["[-0.25, 0)"]
    assert run(binned(edges=[1e9, 4e9], **{"as": "label"}), [2 * 10**9]) == ["[1000000000, 4000000000)"]


def test_bins_begin_at_the_origin(run: Run) -> None:
    assert run(binned(width=10, origin=5), [4, 5, 14, 15]) == [-5, 5, 5, 15]
    assert run(binned(width=0.2, origin=0.1), [0.1, 0.29, 0.3]) == [0.1, 0.1, 0.3]


def test_outside_the_edges_is_null_but_not_untreated(run: Run, untreated: Run) -> None:
    edges = binned(edges=[0, 18, 65])
    assert run(edges, [-1, 0, 17, 18, 65, None]) == [None, 0, 0, 18, None, None]
    assert untreated(edges, [-1, 0, 17, 18, 65, None]) == [False] * 6


def test_labels_of_open_bins(run: Run) -> None:
    assert run(binned(edges=[0, 18], **{"as": "label"}), [-0.5, 18.0]) == ["< 0", ">= 18"]


def test_ranks_put_open_bins_at_the_ends() -> None:
    ranks = binned(edges=[0, 18, 65]).ranks(pa.array([-1, 20, 70, None]))
    assert (ranks.type, ranks.to_pylist()) == (pa.float64(), [-math.inf, 18.0, math.inf, None])
    assert binned(width=10, **{"as": "middle"}).ranks(pa.array([87.0])).to_pylist() == [85.0]


def test_only_edges_are_open() -> None:
    assert binned(edges=[0, 1]).is_open
    assert not binned(width=1).is_open


def test_a_value_that_is_no_number_cannot_be_treated(untreated: Run) -> None:
    values = [math.nan, math.inf, -math.inf, None, 1.0]
    assert untreated(binned(width=10), values) == [True, True, True, False, False]
    assert untreated(binned(edges=[0, 10]), values) == [True, True, True, False, False]


def test_a_bound_below_the_type_cannot_be_treated(run: Run, untreated: Run) -> None:
    assert run(binned(width=10), [-128], pa.int8()) == [None]
    assert untreated(binned(width=10), [-128], pa.int8()) == [True]
    assert run(binned(width=10), [-(2**63), 2**63 - 1], pa.int64()) == [None, 9223372036854775800]


def test_bounds_that_the_type_cannot_hold_are_refused() -> None:
    for bins in (binned(width=2.5), binned(edges=[0.5, 10])):
        with pytest.raises(UnsupportedType):
            bins.output_type(pa.int32())
    assert binned(width=2.5, **{"as": "middle"}).output_type(pa.int32()) == pa.float64()
    assert binned(width=2.5, **{"as": "label"}).output_type(pa.int32()) == pa.string()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"width": 1, "edges": [1, 2]},
        {"width": 0},
        {"edges": []},
        {"edges": [2, 1]},
        {"edges": [1, 1]},
        {"edges": [1, 2], "origin": 1},
        {"width": 10, "as": "upper"},
        {"width": 1e-9, "origin": 1e9},
    ],
)
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Bin.model_validate(parameters)


@example(0.30000000000000004, "0.1", "0")
@example(0.3, "0.1", "0")
@example(1e300, "0.1", "0")
@example(-1e17, "10", "5")
@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
    | st.integers(-(10**7), 10**7).map(lambda whole: whole / 100),
    st.sampled_from(["0.1", "0.25", "1", "10", "2.5", "0.3"]),
    st.sampled_from(["0", "5", "0.05", "-0.7"]),
)
def test_doubles_agree_with_fractions(run: Run, number: float, width: str, origin: str) -> None:
    index = (Fraction(repr(number)) - Fraction(origin)) // Fraction(width)
    lower = Fraction(origin) + index * Fraction(width)
    assert run(binned(width=width, origin=origin), [number]) == [float(lower)]
    assert run(binned(width=width, origin=origin, **{"as": "middle"}), [number]) == [float(lower + Fraction(width) / 2)]


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(-50, 50), min_size=2, unique=True).map(sorted),
)
def test_a_bin_contains_its_value(run: Run, number: float, edges: list[int]) -> None:
    [label] = run(binned(edges=edges, **{"as": "label"}), [number])
    if label.startswith("<"):
        assert number < int(label[2:])
    elif label.startswith(">="):
        assert number >= int(label[3:])
    else:
        low, high = label[1:-1].split(", ")
        assert int(low) <= number < int(high)


@given(st.lists(st.integers(-(2**62), 2**62)))
def test_order_is_kept(run: Run, numbers: list[int]) -> None:
    lowers = run(binned(width=7), sorted(numbers), pa.int64())
    assert lowers == sorted(lowers)
    assert all(number - 7 < lower <= number for number, lower in zip(sorted(numbers), lowers, strict=True))


INTEGERS = {f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)}


def some_integers(name: str) -> st.SearchStrategy[list[int | None]]:
    bits = int(name.partition("int")[2])
    low, high = (0, 2**bits - 1) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    near = [number for end in (low, high) for number in range(end - 12, end + 13) if low <= number <= high]
    small = st.integers(max(low, -40), min(high, 40))
    return st.lists(st.none() | small | st.integers(low, high) | st.sampled_from(near), max_size=8)


columns = st.sampled_from(sorted(INTEGERS)).flatmap(
    lambda name: st.tuples(st.just(INTEGERS[name]), some_integers(name))
)


def column(type_: pa.DataType, numbers: list[int | None]) -> pa.Array:
    """The numbers as a slice of a longer array, whose buffers hold numbers under the nulls."""
    whole = pa.array([1, *(1 if number is None else number for number in numbers), 1], type_)
    mask = pa.array([False, *(number is None for number in numbers), False])
    valid = pc.invert(mask).buffers()[1]
    return pa.Array.from_buffers(type_, len(whole), [valid, whole.buffers()[1]])[1:-1]


@given(columns, st.sampled_from([1, 2, 7, 10, 64, 10**9, 10**14 - 1]), st.sampled_from([0, 1, 5, -3, 10**12]))
def test_integers_in_bins_of_one_width_agree_with_exact_numbers(
    numbers: tuple[pa.DataType, list[int | None]], width: int, origin: int
) -> None:
    type_, given_ = numbers
    lowers = [None if number is None else (number - origin) // width * width + origin for number in given_]
    expected = [None if lower is None else lower if can_hold(Fraction(lower), type_) else None for lower in lowers]
    bins = binned(width=width, origin=origin)
    result = bins.apply(column(type_, given_), CONTEXT)
    assert (result.values.type, result.values.to_pylist()) == (type_, expected)
    untreated = [False] * len(given_) if result.untreated is None else result.untreated.to_pylist()
    assert untreated == [lower is not None and value is None for lower, value in zip(lowers, expected, strict=True)]
    assert result.changed == sum(
        value is not None and value != number for value, number in zip(expected, given_, strict=True)
    )
    ranks = bins.ranks(column(type_, given_)).to_pylist()
    assert ranks == [None if lower is None else float(lower) for lower in lowers]
    labels = (
        binned(width=width, origin=origin, **{"as": "label"}).apply(column(type_, given_), CONTEXT).values.to_pylist()
    )
    assert labels == [None if lower is None else f"[{lower}, {lower + width})" for lower in lowers]


EDGES = (-(10**18), -100, -8, 0, 3, 100, 2**31, 10**18)


@given(columns, st.lists(st.sampled_from(EDGES), min_size=1, unique=True).map(sorted), st.booleans())
@example((pa.int64(), [10**18 - 1, 10**18, -(10**18) - 1]), [-(10**18), 0, 10**18], False)
@example((pa.int64(), []), [-(10**18)], True)
def test_integers_between_edges_agree_with_exact_numbers(
    numbers: tuple[pa.DataType, list[int | None]], edges: list[int], many: bool
) -> None:
    type_, given_ = numbers
    edges = [edge for edge in edges if can_hold(Fraction(edge), type_)] or [5]
    edges += range(edges[-1] + 1, edges[-1] + 20) if many and -100 <= edges[-1] < 100 else []
    places = [None if number is None else bisect_right(edges, number) for number in given_]
    bounds = [None, *edges[:-1], None]
    bins = binned(edges=edges)
    result = bins.apply(column(type_, given_), CONTEXT)
    expected = [None if place is None else bounds[place] for place in places]
    assert (result.values.type, result.values.to_pylist()) == (type_, expected)
    assert result.untreated is None
    assert result.changed == sum(
        number is not None and value != number for value, number in zip(expected, given_, strict=True)
    )
    ends = [-math.inf, *map(float, edges[:-1]), math.inf]
    ranks = bins.ranks(column(type_, given_)).to_pylist()
    assert ranks == [None if place is None else ends[place] for place in places]


def test_integers_between_edges_that_are_no_integers(run: Run) -> None:
    edges = binned(edges=[-1.5, 2.5], **{"as": "label"})
    assert run(edges, [-2, -1, 2, 3], pa.int8()) == ["< -1.5", "[-1.5, 2.5)", "[-1.5, 2.5)", ">= 2.5"]
    assert run(edges, [0, 3], pa.uint64()) == ["[-1.5, 2.5)", ">= 2.5"]


def test_a_number_under_a_null_is_not_in_the_result() -> None:
    for bins in (binned(width=10), binned(edges=[0, 10, 20])):
        hidden = pa.Array.from_buffers(pa.int64(), 1, [pa.py_buffer(b"\0"), pa.py_buffer(np.array([987_654]))])
        assert np.frombuffer(bins.apply(hidden, CONTEXT).values.buffers()[1], np.int64).tolist() == [0]


def test_decimals_beyond_the_edges_have_no_bound_and_are_treated_all_the_same(run: Run, untreated: Run) -> None:
    values = [Decimal(number) for number in (5, 15, 25)]
    assert run(binned(edges=[10, 20]), values, pa.decimal128(5, 0)) == [None, Decimal(10), None]
    assert untreated(binned(edges=[10, 20]), values, pa.decimal128(5, 0)) == [False, False, False]


def test_integers_replaced_by_another_or_by_null_are_counted() -> None:
    treated = binned(edges=[10, 20]).apply_column(pa.array([10, 15, 20, 5, None, 10], pa.int64()), CONTEXT)
    assert (treated.values.to_pylist(), treated.changed) == ([10, 10, None, None, None, 10], 3)
