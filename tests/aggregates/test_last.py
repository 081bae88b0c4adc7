from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates.distinct_counts import LastSeenGroups

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
