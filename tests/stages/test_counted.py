from __future__ import annotations

import pyarrow as pa

from minimize.arrow.batch import FieldCounts
from minimize.stages.chains import BranchResult, count_outcomes
from minimize.stages.raw_values import mask_values

RAW = pa.array(["a", "b", "c", None, "e"])
NEVER = pa.array([False] * 5)


def marks(*places: int) -> pa.BooleanArray:
    return pa.array([place in places for place in range(5)])


def test_each_value_is_one_of_gated_dropped_unparsable_changed_or_as_it_was() -> None:
    closed, dropped, untreated = marks(0, 3), marks(0, 1), marks(0, 1, 2)
    out = BranchResult(pa.array([None, None, None, None, "x"], pa.string()), untreated, dropped)
    assert count_outcomes(RAW, mask_values(RAW, closed), closed, out) == FieldCounts(4, 1, 1, 1, 1)


def test_masks_that_are_false_everywhere_count_like_none() -> None:
    out = pa.array(["a", "x", "c", None, "y"])
    assert count_outcomes(RAW, RAW, NEVER, BranchResult(out, NEVER, NEVER)) == count_outcomes(
        RAW, RAW, None, BranchResult(out)
    )
    assert count_outcomes(RAW, RAW, None, BranchResult(out)) == FieldCounts(4, 2)


def test_of_a_field_that_does_not_leave_only_gated_values_are_counted() -> None:
    assert count_outcomes(RAW, RAW, None, None) == FieldCounts(4)
    assert count_outcomes(RAW, mask_values(RAW, marks(1)), marks(1), None) == FieldCounts(4, gated=1)


def test_where_every_value_is_replaced_none_is_compared() -> None:
    assert count_outcomes(RAW, RAW, None, BranchResult(RAW), replaced=True) == FieldCounts(4, 4)
    assert count_outcomes(RAW, RAW, None, BranchResult(RAW, marks(0)), replaced=True) == FieldCounts(4, 3, unparsable=1)
