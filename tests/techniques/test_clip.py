from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques import UnsupportedType
from minimize.techniques.clip import Clip

Run = Callable[..., list[Any]]


def clip(**bounds: Any) -> Clip:
    return Clip.model_validate(bounds)


def test_values_outside_take_the_bound(run: Run) -> None:
    assert run(clip(min=0, max=100), [-3, 7, 120, None]) == [0, 7, 100, None]
    assert run(clip(max=1.5), [1.25, 7.0]) == [1.25, 1.5]
    assert run(clip(min=1), [Decimal("0.50"), Decimal("2.00")]) == [Decimal("1.00"), Decimal("2.00")]


def test_nan_cannot_be_treated_and_infinity_takes_a_bound(run: Run, untreated: Run) -> None:
    values = [math.nan, math.inf, -math.inf, None]
    assert run(clip(min=0, max=9), values) == [None, 9.0, 0.0, None]
    assert untreated(clip(max=9), values) == [True, False, True, False]


def test_a_bound_that_the_type_cannot_hold_is_refused() -> None:
    for bound, type_ in ((0.5, pa.int8()), (200, pa.int8()), (-1, pa.uint8()), (0.001, pa.decimal128(5, 2))):
        with pytest.raises(UnsupportedType):
            clip(min=bound).output_type(type_)


@pytest.mark.parametrize("bounds", [{}, {"min": 2, "max": 1}, {"min": "nan"}, {"min": None, "max": None}])
def test_bad_bounds_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Clip.model_validate(bounds)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_clipping_twice_is_clipping_once_and_keeps_order(run: Run, numbers: list[int]) -> None:
    once = run(clip(min=-5, max=50), sorted(numbers), pa.int64())
    assert once == sorted(once) == run(clip(min=-5, max=50), once, pa.int64())
