"""Numbers of rows of each value, counted in parts and merged."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.aggregates import value_counts
from minimize.aggregates.value_counts import ValueCounts, from_ordered_words
from minimize.arrow.dictionaries import Codes
from minimize.spill import SpillSpace


def counted(groups: list[int], values: list[int]) -> ValueCounts:
    counts = ValueCounts(SpillSpace(None), pa.int64())
    counts.add(np.array(groups), pa.array(values, pa.int64()))
    return counts


def largest(counts: ValueCounts, groups: Codes) -> list[int]:
    words, there = counts.words_at(lambda totals: totals, groups)
    assert there.all()
    return list(from_ordered_words(words, pa.int64()).to_pylist())


@pytest.mark.parametrize("cells", [1 << 22, 16])
def test_merged_counts_are_those_of_all_rows_whatever_values_each_part_has(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_counts, "_MAX_CELLS", cells)
    first, second = counted([0, 0, 1], [5, 3, 9]), counted([1, 1, 0, 0, 0], [3, 8, 1, 2, 7])
    first.merge(second, np.array([2, 0]))
    assert largest(first, np.array([0, 1, 2])) == [8, 9, 7]
    lowest, _ = first.words_at(np.ones_like, np.array([0, 1, 2]))
    assert from_ordered_words(lowest, pa.int64()).to_pylist() == [3, 9, 1]
    third, _ = first.words_at(lambda totals: np.full_like(totals, 2), np.array([0]))
    assert from_ordered_words(third, pa.int64()).to_pylist() == [3]
