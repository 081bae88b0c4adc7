"""The risk of a table: its figures next to literal definitions, and the errors of tables that cannot be measured."""

from __future__ import annotations

import json
import math
from collections import Counter
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimize
from minimize.disclosure_risk.combinations import combinations_of
from minimize.disclosure_risk.population import MODELS, estimate_uniques
from minimize.disclosure_risk.reidentification import population_sizes
from minimize.disclosure_risk.risk import Risk
from minimize.disclosure_risk.uniques import count_trails, subject_sizes
from minimize.errors import ConfigurationError, MinimizeError, SchemaError
from tests.disclosure_risk.reference import persons_by_combination

QUASI = ["model", "age"]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(["A", "B", "*", None]),
            "age": st.integers(1, 4),
            "illness": st.sampled_from(["x", "y"]),
            "device": st.integers(1, 8) | st.none(),
        }
    ),
    max_size=40,
)
SCHEMA = pa.schema({"model": pa.string(), "age": pa.int64(), "illness": pa.string(), "device": pa.int64()})
SECRET = "Brunhilde-4711"


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def with_own_person(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "device": number} for number, row in enumerate(rows)]


def smallest_sizes(rows: list[dict[str, Any]], names: list[str]) -> dict[Any, int]:
    smallest: dict[Any, int] = {}
    for persons in persons_by_combination(rows, names, "device").values():
        for person in persons:
            smallest[person] = min(len(persons), smallest.get(person, len(persons)))
    return smallest


@given(rows=ROWS, has_person=st.booleans())
def test_figures_are_those_of_dictionaries_in_plain_python(rows: list[dict[str, Any]], has_person: bool) -> None:
    measured = minimize.risk(table_of(rows), QUASI, ["illness"], "device" if has_person else None)
    known = rows if has_person else with_own_person(rows)
    classes = persons_by_combination(known, QUASI, "device")
    smallest = smallest_sizes(known, QUASI)
    assert (measured.records, measured.persons, measured.combinations) == (len(rows), len(smallest), len(classes))
    assert measured.k == min(map(len, classes.values()), default=None)
    assert measured.unique.persons == sum(size == 1 for size in smallest.values())
    assert measured.unique.combinations == sum(len(persons) == 1 for persons in classes.values())
    for name in QUASI:
        rest = smallest_sizes(known, [each for each in QUASI if each != name])
        assert measured.unique_without[name] == sum(size == 1 for size in rest.values())
    if rows:
        members = sum(map(len, classes.values()))
        assert measured.prosecutor.highest == 1 / min(map(len, classes.values()))
        assert measured.prosecutor.average == pytest.approx(len(classes) / members)
        assert measured.prosecutor.at_risk == pytest.approx(
            sum(1 / size > 0.2 for size in smallest.values()) / len(smallest)
        )


@given(rows=ROWS)
def test_sizes_are_doublings_that_add_up(rows: list[dict[str, Any]]) -> None:
    measured = minimize.risk(table_of(rows), QUASI, person="device")
    smallest = smallest_sizes(rows, QUASI)
    for each in measured.sizes:
        assert (math.log2(each.from_).is_integer(), each.to) == (True, 2 * each.from_ - 1)
        assert each.persons == sum(each.from_ <= size <= each.to for size in smallest.values())
    assert sum(each.records for each in measured.sizes) == len(rows)
    assert sum(each.combinations for each in measured.sizes) == measured.combinations


@given(rows=ROWS)
def test_a_trail_is_the_set_of_all_combinations_of_a_person(rows: list[dict[str, Any]]) -> None:
    trails: dict[Any, set[Any]] = {}
    for row in rows:
        trails.setdefault(row["device"], set()).add((row["model"], row["age"]))
    sizes = Counter(frozenset(each) for each in trails.values())
    counted = count_trails(combinations_of(table_of(rows), QUASI, person="device"))
    assert counted is not None
    assert (counted.count, counted.unique) == (len(sizes), sum(size == 1 for size in sizes.values()))
    assert counted.k == min(sizes.values(), default=None)


@given(rows=ROWS, others=ROWS, has_person=st.booleans())
def test_a_population_counts_its_members_with_each_combination(
    rows: list[dict[str, Any]], others: list[dict[str, Any]], has_person: bool
) -> None:
    person = "device" if has_person else None
    sample = combinations_of(table_of(rows), QUASI, person=person)
    population = combinations_of(table_of([*rows, *others]), QUASI, person=person)
    known = [*rows, *others] if has_person else with_own_person([*rows, *others])
    members = persons_by_combination(known, QUASI, "device")
    values = [dictionary.to_pylist() for dictionary in sample.dictionaries]
    keys = [tuple(values[place][code] for place, code in enumerate(codes)) for codes in sample.codes]
    assert population_sizes(sample, population).tolist() == [len(members[key]) for key in keys]


