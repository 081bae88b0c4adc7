from __future__ import annotations

import numpy as np

from minimize.aggregates.vector import Vector


def test_what_was_never_added_to_is_zero() -> None:
    vector = Vector()
    vector.add(np.array([1, 2]))
    assert vector.of(np.array([1, 5])).tolist() == [2, 0]


def test_rows_and_weights_go_to_their_groups_and_nothing_goes_nowhere() -> None:
    vector, nobody = Vector(), np.array([], np.int64)
    vector.count(np.array([4, 3, 4]))
    vector.weigh(np.array([5, 4]), np.array([10.0, -20.0]))
    vector.count(nobody)
    vector.weigh(nobody, np.array([]))
    assert vector.of(np.arange(6)).tolist() == [0, 0, 0, 1, -18, 10]


def test_merging_translates_the_groups() -> None:
    ours, theirs = Vector(), Vector()
    ours.count(np.array([0, 1, 1]))
    theirs.weigh(np.array([0, 1]), np.array([10.0, -20.0]))
    ours.merge(theirs, np.array([4, 1]))
    assert ours.of(np.arange(5)).tolist() == [1, -18, 0, 0, 10]


def test_what_has_grown_ahead_of_its_groups_merges_all_the_same() -> None:
    ours, theirs = Vector(), Vector()
    for last in (39, 40):
        theirs.count(np.array([0, last]))
    ours.merge(theirs, np.arange(41))
    assert ours.of(np.array([0, 39, 40])).tolist() == [2, 1, 1]


def test_nothing_merges_into_something() -> None:
    ours = Vector()
    ours.count(np.array([0]))
    ours.merge(Vector(), np.array([], np.int64))
    assert ours.of(np.arange(1)).tolist() == [1]


def test_what_is_handed_on_and_what_stays_are_what_was_there() -> None:
    vector, sums = Vector(), np.array([5, -5, 2**32 + 7, -(2**40) - 1, 2**31])
    vector.add(sums)
    above = vector.carry()
    assert above is not None
    stays = vector.of(np.arange(5))
    assert (above * 2**32 + stays).tolist() == sums.tolist()
    assert int(np.abs(stays).max()) <= 2**31
    assert vector.carry() is None
