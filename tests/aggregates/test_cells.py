from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.aggregates.exact_sums import CellSums
from tests.hypothesis_profiles import examples

code = st.one_of(st.integers(0, 5), st.integers(0, 2**30))
triples = st.lists(st.tuples(code, code, st.integers(-(2**40), 2**40)), max_size=40)


def arrays(rows: list[tuple[int, int, int]]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.array([row[position] for row in rows], np.int64) for position in range(3)]


@settings(max_examples=examples(80))
@given(triples, st.integers(0, 40))
def test_cells_count_and_add_up_whatever_the_batches(rows: list[tuple[int, int, int]], cut: int) -> None:
    counts, sums = CellSums(), CellSums()
    for part in (rows[:cut], rows[cut:]):
        first, second, weights = arrays(part)
        counts.add(first, second)
        sums.add(first, second, weights[:, None])
    expected: dict[tuple[int, int], int] = defaultdict(int)
    for row, column, weight in rows:
        expected[row, column] += weight
    assert listed(counts) == sorted(Counter((row, column) for row, column, _ in rows).items())
    assert listed(sums) == sorted(expected.items())


def listed(cells: CellSums) -> list[tuple[tuple[int, int], int]]:
    rows, columns, sums = cells.settle()
    return [
        ((row, column), total)
        for row, column, total in zip(rows.tolist(), columns.tolist(), sums[:, 0].tolist(), strict=True)
    ]


def test_merging_translates_the_codes() -> None:
    ours, theirs = CellSums(), CellSums()
    ours.add(np.array([1]), np.array([0]))
    theirs.add(np.array([0, 0]), np.array([1, 1]))
    ours.merge(theirs, np.array([1]), np.array([9, 0]))
    assert listed(ours) == [((1, 0), 3)]


def test_a_row_without_cells_counts_nothing() -> None:
    cells = CellSums()
    cells.add(np.array([2, 2]), np.array([0, 1]))
    assert cells.sums_per_row(4).tolist() == [0, 0, 2, 0]