def test_a_population_shows_journalist_and_marketer_risk() -> None:
    sample = pa.table({"model": ["A", "A", "B"], "age": [1, 1, 2]})
    population = pa.table({"model": ["A"] * 4 + ["B"] * 2 + ["C"], "age": [1] * 4 + [2] * 3})
    measured = minimize.risk(sample, QUASI, population=population).population
    assert measured is not None
    assert measured.journalist is not None
    assert (measured.members, measured.unique_persons, measured.estimate) == (7, 0, None)
    assert (measured.journalist.highest, measured.journalist.at_risk) == (0.5, 1.0)
    assert measured.journalist.average == pytest.approx((2 / 4 + 1 / 2) / 3)


def test_a_population_of_text_is_compared_as_text() -> None:
    sample = pa.table({"model": ["A", "B"], "age": [1, 2]})
    population = pa.table({"model": ["A", "B", "B"], "age": ["1", "2", "2"]})
    measured = minimize.risk(sample, QUASI, population=population).population
    assert measured is not None
    assert measured.unique_persons == 1


def test_a_population_smaller_than_the_data_raises_no_class_above_its_own_size() -> None:
    sample = pa.table({"model": ["A", "A"], "age": [1, 1]})
    measured = minimize.risk(sample, QUASI, population=sample.slice(0, 1)).population
    assert measured is not None
    assert measured.journalist is not None
    assert (measured.journalist.highest, measured.sampling_fraction) == (0.5, 1.0)


@pytest.mark.parametrize("fraction", [0.5, 0.1, 0.02])
def test_estimated_uniques_of_the_population_are_within_a_factor_of_nine(fraction: float) -> None:
    random = np.random.default_rng(43)
    weights = 1 / np.arange(1, 50_001)
    cells = random.choice(len(weights), 60_000, p=weights / weights.sum())
    sample = random.choice(cells, round(len(cells) * fraction), replace=False)
    values, sizes = np.unique(sample, return_counts=True)
    members = np.bincount(cells)[values]
    real = np.count_nonzero((sizes == 1) & (members == 1))
    estimate = estimate_uniques(sizes, fraction)
    assert estimate is not None
    assert estimate.estimates.keys() <= MODELS.keys()
    assert 0 < estimate.low <= estimate.high <= np.count_nonzero(sizes == 1)
    assert real / 9 <= estimate.low
    assert estimate.high <= real * 9


def test_a_sample_of_everyone_has_the_counted_uniques() -> None:
    estimate = estimate_uniques(np.array([1, 1, 5]), 1.0)
    assert estimate is not None
    assert (estimate.low, estimate.high) == (2.0, 2.0)


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=60), fraction=st.floats(1e-6, 1.0))
def test_estimates_are_between_nobody_and_all_unique_persons(sizes: list[int], fraction: float) -> None:
    estimate = estimate_uniques(np.array(sizes), fraction)
    assert estimate is not None
    assert 0 <= estimate.low <= estimate.high <= sizes.count(1)
    assert all(math.isfinite(each) for each in estimate.estimates.values())


def test_only_a_range_is_stated_for_a_population_of_known_size() -> None:
    table = pa.table({"model": ["A", "B", "C", "C"], "age": [1, 2, 3, 3]})
    measured = minimize.risk(table, QUASI, population=400).population
    assert measured is not None
    assert (measured.journalist, measured.unique_persons, measured.sampling_fraction) == (None, None, 0.01)
    assert measured.estimate is not None
    assert set(measured.estimate.estimates) >= {"zayatz"}


FRAME = pd.DataFrame({"model": ["A", "A", "B"], "age": [1, 1, 2], "illness": ["x", "y", "x"], "device": [1, 2, 2]})


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        pl.from_pandas(FRAME),
        pa.Table.from_pandas(FRAME),
        pa.Table.from_pandas(FRAME).to_batches()[0],
        pa.Table.from_pandas(FRAME).to_reader(),
        duckdb.from_df(FRAME),
    ],
    ids=["pandas", "polars", "table", "batch", "reader", "duckdb"],
)
def test_any_data_frame_is_measured(frame: Any) -> None:
    measured = minimize.risk(frame, QUASI, ["illness"], "device")
    assert (measured.k, measured.persons, measured.combinations, measured.unique.persons) == (1, 2, 2, 1)
    assert measured.measures["illness"]["alpha"] == 1.0


TYPES = {
    "boolean": pa.array([True, False, None]),
    "decimal": pa.array([Decimal(1), Decimal(2), None], pa.decimal128(5, 2)),
    "date": pa.array([1, 2, None], pa.int32()).cast(pa.date32()),
    "timestamp": pa.array([1, 2, None]).cast(pa.timestamp("us", "UTC")),
    "time": pa.array([1, 2, None], pa.int64()).cast(pa.time64("us")),
    "duration": pa.array([1, 2, None]).cast(pa.duration("s")),
    "binary": pa.array([b"a", b"b", None]),
    "fixed binary": pa.array([b"aa", b"bb", None], pa.binary(2)),
    "half": pa.array(np.array([1, 2, np.nan], np.float16)),
    "unsigned": pa.array([2**64 - 1, 1, None], pa.uint64()),
    "large text": pa.array(["a", "b", None], pa.large_string()),
    "text view": pa.array(["a", "b", None], pa.string_view()),
    "numbers as dictionary": pa.array([1, 2, None]).dictionary_encode(),
    "null": pa.nulls(3),
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"a" * 16, b"b" * 16, None], pa.binary(16))),
    "run-end": pc.run_end_encode(pa.array(["a", "b", None])),
    "small decimal": pa.array([Decimal(1), Decimal(2), None], pa.decimal32(5, 2)),
}


