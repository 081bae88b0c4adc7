from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.aggregates.quantile_support import SpilledValueCounts
from minimize.spill import SpillSpace

GROUPS = 3000


def medians(groups: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    """The value that two of the three rows of each group have."""
    return [int(group % 2) for group in groups.tolist()]


def test_few_values_of_many_groups_are_cut_into_parts_and_counted_off() -> None:
    ranked, groups = SpilledValueCounts(SpillSpace(1 << 16), pa.int64()), np.arange(GROUPS)
    for value in (1, 0):
        ranked.add(groups, pa.array(np.full(GROUPS, value)), 1 + (groups + value + 1) % 2)
    sizes = [len(rows) for rows in ranked._counts.settle()]
    assert len(sizes) > 10
    assert max(sizes) < GROUPS
    asked = np.arange(1, GROUPS, 7)
    assert ranked.values_at(lambda totals: (totals + 1) // 2, asked).to_pylist() == medians(asked)


def test_parts_are_put_together_under_other_codes() -> None:
    ours, theirs = SpilledValueCounts(SpillSpace(0), pa.float64()), SpilledValueCounts(SpillSpace(0), pa.float64())
    ours.add(np.array([0, 1]), pa.array([2.5, -1.0]), np.array([1, 1]))
    theirs.add(np.array([0, 0, 1]), pa.array([3.5, 4.5, 0.5]), np.array([1, 1, 1]))
    merged = SpilledValueCounts.merged(ours, theirs, np.array([1, 2]))
    assert merged.values_at(lambda totals: totals, np.array([0, 1, 2])).to_pylist() == [2.5, 4.5, 0.5]
    assert merged.values_at(lambda totals: np.minimum(totals, 1), np.array([0, 1, 2, 3])).to_pylist() == [
        2.5,
        -1.0,
        0.5,
        None,
    ]
