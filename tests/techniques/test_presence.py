from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques import UnsupportedType
from minimize.techniques.presence import Presence

Run = Callable[..., list[Any]]


def test_a_value_is_true_and_null_stays_null(run: Run) -> None:
    assert run(Presence(), ["a", "", None]) == [True, True, None]


def test_nan_empty_lists_and_false_are_values(run: Run) -> None:
    assert run(Presence(), [float("nan"), None]) == [True, None]
    assert run(Presence(), [[], None]) == [True, None]
    assert run(Presence(), [False, None]) == [True, None]


@given(values=st.lists(st.none() | st.floats(), min_size=1))
def test_presence_distinguishes_only_values_and_nulls(run: Run, values: list[float | None]) -> None:
    assert run(Presence(), values, pa.float64()) == [None if value is None else True for value in values]


def test_presence_is_never_false(run: Run) -> None:
    assert False not in run(Presence(), [{"a": None}, None])


def test_a_type_that_no_policy_names_is_refused() -> None:
    with pytest.raises(UnsupportedType):
        Presence().output_type(pa.null())
