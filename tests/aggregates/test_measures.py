"""What each measure takes and gives, and its corners; `tests/contract/test_measures.py` holds each against a definition."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from minimize.aggregates import MEASURES, MeasureRefused, MeasureTerms, measure_from
from minimize.aggregates.batch_views import Contributors, FieldRows, RowView
from minimize.aggregates.definition import BoundMeasure
from minimize.spill import SpillSpace, ValueHasher

HASHER = ValueHasher(bytes(32))
NUMBERS = (pa.int64(), pa.float64(), pa.decimal128(10, 2))


def settled(word: str, argument: Any, values: pa.Array, below: int = 1, subjects: list[int] | None = None) -> Any:
    """A measure of one group of these values, each of a subject of its own."""
    measured = BoundMeasure(measure_from(word, argument), values.type)
    tally = measured.measure.start(values.type, MeasureTerms(below))
    fields = () if measured.measured_field is None else (measured.measured_field,)
    counted = Contributors({measured: tally}, fields, {}, SpillSpace(None))
    given = range(len(values)) if subjects is None else [None if each < 0 else each for each in subjects]
    owners = HASHER(pa.array(given, pa.int64()))
    view = RowView(np.zeros(len(values), np.int64), owners)
    tally.observe(view.groups, values, owners)
    counted.add(view, {field: FieldRows(view, values) for field in fields})
    return tally.settle(np.arange(1)).to_pylist()[0]


def quantile(q: float, values: list[Any]) -> Any:
    return settled("quantile", {"of": "f", "q": q}, pa.array(values))


@pytest.mark.parametrize("word", sorted(MEASURES))
def test_every_measure_is_documented(word: str) -> None:
    kind = MEASURES[word]
    assert kind.name == word
    assert kind.about
    assert "Gives" in (kind.__doc__ or "") or "gives" in (kind.__doc__ or "") or "list of" in (kind.__doc__ or "")


def test_a_quantile_in_an_open_bin_is_null() -> None:
    inf = float("inf")
    assert quantile(0.5, [-inf] * 30 + [1.0] * 10) is None
    assert quantile(0.9, [-inf] * 30 + [1.0] * 10) == 1.0


@pytest.mark.parametrize("word", sorted(MEASURES.keys() - {"count", "quantile", "share"}))
def test_a_measure_may_be_written_as_its_word_and_a_field(word: str) -> None:
    assert measure_from(word, "f") == measure_from(word, {"of": "f"})


@pytest.mark.parametrize(
    ("word", "argument"),
    [
        ("count", "f"),
        ("sum", None),
        ("quantile", "f"),
        ("quantile", {"of": "f", "q": 1.5}),
        ("share", {"of": "f"}),
        ("share", {"of": "f", "is": []}),
        ("mean", {"of": "f", "weight": 2}),
    ],
)
def test_parameters_that_do_not_fit_are_refused(word: str, argument: Any) -> None:
    with pytest.raises(ValidationError):
        measure_from(word, argument)


def test_an_unknown_word_is_no_measure() -> None:
    with pytest.raises(KeyError):
        measure_from("median", "f")


@pytest.mark.parametrize("word", ["sum", "mean"])
@pytest.mark.parametrize("type_", [pa.string(), pa.bool_(), pa.timestamp("us"), None])
def test_only_numbers_are_added_up(word: str, type_: pa.DataType | None) -> None:
    with pytest.raises(MeasureRefused):
        measure_from(word, "f").output_type(type_)


@pytest.mark.parametrize("word", ["min", "max"])
def test_extremes_are_of_the_fields_type(word: str) -> None:
    for type_ in (*NUMBERS, pa.timestamp("ns", "UTC"), pa.date32()):
        assert measure_from(word, "f").output_type(type_) == type_
    with pytest.raises(MeasureRefused):
        measure_from(word, "f").output_type(pa.string())


@pytest.mark.parametrize("word", ["count_distinct", "histogram"])
def test_min_and_max_of_nested_values_are_refused(word: str) -> None:
    with pytest.raises(MeasureRefused):
        measure_from(word, "f").output_type(pa.list_(pa.string()))


def test_a_sum_of_integers_that_does_not_fit_is_null_and_never_wraps() -> None:
    assert settled("sum", "f", pa.array([2**63 - 1, 1])) is None
    assert settled("sum", "f", pa.array([2**63 - 1, 1, -1])) == 2**63 - 1


def test_a_sum_of_decimals_keeps_its_scale() -> None:
    assert settled("sum", "f", pa.array([Decimal("0.10"), Decimal("-2.25")])) == Decimal("-2.15")


def test_a_mean_of_decimals_is_rounded_once() -> None:
    assert settled("mean", "f", pa.array([Decimal("0.10"), Decimal("0.20"), Decimal("0.30")])) == 0.2


def test_a_mean_does_not_overflow_where_the_sum_does() -> None:
    assert settled("mean", "f", pa.array([1.7e308, 1.7e308])) == 1.7e308


def test_nan_is_no_extreme() -> None:
    assert settled("min", "f", pa.array([math.nan, 2.0])) == 2.0
    assert settled("max", "f", pa.array([math.nan])) is None


@pytest.mark.parametrize(("q", "expected"), [(0, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (0.76, 4), (1, 4)])
def test_a_quantile_is_the_value_at_which_the_share_is_reached(q: float, expected: int) -> None:
    assert quantile(q, [4, 1, 3, 2]) == expected


def test_a_quantile_reads_its_share_as_it_is_written() -> None:
    assert quantile(0.07, list(range(1, 101))) == 7


def test_a_quantile_of_dates_is_a_date() -> None:
    assert quantile(0.5, [date(2026, 1, 3), date(2026, 1, 1), date(2026, 1, 2)]) == date(2026, 1, 2)


def share(values: list[Any], named: Any, below: int = 1, subjects: list[int] | None = None) -> Any:
    return settled("share", {"of": "f", "is": named}, pa.array(values), below, subjects)


def test_a_share_is_of_the_values_that_are_named() -> None:
    assert share(["a", "b", "c", "a"], ["a", "c"]) == 0.75
    assert share([True, False], True) == 0.5


def test_a_share_of_none_or_all_subjects_is_null() -> None:
    assert share(["a", "a"], "a") is None
    assert share(["b", "b"], "a") is None


def test_either_side_of_a_share_needs_enough_subjects() -> None:
    assert share(["a", "a", "b", "b"], "a", below=2) == 0.5
    assert share(["a", "a", "b", "b"], "a", below=2, subjects=[0, 1, 2, 2]) is None
    assert share(["a", "a", "b", "b"], "a", below=2, subjects=[0, 0, 1, 2]) is None
    assert share(["a", "a", "b", "b"], "a", below=2, subjects=[0, -1, 1, 2]) is None


@pytest.mark.parametrize(("type_", "named"), [(pa.int64(), "1"), (pa.int64(), True), (pa.string(), 1), (pa.bool_(), 1)])
def test_a_share_names_values_of_the_fields_own_type(type_: pa.DataType, named: Any) -> None:
    with pytest.raises(MeasureRefused):
        measure_from("share", {"of": "f", "is": named}).output_type(type_)


def test_small_cells_of_a_histogram_are_one_cell_without_value_and_count() -> None:
    cells = settled("histogram", "f", pa.array(["b", "a", "b", "c"]), below=2, subjects=[0, 1, 2, -1])
    assert cells == [{"value": "b", "count": 2}, {"value": None, "count": None}]


def test_a_histogram_is_sorted_by_value_with_nan_last() -> None:
    cells = settled("histogram", "f", pa.array([math.nan, 2.0, -1.0, -0.0, 0.0]))
    assert [cell["count"] for cell in cells] == [1, 2, 1, 1]
    assert [cell["value"] for cell in cells[:3]] == [-1.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("count", "to", "expected"), [(7, 5, 5), (8, 5, 10), (5, 10, 0), (15, 10, 20), (25, 10, 20), (0, 5, 0)]
)
def test_counts_are_rounded_to_the_nearest_multiple_ties_to_the_even_one(count: int, to: int, expected: int) -> None:
    assert MeasureTerms(1, to).rounded(np.array([count])).tolist() == [expected]


@pytest.mark.parametrize("values", [[-(2**63)], [-(2**62), -(2**62)], [2**63 - 1], [-1000, -1], [2**62, 2**62 - 1]])
def test_a_sum_of_integers_at_the_type_limit_is_exact(values: list[int]) -> None:
    assert settled("sum", "f", pa.array(values, pa.int64())) == sum(values)


@pytest.mark.parametrize("q", [-0.1, -1, 1.1])
def test_a_quantile_is_at_a_share_of_none_to_all(q: float) -> None:
    with pytest.raises(ValidationError):
        measure_from("quantile", {"of": "f", "q": q})
