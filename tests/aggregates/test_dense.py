from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.aggregates.exact_sums import DenseCounts
from tests.hypothesis_profiles import examples

cells = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=40)


@settings(max_examples=examples(80))
@given(st.lists(cells, max_size=4))
def test_cells_are_counted_as_the_matrix_grows(batches: list[list[tuple[int, int]]]) -> None:
    dense = DenseCounts()
    for batch in batches:
        assert dense.add(np.array([row for row, _ in batch], np.int64), np.array([cell for _, cell in batch], np.int64))
    rows, columns, counts = dense.drain()
    found = zip(zip(rows.tolist(), columns.tolist(), strict=True), counts.tolist(), strict=True)
    assert list(found) == sorted(Counter(cell for batch in batches for cell in batch).items())


def test_there_is_no_room_for_far_codes_and_what_was_counted_stays() -> None:
    dense = DenseCounts()
    assert dense.add(np.array([3]), np.array([1]))
    assert not dense.add(np.array([0]), np.array([2**30]))
    assert [part.tolist() for part in dense.drain()] == [[3], [1], [1]]


def test_what_was_taken_is_gone() -> None:
    dense = DenseCounts()
    dense.add(np.array([3]), np.array([1]))
    dense.drain()
    assert (dense.nbytes, len(dense.drain()[0])) == (0, 0)


@settings(max_examples=examples(80))
@given(cells, cells)
def test_counts_of_the_same_codes_are_added(mine: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> None:
    one, other = DenseCounts(), DenseCounts()
    for dense, batch in ((one, mine), (other, theirs)):
        dense.add(np.array([row for row, _ in batch], np.int64), np.array([cell for _, cell in batch], np.int64))
    assert one.merge(other)
    rows, columns, counts = one.drain()
    found = zip(zip(rows.tolist(), columns.tolist(), strict=True), counts.tolist(), strict=True)
    assert list(found) == sorted(Counter([*mine, *theirs]).items())


def test_counts_for_which_there_is_no_room_are_not_added() -> None:
    high, wide = DenseCounts(), DenseCounts()
    assert high.add(np.array([2**11]), np.array([0]))
    assert wide.add(np.array([0]), np.array([2**11]))
    assert not high.merge(wide)
    assert [part.tolist() for part in high.drain()] == [[2**11], [0], [1]]
