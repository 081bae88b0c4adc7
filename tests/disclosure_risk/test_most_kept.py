"""The bound that prunes the search: no division of a class keeps more data subjects than each measure states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.disclosure_risk.combinations import classes_of, combinations_of
from minimize.disclosure_risk.measures import RISK_MEASURES
from minimize.disclosure_risk.measures.recursive_l import RecursiveThreshold
from minimize.disclosure_risk.requirement import Baseline, Requirement
from tests.disclosure_risk.generalization import ILLNESSES, THRESHOLDS

NAMES = [name for name in THRESHOLDS if name != "k"]
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"class": st.integers(0, 2), "part": st.integers(0, 3), "illness": st.sampled_from(ILLNESSES)}
    ),
    min_size=1,
    max_size=40,
)
SCHEMA = pa.schema({"class": pa.int64(), "part": pa.int64(), "illness": pa.string()})


def most_kept(rows: list[dict[str, Any]], name: str, threshold: Any) -> tuple[list[float], list[int], list[int]]:
    """By class the bound, the records that the parts keep that meet the threshold, and all records."""
    combinations = combinations_of(pa.Table.from_pylist(rows, schema=SCHEMA), ["class", "part"], ["illness"])
    baseline = Baseline.of_combinations(combinations)
    whole = combinations.codes[:, 0].astype(np.int64)
    count = int(whole.max()) + 1
    classes = classes_of(combinations, whole, count)
    (view,) = baseline.views(classes)
    bound = RISK_MEASURES[name].most_kept(view, threshold)
    parts = classes_of(combinations, np.arange(len(combinations)), len(combinations))
    holds = Requirement({name: threshold}).holds(parts, baseline)
    kept = np.bincount(whole[holds], combinations.records[holds], count)
    return bound.tolist(), kept.tolist(), classes.records.tolist()


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), rows=RECORDS)
def test_no_division_of_a_class_keeps_more(name: str, data: st.DataObject, rows: list[dict[str, Any]]) -> None:
    bound, kept, _ = most_kept(rows, name, data.draw(THRESHOLDS[name]))
    assert all(most >= number for most, number in zip(bound, kept, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_meets_the_threshold_can_be_kept_whole(name: str) -> None:
    rows = [{"class": 0, "part": 0, "illness": illness} for illness in ILLNESSES * 10]
    threshold = {"l": 3, "entropy_l": 2.9, "recursive_l": RecursiveThreshold(3.0, 3), "alpha": 0.4}.get(name, 0.1)
    bound, kept, records = most_kept(rows, name, threshold)
    assert bound == kept == records == [30]


@pytest.mark.parametrize(
    ("name", "threshold", "most"),
    [
        ("l", 3, 0),
        ("entropy_l", 2.0, 8),
        ("recursive_l", RecursiveThreshold(1.0, 2), 8),
        ("t", 0.1, 10),
        ("ordered_t", 0.05, 8),
        ("delta", 0.1, 8),
        ("beta", 0.1, 8),
        ("alpha", 0.5, 8),
    ],
)
def test_a_class_of_ten_equal_values_and_four_others_keeps_as_many_of_them_as_the_threshold_permits(
    name: str, threshold: Any, most: int
) -> None:
    rows = [{"class": 0, "part": 0, "illness": illness} for illness in ["flu"] * 10 + ["gout"] * 4]
    rows += [{"class": 1, "part": 0, "illness": illness} for illness in ["flu"] * 4 + ["gout"] * 10]
    bound, _, _ = most_kept(rows, name, threshold)
    assert bound[0] == most
    assert bound[0] == bound[1]
