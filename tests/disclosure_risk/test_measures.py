"""Measures of disclosure risk, each next to its literal definition."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.disclosure_risk.combinations import Classes, Combinations, classes_of, combinations_of, grouped
from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.disclosure_risk.measures.base import Figures, Threshold
from minimize.disclosure_risk.measures.hierarchical_t import HierarchicalThreshold
from minimize.disclosure_risk.measures.recursive_l import RecursiveThreshold
from minimize.disclosure_risk.requirement import Baseline, Requirement, measure_classes, worst_figure
from tests.disclosure_risk import reference

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from(["A", "B", "C"]),
            "illness": st.integers(0, 6) | st.none(),
            "device": st.integers(1, 9),
        }
    ),
    min_size=1,
    max_size=60,
)
SCHEMA = pa.schema({"model": pa.string(), "illness": pa.int64(), "device": pa.int64()})


def measured(rows: list[dict[str, Any]], person: str | None = None) -> tuple[Combinations, Classes, Baseline]:
    combinations = combinations_of(pa.Table.from_pylist(rows, schema=SCHEMA), ["model"], ["illness"], person)
    classes = grouped(combinations, [np.arange(len(combinations.dictionaries[0]), dtype=np.int32)])
    return combinations, classes, Baseline.of_combinations(combinations)


def figures_of(name: str, rows: list[dict[str, Any]], threshold: Threshold = None) -> tuple[Figures, Classes]:
    _, classes, baseline = measured(rows)
    (figures,) = measure_classes(name, classes, baseline, threshold)
    return figures, classes


def whole_counts(rows: list[dict[str, Any]]) -> dict[Any, int]:
    return dict(Counter(row["illness"] for row in rows))


@given(rows=ROWS)
def test_k_is_the_number_of_data_subjects(rows: list[dict[str, Any]]) -> None:
    _, classes, baseline = measured(rows, "device")
    (figures,) = measure_classes("k", classes, baseline)
    persons = reference.persons_by_combination(rows, ["model"], "device")
    assert sorted(figures) == sorted(map(len, persons.values()))


@given(rows=ROWS)
def test_distinct_l_is_the_number_of_values(rows: list[dict[str, Any]]) -> None:
    figures, classes = figures_of("l", rows)
    assert figures.tolist() == [len(counts) for counts in reference.class_counts(classes)]


@given(rows=ROWS)
def test_entropy_l_is_the_exponential_of_the_entropy(rows: list[dict[str, Any]]) -> None:
    figures, classes = figures_of("entropy_l", rows)
    assert figures.tolist() == pytest.approx([*map(reference.entropy_l, reference.class_counts(classes))])


@given(rows=ROWS, rank=st.integers(2, 4), c=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_recursive_l_compares_the_most_frequent_value_with_the_tail(
    rows: list[dict[str, Any]], rank: int, c: float
) -> None:
    threshold = RecursiveThreshold(c, rank)
    figures, classes = figures_of("recursive_l", rows, threshold)
    counts = reference.class_counts(classes)
    assert figures.tolist() == [reference.recursive_ratio(each, rank) for each in counts]
    literal = []
    for each in counts:
        ordered = sorted(each.values(), reverse=True)
        literal.append(ordered[0] < c * sum(ordered[rank - 1 :]))
    assert RISK_MEASURES["recursive_l"].holds(figures, threshold).tolist() == literal


@given(rows=ROWS)
def test_equal_t_is_half_the_sum_of_the_differences(rows: list[dict[str, Any]]) -> None:
    figures, classes = figures_of("t", rows)
    whole = whole_counts(rows)
    assert figures.tolist() == pytest.approx(
        [reference.equal_t(each, whole) for each in reference.class_counts(classes)], abs=1e-12
    )


@given(rows=ROWS)
def test_ordered_t_is_the_sum_of_the_cumulative_differences(rows: list[dict[str, Any]]) -> None:
    figures, classes = figures_of("ordered_t", rows)
    whole = whole_counts(rows)
    order = sorted(value for value in whole if value is not None) + ([None] if None in whole else [])
    assert figures.tolist() == pytest.approx(
        [reference.ordered_t(each, whole, order) for each in reference.class_counts(classes)], abs=1e-12
    )


@given(rows=ROWS)
def test_delta_is_the_largest_logarithm_in_bits(rows: list[dict[str, Any]]) -> None:
    figures, classes = figures_of("delta", rows)
    whole = whole_counts(rows)
    assert figures.tolist() == pytest.approx(
        [reference.delta(each, whole) for each in reference.class_counts(classes)], abs=1e-12
    )


@given(rows=ROWS)
def test_beta_is_the_largest_relative_gain(rows: list[dict[str, Any]]) -> None:
    figures, classes = figures_of("beta", rows)
    whole = whole_counts(rows)
    assert figures.tolist() == pytest.approx(
        [reference.beta(each, whole) for each in reference.class_counts(classes)], abs=1e-12
    )


@given(rows=ROWS)
def test_alpha_is_the_largest_share(rows: list[dict[str, Any]]) -> None:
    figures, classes = figures_of("alpha", rows)
    assert figures.tolist() == pytest.approx([*map(reference.alpha, reference.class_counts(classes))])


@given(rows=ROWS)
def test_sensitive_values_of_persons_are_counted_once_for_each_person(rows: list[dict[str, Any]]) -> None:
    _, classes, baseline = measured(rows, "device")
    values: dict[Any, set[int]] = {}
    for row in rows:
        values.setdefault(row["illness"], set()).add(row["device"])
    total = sum(map(len, values.values()))
    order = classes.sensitive[0].dictionary.to_pylist()
    assert baseline.shares[0].tolist() == pytest.approx([len(values[value]) / total for value in order])
    (figures,) = measure_classes("alpha", classes, baseline)
    literal = reference.sensitive_by_combination(rows, ["model"], "illness", "device")
    assert sorted(figures) == pytest.approx(sorted(map(reference.alpha, literal.values())))


ILLNESSES = {
    "flu": ("airways", "chest", "any"),
    "cold": ("airways", "chest", "any"),
    "angina": ("heart", "chest", "any"),
    "ulcer": ("stomach", "belly", "any"),
}


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from([*ILLNESSES, "other", None])), min_size=1, max_size=30)
)
def test_the_hierarchical_distance_is_that_of_its_definition(rows: list[tuple[str, str | None]]) -> None:
    table = pa.table({"q": [city for city, _ in rows], "s": pa.array([illness for _, illness in rows], pa.string())})
    combinations = combinations_of(table, ["q"], ["s"])
    classes = classes_of(combinations, np.arange(len(combinations)), len(combinations))
    figure = worst_figure(
        "hierarchical_t", classes, Baseline.of_combinations(combinations), HierarchicalThreshold(0.3, ILLNESSES)
    )
    whole = Counter(illness for _, illness in rows)
    by_city = {city: Counter(illness for place, illness in rows if place == city) for city, _ in rows}
    assert figure == pytest.approx(max(hierarchical_t(counts, whole) for counts in by_city.values()), abs=1e-9)


def hierarchical_t(counts: Counter[str | None], whole: Counter[str | None]) -> float:
    """Bottom up: what flows between the parts of a group costs its height."""
    extra: dict[Any, float] = {value: counts[value] / counts.total() - whole[value] / whole.total() for value in whole}
    node_of: dict[str | None, Any] = {value: value for value in whole}
    distance = 0.0
    for level in range(3):
        groups: dict[Any, dict[Any, float]] = {}
        for value in whole:
            listed = ILLNESSES.get(str(value))
            group = "any" if level == 2 else listed[level] if listed else (value, level)
            groups.setdefault(group, {})[node_of[value]] = extra[node_of[value]]
            node_of[value] = node_of[value], group
        for parts in groups.values():
            into = sum(max(0.0, part) for part in parts.values())
            out = sum(max(0.0, -part) for part in parts.values())
            distance += (level + 1) / 3 * min(into, out)
        node_of = {value: group for value, (_, group) in node_of.items()}
        extra = {group: sum(parts.values()) for group, parts in groups.items()}
    return distance


@pytest.mark.parametrize(
    ("hierarchy", "message"),
    [
        ({}, "must have `t` and `hierarchy`"),
        ({"flu": "airways"}, "must list the groups"),
        ({"flu": ["airways", "any"], "ulcer": ["any"]}, "as many groups"),
        ({"flu": ["airways", "any"], "ulcer": ["stomach", "all"]}, "the same last one"),
        ({"flu": ["a", "b", "any"], "ulcer": ["a", "c", "any"]}, "must be nested"),
    ],
)
def test_groups_that_are_no_hierarchy_are_refused(hierarchy: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RISK_MEASURES["hierarchical_t"].read_threshold({"t": 0.3, "hierarchy": hierarchy})


AT_THE_LIMIT = {
    "k": (2.0, 2, 3),
    "l": (2.0, 2, 3),
    "entropy_l": (2.0 - 1e-13, 2.0, 2.1),
    "recursive_l": (2.9, RecursiveThreshold(3.0, 2), RecursiveThreshold(2.9, 2)),
    "t": (0.3 + 1e-13, 0.3, 0.2),
    "ordered_t": (0.3 + 1e-13, 0.3, 0.2),
    "hierarchical_t": (0.3 + 1e-13, HierarchicalThreshold(0.3, ILLNESSES), HierarchicalThreshold(0.2, ILLNESSES)),
    "delta": (0.99, 1.0, 0.99),
    "beta": (1.0 + 1e-13, 1.0, 0.9),
    "alpha": (0.5 + 1e-13, 0.5, 0.4),
}


def test_every_measure_has_a_limit_in_these_tests() -> None:
    assert RISK_MEASURES.keys() == AT_THE_LIMIT.keys()


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_a_threshold_holds_at_its_limit_and_not_beyond(name: str) -> None:
    figure, meets, misses = AT_THE_LIMIT[name]
    measure = RISK_MEASURES[name]
    assert measure.holds(np.array([figure]), meets).tolist() == [True]
    assert measure.holds(np.array([figure]), misses).tolist() == [False]
    assert measure.is_at_least_as_strict(misses, meets)
    assert not measure.is_at_least_as_strict(meets, misses)


def test_every_measure_names_its_source_and_reads_its_own_example() -> None:
    from ruamel.yaml import YAML

    for name, measure in RISK_MEASURES.items():
        assert measure.name == name
        assert measure.title
        assert measure.source
        measure.read_threshold(YAML(typ="safe").load(measure.example))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("k", 0),
        ("k", 2.5),
        ("k", True),
        ("t", -0.1),
        ("t", "0.3"),
        ("t", math.inf),
        ("recursive_l", 2),
        ("recursive_l", {"c": 0, "l": 2}),
        ("recursive_l", {"c": 3, "l": 1}),
        ("recursive_l", {"c": 3, "l": 2, "d": 1}),
    ],
)
def test_a_threshold_that_is_none_is_refused(name: str, written: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        RISK_MEASURES[name].read_threshold(written)


def test_the_worst_class_of_an_empty_table_is_none_and_a_bound_on_it_holds() -> None:
    _, classes, baseline = measured([])
    for name in RISK_MEASURES:
        assert worst_figure(name, classes, baseline) is None
    assert Requirement({"k": 10, "t": 0.1}).missed(classes, baseline) == []


def test_one_record_has_k_1() -> None:
    _, classes, baseline = measured([{"model": "A", "illness": 1, "device": 1}])
    assert worst_figure("k", classes, baseline) == 1
    assert Requirement({"k": 2, "l": 1, "t": 0.0}).missed(classes, baseline) == ["k"]


@given(rows=ROWS)
def test_a_requirement_holds_in_the_classes_where_each_measure_does(rows: list[dict[str, Any]]) -> None:
    _, classes, baseline = measured(rows)
    both = Requirement({"k": 3, "l": 2}).holds(classes, baseline)
    counts = reference.class_counts(classes)
    assert both.tolist() == [sum(each.values()) >= 3 and len(each) >= 2 for each in counts]
