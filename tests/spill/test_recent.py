"""What came lately: nothing new is missed, and little that is old is said to be new."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.spill import RecentHashes, ValueHasher

words = ValueHasher(bytes(32))(pa.array(range(1000)))


@given(st.lists(st.lists(st.integers(0, 60), max_size=80), max_size=5))
def test_whatever_comes_is_new_at_least_once(batches: list[list[int]]) -> None:
    recent, told = RecentHashes(1), set[int]()
    for numbers in batches:
        some = words[np.array(numbers, np.int64)]
        news = recent.unseen_rows(some)
        assert news.tolist() == sorted(set(news.tolist()))
        told |= {numbers[place] for place in news.tolist()}
    assert told == {number for numbers in batches for number in numbers}


def test_what_came_lately_is_not_new() -> None:
    recent = RecentHashes(1 << 24)
    assert len(recent.unseen_rows(words)) == 1000
    assert len(recent.unseen_rows(words)) < 10


def test_its_memory_is_what_it_was_given() -> None:
    recent = RecentHashes(1 << 16)
    assert recent._high.nbytes + recent._low.nbytes == 1 << 16
