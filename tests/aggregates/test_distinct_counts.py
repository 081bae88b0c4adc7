""""""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.aggregates.batch_views import RowView
from minimize.aggregates.distinct_counts import Contributors, DistinctPairs, LastSeenGroups
from tests.hypothesis_profiles import examples

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


rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 15)), max_size=30)


@given(rows, st.integers(0, 30))
def test_what_is_left_out_was_said_before_by_a_row_that_lacked_nothing_else(
    some: list[tuple[int, int, int]], cut: int
) -> None:
    last, told = LastSeenGroups(), list[tuple[int, int, int]]()
    for part in (some[:cut], some[cut:]):
        columns = [np.array([row[place] for row in part], np.int64) for place in range(3)]
        new = last.new_rows(*columns).tolist()
        told += [part[row] for row in new]
        for group, code, lacks in part:
            assert any((group, code) == (one, other) and not bits & ~lacks for one, other, bits in told)
    assert set(told) <= set(some)


def test_groups_beyond_its_room_are_all_news() -> None:
    last, groups = LastSeenGroups(), np.array([2**28])
    assert [last.new_rows(groups, np.array([0])).tolist() for _ in range(2)] == [[0], [0]]


def test_a_copy_learns_by_itself() -> None:
    last = LastSeenGroups()
    other = last.copy()
    other.new_rows(np.array([1]), np.array([0]))
    assert last.new_rows(np.array([1]), np.array([0])).tolist() == [0]


def test_other_processes_begin_anew() -> None:
    last = LastSeenGroups()
    last.new_rows(np.array([1]), np.array([0]))
    assert pickle.loads(pickle.dumps(last)).nbytes == 0


row = st.tuples(st.integers(0, 3) | st.integers(0, 2**20), st.integers(0, 3), st.integers(0, 3))


def columns(rows: list[tuple[int, int, int]]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.array([one[position] for one in rows], np.int64) for position in range(3)]


@given(st.lists(row, max_size=40), st.integers(0, 40))
def test_codes_are_counted_once_in_a_group_whatever_the_batches(rows: list[tuple[int, int, int]], cut: int) -> None:
    pairs, groups = DistinctPairs(), sorted({group for group, _, _ in rows} | {5})
    for part in (rows[:cut], rows[cut:]):
        pairs.add(*columns(part))
    assert pairs.distinct(np.array(groups)).tolist() == [
        len({code for owner, code, _ in rows if owner == group}) for group in groups
    ]
    for bit in (0, 1):
        assert pairs.distinct(np.array(groups), bit).tolist() == [
            len({code for owner, code, lacks in rows if owner == group and not lacks & (1 << bit)}) for group in groups
        ]


@settings(max_examples=examples(50))
@given(st.lists(row, max_size=20), st.integers(1, 5))
def test_it_makes_no_difference_how_many_pairs_are_worked_off_at_once(
    rows: list[tuple[int, int, int]], few: int
) -> None:
    groups, codes, lacking = columns(rows)
    whole, parted, merged = DistinctPairs(), DistinctPairs(), DistinctPairs()
    whole.add(groups, codes, lacking)
    owners, same = np.unique(groups), np.arange(2**20 + 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("minimize.aggregates.distinct_counts._PAIRS_AT_ONCE", few)
        parted.add(groups, codes, lacking)
        merged.merge(parted, same, same)
        for bit in (None, 0, 1):
            counts = whole.distinct(owners, bit).tolist()
            assert (parted.distinct(owners, bit).tolist(), merged.distinct(owners, bit).tolist()) == (counts, counts)


def test_a_copy_goes_on_by_itself() -> None:
    pairs = DistinctPairs()
    pairs.add(np.array([0]), np.array([1]))
    other = pairs.copy()
    other.add(np.array([0, 0]), np.array([1, 2]))
    assert (pairs.distinct(np.arange(1)).tolist(), other.distinct(np.arange(1)).tolist()) == ([1], [2])


def test_merging_translates_the_codes_and_keeps_what_rows_lack() -> None:
    ours, theirs = DistinctPairs(), DistinctPairs()
    ours.add(np.array([1]), np.array([0]))
    theirs.add(np.array([0, 0]), np.array([1, 0]), np.array([1, 0]))
    ours.merge(theirs, np.array([1]), np.array([9, 0]))
    assert (ours.distinct(np.arange(2)).tolist(), ours.distinct(np.arange(2), 0).tolist()) == ([0, 2], [0, 2])


def test_pairs_that_wait_are_put_together_once_there_are_many() -> None:
    pairs, rows = DistinctPairs(), np.arange(1 << 20)
    for _ in range(3):
        pairs.add(rows % 7, rows)
    assert pairs.nbytes < 8 * 2 * len(rows)
    assert int(pairs.distinct(np.arange(7)).sum()) == len(rows)


def test_pairs_of_the_same_codes_are_taken_in_as_they_are() -> None:
    ours, theirs, same = DistinctPairs(), DistinctPairs(), np.arange(9)
    ours.add(np.array([0, 1]), np.array([7, 8]))
    theirs.add(np.array([1, 1, 0]), np.array([8, 7, 7]))
    ours.merge(theirs, same, same)
    assert ours.distinct(np.array([0, 1])).tolist() == [1, 2]
