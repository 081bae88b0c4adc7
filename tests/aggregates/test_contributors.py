from __future__ import annotations

import numpy as np

from minimize.aggregates.batch_views import RowView
from minimize.aggregates.distinct_counts import Contributors

FIELD = ("size", False)


def view(*pairs: tuple[int, int]) -> RowView:
    return RowView(*np.array(pairs, np.int64).reshape(-1, 2).T)


def test_where_every_row_has_a_value_the_contributors_are_those_of_the_group() -> None:
    found = Contributors()
    found.observe(view((0, 1), (0, 1), (0, 2), (1, 1)), {})
    assert found.distinct(np.arange(2)).tolist() == found.distinct(np.arange(2), FIELD).tolist() == [2, 1]


def test_a_field_goes_its_own_way_from_the_batch_that_lacks_a_value() -> None:
    found = Contributors()
    found.observe(view((0, 1)), {})
    found.observe(view((0, 2), (0, 3)), {FIELD: view((0, 3))})
    found.observe(view((0, 4)), {})
    assert (found.distinct(np.arange(1)).tolist(), found.distinct(np.arange(1), FIELD).tolist()) == ([4], [3])


def test_merging_keeps_apart_what_either_side_had_apart() -> None:
    ours, theirs = Contributors(), Contributors()
    ours.observe(view((0, 0)), {})
    theirs.observe(view((0, 0), (0, 1)), {FIELD: view((0, 1))})
    ours.merge(theirs, np.array([0]), np.array([5, 6]))
    assert (ours.distinct(np.arange(1)).tolist(), ours.distinct(np.arange(1), FIELD).tolist()) == ([3], [2])


def test_nobody_does_not_contribute() -> None:
    found = Contributors()
    found.observe(view((0, -1), (0, 1)), {})
    assert found.distinct(np.arange(1)).tolist() == [1]


def test_a_row_may_lack_a_value_that_another_row_of_its_subject_has() -> None:
    found = Contributors([FIELD])
    found.observe(view((0, 1), (0, 2)), {}, {FIELD: np.array([True, True])})
    found.observe(view((0, 1), (1, 2)), {})
    assert (found.distinct(np.arange(2)).tolist(), found.distinct(np.arange(2), FIELD).tolist()) == ([2, 1], [1, 1])


def test_fields_without_a_place_beside_the_pairs_have_pairs_of_their_own() -> None:
    fields = [(str(number), False) for number in range(6)]
    ours, theirs = Contributors(fields), Contributors(fields)
    for number, field in enumerate(fields):
        ours.observe(view((0, number)), {}, {field: np.array([True])})
    theirs.observe(view((0, 0)), {})
    ours.merge(theirs, np.array([0]), np.array([3]))
    assert [ours.distinct(np.arange(1), field).tolist() for field in fields] == [[5], [5], [5], [6], [5], [5]]
