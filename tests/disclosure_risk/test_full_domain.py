"""The search for the optimal levels, next to a literal search over all of them."""

from __future__ import annotations

import time
from fractions import Fraction
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.disclosure_risk import full_domain
from minimize.disclosure_risk.combinations import combinations_of
from minimize.disclosure_risk.full_domain import optimal_levels
from minimize.disclosure_risk.hierarchy import Hierarchy
from minimize.disclosure_risk.requirement import Requirement
from minimize.errors import RefusedError
from tests.disclosure_risk.generalization import (
    ILLNESSES,
    LIMITS,
    Problem,
    best_choice,
    choice_at,
    problems,
    requirements,
)
from tests.hypothesis_profiles import examples

AGES = [(str(age), f"{age // 5 * 5}+", f"{age // 20 * 20}+", "*") for age in range(100)]
SEXES = [("f", "*"), ("m", "*")]
MODELS = [(str(model), f"series {model // 4}", "*") for model in range(12)]


def survey(persons: int = 200, seed: int = 7) -> Problem:
    """Persons with an age, a sex and a model."""
    draw = np.random.default_rng(seed)
    columns = zip(
        draw.integers(18, 70, persons), draw.choice(["f", "m"], persons), draw.integers(0, 12, persons), strict=True
    )
    rows = [
        {"a": str(age), "b": str(sex), "c": str(model), "illness": "flu", "person": number}
        for number, (age, sex, model) in enumerate(columns)
    ]
    return Problem(rows, [AGES, SEXES, MODELS], has_persons=False)


def assert_best(problem: Problem, requirement: Requirement, limit: Fraction) -> None:
    expected = best_choice(problem, requirement, limit)
    if expected is None:
        with pytest.raises(RefusedError):
            optimal_levels(problem.combinations, problem.hierarchies, requirement, suppress_at_most=limit)
        return
    result = optimal_levels(problem.combinations, problem.hierarchies, requirement, suppress_at_most=limit)
    assert (result.levels, result.suppressed) == (expected.levels, expected.suppressed)
    assert result.loss == pytest.approx(expected.loss, abs=1e-12)
    assert result.proven
    assert (result.lower_bound, result.gap) == (result.loss, 0.0)
    records = problem.combinations.records
    assert int(records[result.is_suppressed].sum()) == result.suppressed


@settings(max_examples=examples(300))
@given(problem=problems(), requirement=requirements(others=False), limit=st.sampled_from(LIMITS))
def test_the_levels_are_the_best_of_all_for_k(problem: Problem, requirement: Requirement, limit: Fraction) -> None:
    assert_best(problem, requirement, limit)


@settings(max_examples=examples(600))
@given(problem=problems(), requirement=requirements(), limit=st.sampled_from(LIMITS))
def test_the_levels_are_the_best_of_all_for_other_measures(
    problem: Problem, requirement: Requirement, limit: Fraction
) -> None:
    assert_best(problem, requirement, limit)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("k", [2, 5, 20])
def test_the_levels_are_the_best_of_all_on_a_survey(k: int, limit: Fraction) -> None:
    assert_best(survey(), Requirement({"k": k}), limit)


@settings(max_examples=examples(50))
@given(problem=problems(), requirement=requirements(), steps=st.integers(0, 6))
def test_a_stopped_search_returns_its_best_with_a_bound_or_an_error(
    problem: Problem, requirement: Requirement, steps: int
) -> None:
    limit = Fraction(1, 5)
    expected = best_choice(problem, requirement, limit)
    try:
        result = optimal_levels(
            problem.combinations, problem.hierarchies, requirement, suppress_at_most=limit, steps=steps
        )
    except RefusedError:
        return
    assert expected is not None
    own = choice_at(problem, result.levels, requirement)
    assert own.suppressed == result.suppressed <= limit * len(problem.rows)
    assert own.loss == pytest.approx(result.loss, abs=1e-12)
    assert result.lower_bound <= expected.loss + 1e-12
    assert result.loss >= expected.loss - 1e-12
    if result.proven:
        assert result.levels == expected.levels


def test_a_search_without_steps_has_the_coarsest_levels_and_states_the_gap() -> None:
    problem = survey()
    result = optimal_levels(problem.combinations, problem.hierarchies, Requirement({"k": 2}), steps=0)
    assert result.levels == (3, 1, 2)
    assert result.loss == pytest.approx(1.0)
    assert not result.proven
    assert 0 <= result.lower_bound < 1
    assert result.gap == pytest.approx(result.loss - result.lower_bound)


def test_a_search_stops_at_its_deadline_or_when_asked() -> None:
    problem = survey()
    arguments = problem.combinations, problem.hierarchies, Requirement({"k": 2})
    assert not optimal_levels(*arguments, deadline=time.monotonic()).proven
    assert not optimal_levels(*arguments, checkpoint=lambda: True).proven
    assert optimal_levels(*arguments, deadline=time.monotonic() + 3600).proven


def test_a_stopped_search_without_levels_that_meet_the_bound_is_refused() -> None:
    rows = [{"a": "0", "illness": ("flu", "gout")[number % 2], "person": number} for number in range(10)]
    rows += [{"a": "1", "illness": "flu", "person": number} for number in range(10, 14)]
    problem = Problem(rows, [[("0", "*"), ("1", "*")]], has_persons=False)
    arguments = problem.combinations, problem.hierarchies, Requirement({"k": 1, "alpha": 0.6})
    with pytest.raises(RefusedError, match="stopped before it had any") as caught:
        optimal_levels(*arguments, suppress_at_most=Fraction(1, 2), steps=0)
    assert caught.value.code == "E306"
    assert optimal_levels(*arguments, suppress_at_most=Fraction(1, 2)).levels == (0,)


