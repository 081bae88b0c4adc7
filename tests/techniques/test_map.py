from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques.map import Map

Run = Callable[..., list[Any]]


def mapping(values: dict[Any, Any], **parameters: Any) -> Map:
    return Map.model_validate({"values": values, **parameters})


def test_text_integers_and_booleans_are_looked_up(run: Run) -> None:
    assert run(mapping({"a": "x"}, otherwise="y"), ["a", "b", None]) == ["x", "y", None]
    assert run(mapping({5: "Desktop"}, otherwise="y"), [5, 6], pa.uint8()) == ["Desktop", "y"]
    assert run(mapping({True: "yes", False: "no"}), [True, False, None]) == ["yes", "no", None]


def test_keys_of_a_policy_read_as_json_are_the_same(run: Run) -> None:
    assert run(mapping({"5": "Desktop", "true": "yes"}), [5, -5]) == ["Desktop", None]
    assert run(mapping({"5": "Desktop", "true": "yes"}), [True]) == ["yes"]


def test_otherwise_null_is_a_decision_and_no_failure(run: Run, untreated: Run) -> None:
    assert run(mapping({"a": "x"}, otherwise=None), ["b"]) == [None]
    assert untreated(mapping({"a": "x"}), ["b"]) == [False]


@pytest.mark.parametrize("parameters", [{}, {"values": {}}, {"values": {"a": 1.5}}, {"values": {"a": None}}])
def test_bad_tables_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Map.model_validate(parameters)


@given(st.lists(st.text("abc", max_size=2)))
def test_nothing_that_is_not_in_the_table_passes(run: Run, texts: list[str]) -> None:
    assert set(run(mapping({"a": "x", "b": "y"}, otherwise="z"), texts, pa.string())) <= {"x", "y", "z"}
