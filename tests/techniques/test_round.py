from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques import UnsupportedType
from minimize.techniques.round import Round

Run = Callable[..., list[Any]]
WIDE = Context(prec=800, rounding=ROUND_HALF_EVEN)


def by_hand(number: float, step: str) -> float:
    """The nearest multiple of the step, in decimals wide enough for any double."""
    quotient = WIDE.divide(Decimal(repr(number)), Decimal(step))
    return float(WIDE.multiply(quotient.to_integral_value(ROUND_HALF_EVEN, WIDE), Decimal(step))) + 0.0


def test_a_latitude_comes_out_as_people_write_it(run: Run) -> None:
    assert run(Round(to=Decimal("0.1")), [48.8566, 2.3522, None]) == [48.9, 2.4, None]


def test_ties_go_to_the_even_multiple(run: Run) -> None:
    assert run(Round(to=Decimal("0.1")), [0.05, 0.15, 0.25, 0.35, -0.05, 2.675]) == [0.0, 0.2, 0.2, 0.4, 0.0, 2.7]
    assert run(Round(to=Decimal(10)), [5, 15, 25, -5, -15]) == [0, 20, 20, 0, -20]


def test_minus_zero_becomes_zero(run: Run) -> None:
    assert [str(value) for value in run(Round(to=Decimal(1)), [-0.0, -0.3])] == ["0.0", "0.0"]


def test_a_narrow_float_is_read_by_its_own_shortest_decimal(run: Run) -> None:
    assert run(Round(to=Decimal("0.1")), [np.float32(0.25), np.float32(0.05)], pa.float32()) == [np.float32(0.2), 0.0]


def test_a_value_that_is_no_number_cannot_be_treated(untreated: Run) -> None:
    values = [float("nan"), float("inf"), float("-inf"), None, 1.0]
    assert untreated(Round(to=Decimal(1)), values) == [True, True, True, False, False]


def test_a_result_beyond_the_type_cannot_be_treated(run: Run, untreated: Run) -> None:
    assert run(Round(to=Decimal(10)), [127, -128, 124], pa.int8()) == [None, None, 120]
    assert untreated(Round(to=Decimal(10)), [127, -128, 124], pa.int8()) == [True, True, False]
    assert run(Round(to=Decimal(10)), [2**64 - 1, 2**63 - 1], pa.uint64()) == [None, 9223372036854775810]
    assert run(Round(to=Decimal(100)), [2**63 - 1, -(2**63)], pa.int64()) == [9223372036854775800, -9223372036854775800]


def test_decimals_stay_exact(run: Run) -> None:
    values = [Decimal("1.25"), Decimal("-1.35"), Decimal("9.99"), None]
    kept = [Decimal("1.20"), Decimal("-1.40"), None, None]
    assert run(Round(to=Decimal("0.1")), values, pa.decimal128(3, 2)) == kept


def test_a_step_that_the_type_cannot_hold_is_refused() -> None:
    for step, type_ in (
        (Decimal("0.5"), pa.int32()),
        (Decimal("0.25"), pa.decimal128(5, 1)),
        (Decimal(1000), pa.int8()),
    ):
        with pytest.raises(UnsupportedType):
            Round(to=step).output_type(type_)


@pytest.mark.parametrize("step", [0, -1, "nan", "inf", 1e-12, "123456789012345.6", True])
def test_bad_steps_are_refused(step: Any) -> None:
    with pytest.raises(ValidationError):
        Round.model_validate({"to": step})


@example(0.30000000000000004, "0.1")
@example(1e22, "0.1")
@example(5e-324, "0.1")
@example(123456789012.35, "0.1")
@example(1.7976931348623157e308, "0.25")
@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**7), 10**7).map(lambda whole: whole / 1000),
    st.sampled_from(["0.1", "0.25", "0.001", "1", "10", "2.5", "0.3", "1000000"]),
)
def test_doubles_agree_with_decimals(run: Run, number: float, step: str) -> None:
    [rounded] = run(Round(to=Decimal(step)), [number])
    assert repr(rounded) == repr(by_hand(number, step))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 10**12))
def test_integers_agree_with_whole_arithmetic(run: Run, number: int, step: int) -> None:
    below = number // step
    up = 2 * (number % step) > step or (2 * (number % step) == step and below % 2 == 1)
    nearest = (below + up) * step
    held = -(2**63) <= nearest < 2**63
    assert run(Round(to=Decimal(step)), [number], pa.int64()) == [nearest if held else None]


@given(st.lists(st.floats(-1e9, 1e9)))
def test_rounding_twice_is_rounding_once(run: Run, numbers: list[float]) -> None:
    once = run(Round(to=Decimal("0.1")), numbers, pa.float64())
    assert run(Round(to=Decimal("0.1")), once, pa.float64()) == once


@pytest.mark.parametrize("type_", [pa.float32(), pa.float16()])
def test_narrow_floats_go_to_the_nearest_multiple_up_and_down(run: Run, type_: pa.DataType) -> None:
    numbers = pa.array([0.14, 0.16, 0.24, 0.25, 0.26, 7.0, -3.24, -3.26], pa.float64()).cast(type_)
    nearest = pa.array([0.1, 0.2, 0.2, 0.2, 0.3, 7.0, -3.2, -3.3], pa.float64()).cast(type_)
    assert run(Round(to=Decimal("0.1")), numbers) == nearest.to_pylist()
