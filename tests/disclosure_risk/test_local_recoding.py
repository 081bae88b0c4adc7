"""Local recoding: the requirement always holds, and less detail is lost than with one level per column."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.disclosure_risk.full_domain import optimal_levels
from minimize.disclosure_risk.local_recoding import LocalRecoding, recoded
from minimize.disclosure_risk.requirement import Requirement
from minimize.errors import RefusedError
from tests.disclosure_risk.generalization import (
    Problem,
    choice_at,
    label,
    leaf_count,
    missed_rows,
    problems,
    requirements,
)
from tests.disclosure_risk.test_full_domain import survey
from tests.hypothesis_profiles import examples


def recoded_labels(problem: Problem, recoding: LocalRecoding) -> list[tuple[str, ...]]:
    """The released quasi-identifiers of each row."""
    levels = row_levels(problem, recoding)
    return [
        tuple(
            label(table, row[name], level)
            for name, table, level in zip(problem.names, problem.tables, own, strict=True)
        )
        for row, own in zip(problem.rows, levels, strict=True)
    ]


def row_levels(problem: Problem, recoding: LocalRecoding) -> list[list[int]]:
    combinations = problem.combinations
    columns = [values.to_pylist() for values in combinations.dictionaries]
    level_of = {
        tuple(values[code] for values, code in zip(columns, codes, strict=True)): levels.tolist()
        for codes, levels in zip(combinations.codes.tolist(), recoding.level_of, strict=True)
    }
    return [level_of[tuple(row[name] for name in problem.names)] for row in problem.rows]


def roots_of(problem: Problem) -> tuple[int, ...]:
    return tuple(len(table[0]) - 1 for table in problem.tables)


@settings(max_examples=examples(600))
@given(problem=problems(), requirement=requirements(), floor=st.integers(0, 1))
def test_every_released_class_meets_the_requirement(problem: Problem, requirement: Requirement, floor: int) -> None:
    floors = [min(floor, root) for root in roots_of(problem)]
    if choice_at(problem, roots_of(problem), requirement).suppressed:
        with pytest.raises(RefusedError):
            recoded(problem.combinations, problem.hierarchies, requirement, floors=floors)
        return
    recoding = recoded(problem.combinations, problem.hierarchies, requirement, floors=floors)
    assert not missed_rows(problem, recoded_labels(problem, recoding), requirement)
    assert (recoding.level_of >= floors).all()
    assert (recoding.level_of <= roots_of(problem)).all()
    assert not recoding.is_suppressed.any()


@given(problem=problems(), requirement=requirements(others=False))
def test_the_loss_is_that_of_the_released_labels(problem: Problem, requirement: Requirement) -> None:
    try:
        recoding = recoded(problem.combinations, problem.hierarchies, requirement)
    except RefusedError:
        assert len(problem.rows) < requirement.k or problem.has_persons
        return
    losses = []
    for place, table in enumerate(problem.tables):
        labels = [labels[place] for labels in recoded_labels(problem, recoding)]
        levels = [levels[place] for levels in row_levels(problem, recoding)]
        covered = sum(leaf_count(table, text, level) for text, level in zip(labels, levels, strict=True))
        if len(table) > 1:
            losses.append((covered - len(labels)) / (len(labels) * (len(table) - 1)))
    geometric = float(np.prod([1 + loss for loss in losses])) ** (1 / len(losses)) - 1 if losses else 0.0
    assert recoding.loss == pytest.approx(geometric, abs=1e-12)
    assert recoding.mean_loss == pytest.approx(np.mean(losses) if losses else 0.0, abs=1e-12)


@given(problem=problems(), requirement=requirements(others=False))
def test_combinations_of_one_class_are_released_with_equal_values(problem: Problem, requirement: Requirement) -> None:
    try:
        recoding = recoded(problem.combinations, problem.hierarchies, requirement)
    except RefusedError:
        return
    columns = [values.to_pylist() for values in problem.combinations.dictionaries]
    labels_of_class = defaultdict(set)
    for codes, levels, class_ in zip(
        problem.combinations.codes.tolist(), recoding.level_of.tolist(), recoding.class_of.tolist(), strict=True
    ):
        labels = zip(problem.tables, columns, codes, levels, strict=True)
        labels_of_class[class_].add(tuple(label(table, values[code], level) for table, values, code, level in labels))
    assert all(len(labels) == 1 for labels in labels_of_class.values())
    assert len(set.union(*labels_of_class.values())) == len(labels_of_class)


@pytest.mark.parametrize("k", [2, 5, 10])
def test_less_detail_is_lost_than_with_one_level_per_column(k: int) -> None:
    problem = survey()
    arguments = problem.combinations, problem.hierarchies, Requirement({"k": k})
    assert recoded(*arguments).loss < optimal_levels(*arguments).loss


def test_a_part_that_is_too_small_keeps_the_coarser_label_and_takes_another_part_along() -> None:
    values = ["1"] * 5 + ["2"] * 3 + ["3"]
    rows = [{"a": value, "illness": "flu", "person": number} for number, value in enumerate(values)]
    problem = Problem(rows, [[("1", "*"), ("2", "*"), ("3", "*")]], has_persons=False)
    recoding = recoded(problem.combinations, problem.hierarchies, Requirement({"k": 3}))
    assert recoding.level_of.tolist() == [[0], [1], [1]]
    assert recoding.loss == pytest.approx(4 / 9)


def test_more_persons_than_there_are_cannot_be_required() -> None:
    problem = survey(persons=4)
    with pytest.raises(RefusedError, match="k is 5, and there are fewer data subjects"):
        recoded(problem.combinations, problem.hierarchies, Requirement({"k": 5}))


def test_a_requirement_that_the_whole_table_misses_is_refused() -> None:
    problem = survey()
    with pytest.raises(RefusedError, match="even the coarsest levels miss the bound") as caught:
        recoded(problem.combinations, problem.hierarchies, Requirement({"k": 2, "l": 2}))
    assert caught.value.code == "E306"


def test_an_empty_table_has_no_loss() -> None:
    problem = Problem([], [[("1", "*")]], has_persons=True)
    recoding = recoded(problem.combinations, problem.hierarchies, Requirement({"k": 5}))
    assert (recoding.level_of.shape, recoding.loss) == ((0, 1), 0.0)


@given(problem=problems(), requirement=requirements(), seed=st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(problem: Problem, requirement: Requirement, seed: Random) -> None:
    shuffled = [*problem.rows]
    seed.shuffle(shuffled)
    other = Problem(shuffled, problem.tables, problem.has_persons)
    results = []
    for each in (problem, other):
        try:
            results.append(recoded(each.combinations, each.hierarchies, requirement).level_of.tolist())
        except RefusedError as error:
            results.append(error.message)
    assert results[0] == results[1]
