"""Rows: equal ones once, in order, their counts added up; as bytes and back."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.spill import HashedRows

ids = st.tuples(st.integers(0, 3), st.integers(0, 3))
rows_ = st.lists(st.tuples(ids, st.integers(0, 5)), max_size=60)


def rows(given_: list[tuple[tuple[int, int], int]]) -> HashedRows:
    words = np.array([[*id_, count] for id_, count in given_], np.uint64).reshape(-1, 3)
    return HashedRows(words, pa.array([str(id_) for id_, _ in given_], pa.large_string()))


@given(rows_)
def test_equal_rows_are_one_with_their_counts_added_up(given_: list[tuple[tuple[int, int], int]]) -> None:
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for id_, count in given_:
        sums[id_] += count
    reduced = rows(given_).reduce([np.add])
    assert reduced.words.tolist() == [[*id_, sums[id_]] for id_ in sorted(sums)]
    assert reduced.texts is not None
    assert reduced.texts.to_pylist() == [str(id_) for id_ in sorted(sums)]


@given(rows_, st.integers(0, 5))
def test_they_come_back_from_bytes(given_: list[tuple[tuple[int, int], int]], start: int) -> None:
    some = rows(given_).take(np.arange(min(start, len(given_)), len(given_)))
    back = HashedRows.from_bytes(some.to_bytes(), 3)
    assert back.words.tolist() == some.words.tolist()
    assert back.texts is not None
    assert some.texts is not None
    assert back.texts.equals(some.texts)


def test_rows_without_texts_come_back_without() -> None:
    some = HashedRows(np.arange(6, dtype=np.uint64).reshape(-1, 2))
    back = HashedRows.from_bytes(some.to_bytes(), 2)
    assert back.texts is None
    assert back.words.tolist() == some.words.tolist()


def test_their_size_counts_texts() -> None:
    some = rows([((1, 2), 3)])
    assert some.nbytes > some.words.nbytes == 24


def test_rows_print_no_words() -> None:
    assert repr(rows([((77, 78), 79)])) == "HashedRows()"
