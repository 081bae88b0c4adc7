from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from minimize.techniques import TypeRefused
from minimize.techniques.presence import Presence

Run = Callable[..., list[Any]]


def test_a_value_is_true_and_null_stays_null(run: Run) -> None:
    assert run(Presence(), ["a", "", None]) == [True, True, None]


def test_nan_empty_lists_and_false_are_values(run: Run) -> None:
    assert run(Presence(), [float("nan"), None]) == [True, None]
    assert run(Presence(), [[], None]) == [True, None]
    assert run(Presence(), [False, None]) == [True, None]


def test_it_never_says_false(run: Run) -> None:
    assert False not in run(Presence(), [{"a": None}, None])


def test_a_type_that_no_policy_names_is_refused() -> None:
    with pytest.raises(TypeRefused):
        Presence().gives(pa.null())
