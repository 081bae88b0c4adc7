"""An accumulator gives the same counted rows for any memory budget, and keeps to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.checkpoints import at_checkpoint
from minimize.spill import Accumulator, HashedRows, SpillSpace, ValueHasher

ALL = None
"""A budget without an end."""

hasher = ValueHasher(bytes(32))


def rows(numbers: Iterable[int]) -> HashedRows:
    values = pa.array(numbers, pa.int64())
    words = np.column_stack([hasher(values), np.ones(len(values), np.uint64)])
    return HashedRows(words, values.cast(pa.large_string()))


def settled(tally: Accumulator) -> list[tuple[str, int]]:
    found = []
    for part in tally.settle():
        assert part.texts is not None
        found += list(zip(part.texts.to_pylist(), part.words[:, 2].tolist(), strict=True))
    return found


def tallied(aside: SpillSpace, *batches: Iterable[int]) -> Accumulator:
    tally = Accumulator(aside, 3, [np.add])
    for numbers in batches:
        tally.add(rows(numbers))
    return tally


@given(st.lists(st.lists(st.integers(0, 400), max_size=200), max_size=20), st.integers(0, 20))
def test_budget_cut_and_merging_change_nothing(batches: list[list[int]], cut: int) -> None:
    expected = settled(tallied(SpillSpace(ALL), [number for batch in batches for number in batch]))
    aside = SpillSpace(1)
    first, second = tallied(aside, *batches[:cut]), tallied(aside, *batches[cut:])
    second.merge(first)
    assert settled(second) == expected
    assert settled(second) == expected, "it can be read again"
    assert settled(first) == []


@pytest.mark.slow
def test_a_partition_that_does_not_fit_is_cut_again() -> None:
    tally = tallied(SpillSpace(1), *(range(start, start + 5000) for start in range(0, 60_000, 4000)))
    divided: list[str] = []
    with at_checkpoint("partition.divided", divided.append):
        found = settled(tally)
    assert len(divided) >= 64
    assert len(found) == 61_000
    assert sum(count for _, count in found) == 15 * 5000
    assert sorted(int(text) for text, _ in found) == list(range(61_000))


@pytest.mark.slow
def test_parts_come_in_the_order_of_the_hashes() -> None:
    tally = tallied(SpillSpace(1), range(20_000), range(10_000, 30_000))
    parts = [part.words for part in tally.settle() if len(part)]
    assert len(parts) > 64
    assert all(first[-1, 0] < second[0, 0] for first, second in pairwise(parts))


def test_one_row_without_end_is_one_row() -> None:
    tally = tallied(SpillSpace(1), *([7] * 3000 for _ in range(20)))
    assert settled(tally) == [("7", 60_000)]


def test_memory_is_bounded_by_its_share() -> None:
    aside = SpillSpace(4 << 20)
    tally = Accumulator(aside, 3, [np.add])
    for start in range(0, 200_000, 1000):
        tally.add(rows(range(start, start + 1000)))
        assert tally._size <= (2 << 20) + (1 << 16)
    assert max(part.nbytes for part in tally.settle()) <= (1 << 20)


def test_within_the_budget_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert len(settled(tallied(SpillSpace(), range(10_000)))) == 10_000


def test_an_accumulator_can_be_pickled_in_memory_and_not_on_disk() -> None:
    tally = tallied(SpillSpace(ALL), range(3000), range(10))
    assert settled(ForkingPickler.loads(ForkingPickler.dumps(tally))) == settled(tally)
    with pytest.raises(TypeError, match="cannot be sent to another process"):
        ForkingPickler.dumps(tallied(SpillSpace(1), range(3000)))


def test_nothing_was_added_is_nothing_settled() -> None:
    assert settled(tallied(SpillSpace(1))) == settled(tallied(SpillSpace(1), [])) == []


def test_merging_a_partition_takes_a_part_of_the_budget_however_often_its_rows_repeat() -> None:
    tally, merged = Accumulator(SpillSpace(4 << 20), 3, [np.add]), list[int]()
    words = np.random.default_rng(5).integers(1, 2**63, (100_000, 3)).astype(np.uint64)
    words[:, 2] = 1
    for _ in range(60):
        for some in np.split(words, 10):
            tally.add(HashedRows(some))

    def measure(_: str, parts: list[HashedRows]) -> None:
        merged.append(sum(part.nbytes for part in parts))

    with at_checkpoint("partition.merged", measure):
        found = list(tally.settle())
    assert sum(map(len, found)) == len(words)
    assert {number for part in found for number in part.words[:, 2].tolist()} == {60}
    assert max(merged) <= (2 << 20) // 2


def test_a_partition_that_was_divided_is_not_divided_again() -> None:
    tally, divided = Accumulator(SpillSpace(1 << 17), 2), list[str]()
    for some in np.split(np.random.default_rng(5).integers(1, 2**63, (200_000, 2)).astype(np.uint64), 10):
        tally.add(HashedRows(some))
    with at_checkpoint("partition.divided", divided.append):
        passes = [np.concatenate([part.words for part in tally.settle()]) for _ in range(3)]
    assert len(divided) == 32  # all first bits of the words are zero
    assert all(np.array_equal(passes[0], again) for again in passes)
    assert len(passes[0]) == 200_000
    assert np.array_equal(passes[0][:, 0], np.sort(passes[0][:, 0]))


ids = st.tuples(st.integers(0, 3), st.integers(0, 3))

rows_ = st.lists(st.tuples(ids, st.integers(0, 5)), max_size=60)


def counted_rows(given_: list[tuple[tuple[int, int], int]]) -> HashedRows:
    words = np.array([[*id_, count] for id_, count in given_], np.uint64).reshape(-1, 3)
    return HashedRows(words, pa.array([str(id_) for id_, _ in given_], pa.large_string()))


@given(rows_)
def test_equal_rows_are_one_with_their_counts_added_up(given_: list[tuple[tuple[int, int], int]]) -> None:
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for id_, count in given_:
        sums[id_] += count
    reduced = counted_rows(given_).reduce([np.add])
    assert reduced.words.tolist() == [[*id_, sums[id_]] for id_ in sorted(sums)]
    assert reduced.texts is not None
    assert reduced.texts.to_pylist() == [str(id_) for id_ in sorted(sums)]


@given(rows_, st.integers(0, 5))
def test_they_come_back_from_bytes(given_: list[tuple[tuple[int, int], int]], start: int) -> None:
    some = counted_rows(given_).take(np.arange(min(start, len(given_)), len(given_)))
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
    some = counted_rows([((1, 2), 3)])
    assert some.nbytes > some.words.nbytes == 24


def test_rows_print_no_words() -> None:
    assert repr(counted_rows([((77, 78), 79)])) == "HashedRows()"
