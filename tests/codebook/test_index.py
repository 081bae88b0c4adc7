from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.value_dictionary import DigestIndex, Words

digest = st.tuples(st.integers(0, 3) | st.integers(0, 2**64 - 1), st.integers(0, 2))


def words(digests: list[tuple[int, int]]) -> tuple[Words, Words]:
    high, low = ([digest[half] for digest in digests] for half in (0, 1))
    return np.array(high, np.uint64), np.array(low, np.uint64)


@given(st.lists(st.lists(digest, max_size=20), max_size=5))
def test_codes_follow_the_order_in_which_digests_come(batches: list[list[tuple[int, int]]]) -> None:
    index, known = DigestIndex(), dict[tuple[int, int], int]()
    for batch in batches:
        codes, fresh = index.codes(*words(batch))
        new = [row for row, one in enumerate(batch) if one not in known and batch.index(one) == row]
        for one in batch:
            known.setdefault(one, len(known))
        assert codes.tolist() == [known[one] for one in batch]
        assert fresh.tolist() == new


def test_digests_that_begin_alike_are_found_beside_each_other() -> None:
    index = DigestIndex()
    same, other = np.full(5000, 7, np.uint64), np.arange(5000, dtype=np.uint64)
    assert index.codes(same, other)[0].tolist() == list(range(5000))
    assert index.codes(same[::-1], other[::-1])[0].tolist() == list(range(4999, -1, -1))


def test_it_grows() -> None:
    index, size = DigestIndex(), 100_000
    high = np.random.default_rng(1).integers(0, 2**63, size).astype(np.uint64)
    before = index.nbytes
    for first in range(0, size, 30_000):
        index.codes(high[first : first + 30_000], high[first : first + 30_000])
    assert index.nbytes > before
    assert index.codes(high, high)[0].tolist() == list(range(size))