def test_more_persons_than_there_are_cannot_be_required() -> None:
    problem = survey(persons=4)
    for limit in (Fraction(0), Fraction(1)):
        with pytest.raises(RefusedError, match="k is 5, and there are fewer data subjects") as caught:
            optimal_levels(problem.combinations, problem.hierarchies, Requirement({"k": 5}), suppress_at_most=limit)
        assert caught.value.code == "E306"


def test_persons_are_counted_and_not_their_records() -> None:
    rows = [{"a": str(number % 2), "illness": "flu", "person": number % 4} for number in range(40)]
    table = [("0", "*"), ("1", "*")]
    by_records = Problem(rows, [table], has_persons=False)
    by_persons = Problem(rows, [table], has_persons=True)
    requirement = Requirement({"k": 3})
    assert optimal_levels(by_records.combinations, by_records.hierarchies, requirement).levels == (0,)
    assert optimal_levels(by_persons.combinations, by_persons.hierarchies, requirement).levels == (1,)


def test_everything_suppressed_is_no_result() -> None:
    rows = [{"a": str(number), "illness": "flu", "person": number} for number in range(3)]
    problem = Problem(rows, [[(str(number), "*") for number in range(3)]], has_persons=False)
    arguments = problem.combinations, problem.hierarchies, Requirement({"k": 1, "l": 2})
    with pytest.raises(RefusedError, match="not even the coarsest"):
        optimal_levels(*arguments, suppress_at_most=Fraction(1))


def test_a_floor_forbids_finer_levels() -> None:
    problem = survey()
    result = optimal_levels(problem.combinations, problem.hierarchies, Requirement({"k": 1}), floors=[1, 0, 2])
    assert result.levels == (1, 0, 2)
    assert result.proven


def test_attributes_without_coarser_levels_stay_as_they_are() -> None:
    table = pa.table({"day": [1, 1, 1, 2, 2, 2], "age": ["20", "20", "21", "30", "30", "31"]})
    combinations = combinations_of(table, ["day", "age"])
    hierarchies = [
        Hierarchy.fixed("day", combinations.dictionaries[0]),
        Hierarchy.of_table("age", combinations.dictionaries[1], AGES),
    ]
    result = optimal_levels(combinations, hierarchies, Requirement({"k": 3}))
    assert result.levels == (0, 1)
    with pytest.raises(RefusedError):
        optimal_levels(combinations, hierarchies, Requirement({"k": 4}))


def test_an_empty_table_keeps_its_values() -> None:
    problem = Problem([], [AGES, SEXES], has_persons=True)
    result = optimal_levels(problem.combinations, problem.hierarchies, Requirement({"k": 5}))
    assert (result.levels, result.suppressed, result.loss, result.proven) == ((0, 0), 0, 0.0, True)


@given(problem=problems(), requirement=requirements(), seed=st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(problem: Problem, requirement: Requirement, seed: Random) -> None:
    shuffled = [*problem.rows]
    seed.shuffle(shuffled)
    other = Problem(shuffled, problem.tables, problem.has_persons)
    results: list[tuple[object, ...]] = []
    for each in (problem, other):
        try:
            result = optimal_levels(each.combinations, each.hierarchies, requirement, steps=5)
        except RefusedError as error:
            results.append((error.message,))
        else:
            results.append((result.levels, result.loss, result.lower_bound, result.proven))
    assert results[0] == results[1]


@pytest.mark.parametrize("thresholds", [{"k": 3}, {"k": 3, "t": 0.33}])
def test_classes_that_the_queue_does_not_hold_are_computed_again(
    thresholds: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**row, "illness": ILLNESSES[number % 7 % 3]} for number, row in enumerate(survey().rows)]
    problem = Problem(rows, [AGES, SEXES, MODELS], has_persons=False)
    arguments = problem.combinations, problem.hierarchies, Requirement(thresholds)
    held = optimal_levels(*arguments, suppress_at_most=Fraction(1, 10))
    monkeypatch.setattr(full_domain, "_MAX_STORED_ROWS", 0)
    computed = optimal_levels(*arguments, suppress_at_most=Fraction(1, 10))
    assert (held.levels, held.suppressed, held.loss) == (computed.levels, computed.suppressed, computed.loss)
    assert computed.proven


def test_a_rare_value_may_be_in_one_part_of_a_class_and_absent_from_the_other() -> None:
    """The class of both parts misses delta, because the value is too rare in it; each part meets it."""
    parts = {("0", "0"): (1, 4), ("0", "1"): (0, 20), ("1", "0"): (20, 80)}
    rows = [
        {"a": first, "b": second, "illness": illness, "person": 0}
        for (first, second), counts in parts.items()
        for illness, count in zip(ILLNESSES[:2], counts, strict=True)
        for _ in range(count)
    ]
    problem = Problem(rows, [[("0", "*"), ("1", "*")]] * 2, has_persons=False)
    requirement = Requirement({"k": 2, "delta": 1.37})
    assert choice_at(problem, (0, 1), requirement).suppressed
    assert optimal_levels(problem.combinations, problem.hierarchies, requirement).levels == (0, 0)
    assert_best(problem, requirement, Fraction(0))
