"""The range of a technique's results is never narrower than its results."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from minimize.techniques import TECHNIQUES, Technique
from minimize.techniques.base import Context, ValueRange

CONTEXT = Context("f", datetime(2026, 11, 25, tzinfo=UTC))
NUMERIC = [
    {"keep": {}},
    {"clip": {"min": -3, "max": 40}},
    {"clip": {"min": 10}},
    {"clip": {"max": -10}},
    {"round": {"to": 7}},
    {"round": {"to": 50}},
    {"bin": {"width": 7}},
    {"bin": {"width": 7, "origin": 3}},
    {"bin": {"width": 7, "as": "middle"}},
    {"bin": {"edges": [-20, 0, 15, 90]}},
    {"bin": {"edges": [-20, 0, 15, 90], "as": "middle"}},
]


def made(form: dict[str, dict[str, object]]) -> Technique:
    ((word, parameters),) = form.items()
    technique = TECHNIQUES[word].model_validate(parameters)
    assert isinstance(technique, Technique)
    return technique


def outside(technique: Technique, numbers: list[int], values: ValueRange) -> list[float]:
    """The results of numbers of a range that are not in the range of results."""
    found = technique.result_range(values)
    results = [each for each in technique.apply(pa.array(numbers), CONTEXT).values.to_pylist() if each is not None]
    low, high = (None if end is None else float(end) for end in (found.low, found.high))
    return [each for each in results if (low is not None and each < low) or (high is not None and each > high)]


@pytest.mark.parametrize("form", NUMERIC, ids=str)
@given(some.lists(some.integers(-120, 120), min_size=1))
def test_no_result_is_outside_of_the_range(form: dict[str, dict[str, object]], numbers: list[int]) -> None:
    technique = made(form)
    assert outside(technique, numbers, ValueRange(Decimal(min(numbers)), Decimal(max(numbers)))) == []
    assert outside(technique, numbers, ValueRange()) == []


def test_a_range_that_is_too_narrow_is_found() -> None:
    assert outside(made({"bin": {"width": 7, "as": "middle"}}), [6], ValueRange(Decimal(-9), Decimal(-8))) == [3.5]


@pytest.mark.parametrize(
    "form", [{"bin": {"edges": [5]}}, {"bin": {"width": 5, "as": "label"}}, {"round": {"to": 5}}], ids=str
)
def test_a_step_without_bounds_has_none(form: dict[str, dict[str, object]]) -> None:
    assert made(form).result_range(ValueRange()) == ValueRange()


def test_ages_and_sizes_are_not_negative() -> None:
    forms: list[dict[str, dict[str, object]]] = [{"age": {"unit": "years"}}, {"size": {}}]
    for form in forms:
        assert made(form).result_range(ValueRange()) == ValueRange(low=Decimal(0))
