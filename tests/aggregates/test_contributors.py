"""Totals of each group, bounded by what one subject can contribute, against the same in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates.base import ValueBounds
from minimize.aggregates.batch_views import Contributors, FieldRows, GroupTotals, RowView
from minimize.aggregates.definition import SubjectLimits
from minimize.arrow.dictionaries import valid_mask
from minimize.spill import SpillSpace, ValueHasher

HASHER = ValueHasher(b"k" * 32)
FIELD, RANKED, OTHER = ("score", False), ("score", True), ("mood", False)
BOUNDS = ValueBounds(Decimal(-10), Decimal(31))
Row = tuple[int, str | None, int | None]
"""Group, subject, value."""


def contributors(rows: Sequence[Row], space: SpillSpace | None = None) -> Contributors:
    """Rows of three fields with the same values, of which one is summed, and one only counted for each subject."""
    found = Contributors({}, (FIELD, RANKED, OTHER), {FIELD: BOUNDS}, space or SpillSpace(None), (FIELD, RANKED))
    view = RowView(
        np.array([row[0] for row in rows], np.int64), HASHER(pa.array([row[1] for row in rows], pa.string()))
    )
    values = pa.array([row[2] for row in rows], pa.int64())
    there = valid_mask(values)
    if there is None:
        every = FieldRows(view, values)
    else:
        every = FieldRows(view.select(there), values.filter(pa.array(there)), has_value=there)
    found.add(view, dict.fromkeys((FIELD, RANKED, OTHER), every))
    return found


def totals(rows: Sequence[Row], limit: int) -> GroupTotals:
    return contributors(rows).totals(3, SubjectLimits(limit))


rows_of_few = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["p", "q", "r", None]), st.none() | st.integers(-20, 60)), max_size=40
)


@given(rows_of_few, st.integers(1, 4))
def test_totals_are_those_of_rows_and_values_up_to_the_limit(rows: list[Row], limit: int) -> None:
    found = totals(rows, limit)
    for group in range(3):
        values: dict[str, list[int]] = defaultdict(list)
        counts: dict[str, int] = defaultdict(int)
        for owner, subject, value in rows:
            if owner == group and subject is not None:
                counts[subject] += 1
                if value is not None:
                    values[subject].append(2 * min(max(value, -10), 31) - 21)
        assert found.subjects[group] == len(counts)
        assert [int(found.with_value[field][group]) for field in (FIELD, RANKED, OTHER)] == [len(values)] * 3
        assert found.rows[group] == sum(min(count, limit) for count in counts.values())
        assert found.fields[FIELD].values[group] == sum(min(len(each), limit) for each in values.values())
        assert found.fields[FIELD].centred[group] == sum(
            int(Fraction(sum(each) * min(limit, len(each)), len(each))) for each in values.values()
        )
    assert found.fields.keys() == {FIELD}
    most = [sum(row[:2] == pair for row in rows) for pair in {row[:2] for row in rows if row[1] is not None}]
    assert found.most == max(most, default=0)


@given(rows_of_few, rows_of_few)
def test_totals_of_merged_parts_are_those_of_all_rows(rows: list[Row], more: list[Row]) -> None:
    whole, part = contributors([*rows, *more]), contributors(rows)
    part.subjects.merge(contributors(more).subjects, np.array([0, 1, 2]))
    ours, theirs = (each.totals(3, SubjectLimits(2)) for each in (whole, part))
    for one, other in ((ours.rows, theirs.rows), (ours.fields[FIELD].centred, theirs.fields[FIELD].centred)):
        assert one.tolist() == other.tolist()
    hashes = HASHER(pa.array(["a", "b", "c"]))
    assert whole.subjects.digest(hashes) == part.subjects.digest(hashes)


def test_one_subject_moves_a_sum_by_no_more_than_the_distance_of_the_bounds_for_each_row() -> None:
    others: list[Row] = [(0, f"p{number}", 10) for number in range(20)]
    for limit in (1, 3):
        sums = [
            int(totals([*others, *[(0, "target", value)] * 50], limit).fields[FIELD].centred[0])
            for value in (-1000, 1000)
        ]
        assert sums[1] - sums[0] == 2 * 41 * limit


@pytest.mark.parametrize("count", [1, 2, 9])
def test_more_values_than_the_limit_count_with_their_mean(count: int) -> None:
    rows: list[Row] = [(0, "p", value) for value in (0, 30) for _ in range(count)]
    assert totals(rows, 2).fields[FIELD].centred[0] == 2 * (15 * 2 - 21)
