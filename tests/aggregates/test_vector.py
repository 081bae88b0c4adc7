from __future__ import annotations

import numpy as np

from minimize.aggregates.exact_sums import GroupSums


def test_what_was_never_added_to_is_zero() -> None:
    vector = GroupSums()
    vector.add(np.array([1, 2]))
    assert vector.select(np.array([1, 5])).tolist() == [2, 0]


def test_rows_and_weights_go_to_their_groups_and_nothing_goes_nowhere() -> None:
    vector, nobody = GroupSums(), np.array([], np.int64)
    vector.count(np.array([4, 3, 4]))
    vector.weigh(np.array([5, 4]), np.array([10.0, -20.0]))
    vector.count(nobody)
    vector.weigh(nobody, np.array([]))
    assert vector.select(np.arange(6)).tolist() == [0, 0, 0, 1, -18, 10]


def test_merging_translates_the_groups() -> None:
    ours, theirs = GroupSums(), GroupSums()
    ours.count(np.array([0, 1, 1]))
    theirs.weigh(np.array([0, 1]), np.array([10.0, -20.0]))
    ours.merge(theirs, np.array([4, 1]))
    assert ours.select(np.arange(5)).tolist() == [1, -18, 0, 0, 10]


def test_what_has_grown_ahead_of_its_groups_merges_all_the_same() -> None:
    ours, theirs = GroupSums(), GroupSums()
    for last in (39, 40):
        theirs.count(np.array([0, last]))
    ours.merge(theirs, np.arange(41))
    assert ours.select(np.array([0, 39, 40])).tolist() == [2, 1, 1]


def test_nothing_merges_into_something() -> None:
    ours = GroupSums()
    ours.count(np.array([0]))
    ours.merge(GroupSums(), np.array([], np.int64))
    assert ours.select(np.arange(1)).tolist() == [1]


def test_what_is_handed_on_and_what_stays_are_what_was_there() -> None:
    vector, sums = GroupSums(), np.array([5, -5, 2**32 + 7, -(2**40) - 1, 2**31])
    vector.add(sums)
    above = vector.carry()
    assert above is not None
    stays = vector.select(np.arange(5))
    assert (above * 2**32 + stays).tolist() == sums.tolist()
    assert int(np.abs(stays).max()) <= 2**31
    assert vector.carry() is None