@pytest.mark.parametrize("name", TYPES)
def test_values_of_any_plain_type_are_counted(name: str) -> None:
    column = TYPES[name]
    measured = minimize.risk(pa.table({"value": column, "other": column}), ["value"], ["other"])
    assert measured.combinations == (1 if name == "null" else 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"quasi_identifiers": []}, "no quasi-identifiers are named"),
        ({"quasi_identifiers": ["modell"]}, "has no column modell"),
        ({"quasi_identifiers": QUASI, "sensitive": ["age"]}, "age is both a quasi-identifier and sensitive"),
        ({"quasi_identifiers": QUASI, "person": "age"}, "age identifies persons"),
        ({"quasi_identifiers": QUASI, "sensitive": ["device"], "person": "device"}, "device identifies persons"),
        ({"quasi_identifiers": ["age", "age"]}, "age is named twice"),
        ({"quasi_identifiers": ["apps"]}, "apps has lists"),
        ({"quasi_identifiers": QUASI, "population": 0}, "size of the population"),
        ({"quasi_identifiers": QUASI, "population": pa.table({"age": [1]})}, "the population has no column model"),
    ],
)
def test_a_table_that_cannot_be_measured_is_refused_without_a_value(arguments: dict[str, Any], words: str) -> None:
    table = pa.table({"model": [SECRET], "age": [7], "illness": [SECRET], "device": [1], "apps": [[SECRET]]})
    with pytest.raises(ConfigurationError, match=words) as caught:
        minimize.risk(table, **arguments)
    assert SECRET not in str(caught.value)


def test_a_misspelt_column_is_suggested() -> None:
    with pytest.raises(ConfigurationError) as caught:
        minimize.risk(pa.table({"model": ["A"]}), ["modell"])
    assert "`model`" in caught.value.hint


def test_values_of_several_types_are_refused_without_a_value() -> None:
    with pytest.raises(SchemaError) as caught:
        minimize.risk(pd.DataFrame({"model": [SECRET, 7, b"x"]}), ["model"])
    assert SECRET not in str(caught.value)


def test_a_population_with_values_that_cannot_be_compared_is_refused() -> None:
    sample = pa.table({"age": pa.array([b"\xff"])})
    with pytest.raises(MinimizeError, match="column age of the population"):
        minimize.risk(sample, ["age"], population=pa.table({"age": ["x"]}))


def test_an_object_that_is_no_table_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        minimize.risk(7, ["age"])


def test_a_table_without_records_has_no_k_and_no_risk() -> None:
    measured = minimize.risk(table_of([]), QUASI, ["illness"], "device", population=table_of([]))
    assert (measured.k, measured.k_of_records, measured.persons, measured.prosecutor.highest) == (None, None, 0, None)
    assert set(measured.measures["illness"].values()) == {None}
    assert "no records" in str(measured)
    json.dumps(measured.to_json(), allow_nan=False)


def test_records_without_a_person_count_together_as_one_person() -> None:
    table = pa.table({"age": [1, 1, 1], "device": pa.array([None, None, None], pa.int64())})
    measured = minimize.risk(table, ["age"], person="device")
    assert (measured.k, measured.persons, measured.k_of_records) == (1, 1, 3)


def test_no_form_of_the_result_has_a_value() -> None:
    table = pa.table({"model": [SECRET, SECRET, "B"], "illness": [SECRET, "y", SECRET], "device": [SECRET, "b", "c"]})
    measured = minimize.risk(table, ["model"], ["illness"], "device", population=table)
    page = minimize_page(measured)
    for text in (str(measured), repr(measured), measured._repr_html_(), json.dumps(measured.to_json()), page):
        assert SECRET not in text
        assert "model" in text


def minimize_page(measured: Risk) -> str:
    from minimize.pages import html_page

    return html_page(measured.document)


def test_the_text_states_the_figures_in_words() -> None:
    table = pa.table({"model": ["A", "A", "B"], "age": [1, 1, 2], "illness": ["x", "x", "y"]})
    text = str(minimize.risk(table, QUASI, ["illness"], population=300))
    assert "3 records of 3 persons (each record is one)" in text
    assert "1: the rarest combination has 1 person" in text
    assert "1 of 3 persons (33%) have a combination to themselves" in text
    assert "the data has 1% of 300 members" in text
    assert "infinite" in text


def test_the_sizes_of_subjects_are_those_of_their_rarest_combination() -> None:
    combinations = combinations_of(
        pa.table({"model": ["A", "A", "A", "B"], "device": [1, 2, 3, 3]}), ["model"], (), "device"
    )
    assert sorted(subject_sizes(combinations).tolist()) == [1, 3, 3]
