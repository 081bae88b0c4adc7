from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.aggregates import tally as module
from minimize.aggregates.tally import PendingRecords
from minimize.spill import SpillSpace
from tests.hypothesis_profiles import examples

GROUPS = 6
batches = st.lists(st.lists(st.sets(st.integers(0, GROUPS - 1), min_size=1), max_size=6), max_size=6)


def filled(records: list[list[set[int]]], standing: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> PendingRecords:
    undecided = PendingRecords()
    for batch in records:
        pairs = [(number, group) for number, groups in enumerate(batch) for group in groups]
        numbers, groups_ = (np.array([pair[place] for pair in pairs], np.int64) for place in (0, 1))
        undecided.add(numbers, groups_, lambda: standing)
    return undecided


@settings(max_examples=examples(80))
@given(batches, st.sets(st.integers(0, GROUPS - 1)), st.sets(st.integers(0, GROUPS - 1)), st.sampled_from([0, 3, 1000]))
def test_a_record_is_lost_if_none_of_its_groups_stands_in_the_end(
    records: list[list[set[int]]], early: set[int], late: set[int], limit: int
) -> None:
    before, after = (np.isin(np.arange(GROUPS), list(found)) for found in (early, early | late))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MIN_PENDING", limit)
        ours, theirs = filled(records[::2], before), filled(records[1::2], before)
        ours.merge(theirs, np.arange(GROUPS), lambda: before)
    assert ours.count_lost(after) == sum(not groups & (early | late) for batch in records for groups in batch)


@settings(max_examples=examples(80))
@given(batches, st.sets(st.integers(0, GROUPS - 1)), st.lists(st.booleans(), min_size=4, max_size=4))
def test_records_that_are_set_aside_are_lost_as_others_are(
    records: list[list[set[int]]], late: set[int], gone: list[bool]
) -> None:
    nobody, after = np.zeros(GROUPS, np.bool_), np.isin(np.arange(GROUPS), list(late))
    aside, nothing = SpillSpace(1), np.empty((0, 2), np.uint64)
    third = len(records) // 3
    tallies = [filled(part, nobody) for part in (records[:third], records[third : 2 * third], records[2 * third :])]
    for tally, first in zip(tallies, gone, strict=False):
        if first:
            tally.spill(aside, nothing)
    ours, *others = tallies
    for other in others:
        ours.merge(other, np.arange(GROUPS), lambda: nobody)
        if gone[3]:
            ours.spill(aside, nothing)
    assert ours.count_lost(after) == sum(not groups & late for batch in records for groups in batch)
