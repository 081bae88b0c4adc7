"""The tally of `top` beyond its budget: the same values, whatever fits into memory.
Names and counts, each a part at a time, put together; the most frequent of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.batch import Batch
from minimize.arrow.pointers import Pointer
from minimize.errors import SourceError
from minimize.spill import HashedRows, SpillSpace, ValueHasher
from minimize.techniques.top import Top, TopValues
from minimize.techniques.top_tally import TopTally, join_counts, most_frequent

MODEL, DEVICE = Pointer.parse("model"), Pointer.parse("device")


def batch(models: Any, devices: Any) -> Batch:
    raw = pa.record_batch({"device": pa.array(devices, pa.string())})
    return Batch(raw, released={"model": models if isinstance(models, pa.Array) else pa.array(models, pa.string())})


def tally(top: Top, aside: SpillSpace, *batches: Batch) -> TopTally:
    seen = TopTally("model", MODEL, DEVICE, top, aside)
    for each in batches:
        seen.observe(each)
    return seen


def many(rows: int, models: int, devices: int, seed: int = 1) -> Batch:
    """Models some of which are frequent, each device with several."""
    random = np.random.default_rng(seed)
    model = (models * random.random(rows) ** 3).astype(np.int64)
    return batch(
        pa.array([f"m{number}" for number in model.tolist()]),
        [f"d{number}" if number else None for number in random.integers(0, devices, rows).tolist()],
    )


@pytest.mark.parametrize(("models", "devices"), [(50, 8000), (8000, 50), (3000, 3000)])
@pytest.mark.parametrize("encoded", [False, True])
def test_spilled_or_not_the_same_values_are_kept(models: int, devices: int, encoded: bool) -> None:
    top = Top(keep=20, other="other", at_least=3)
    batches = [many(2000, models, devices, seed) for seed in range(6)]
    if encoded:
        batches = [each.with_(released={"model": each.released["model"].dictionary_encode()}) for each in batches]
    within, beyond = tally(top, SpillSpace(None), *batches), tally(top, SpillSpace(1), *batches)
    assert not within._pairs._spilled
    assert beyond._pairs._spilled
    assert bool(beyond._names._spilled) == (models > 50)
    assert beyond.settle() == within.settle()
    assert len(within.settle().values) == 20


rows_ = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300)), max_size=600)


@given(rows_, st.integers(1, 4), st.integers(1, 60), st.integers(0, 600))
def test_threads_that_spill_settle_as_one_that_does_not(
    rows: Sequence[tuple[int, int]], keep: int, at_least: int, cut: int
) -> None:
    def some(part: Sequence[tuple[int, int]]) -> Batch:
        return batch([f"m{model}" for model, _ in part], [f"d{device}" for _, device in part])

    top, aside = Top(keep=keep, other="m3", at_least=at_least), SpillSpace(1)
    first, second = tally(top, aside, some(rows[:cut])), tally(top, aside, some(rows[cut:]))
    second.merge(first)
    assert second.settle() == tally(top, SpillSpace(None), some(rows)).settle()


@pytest.mark.slow
def test_ties_beyond_the_budget_go_in_the_order_of_the_values() -> None:
    names = [f"m{number:05}" for number in range(30_000)]
    random = np.random.default_rng(3)
    shuffled = random.permutation(names).tolist()
    spilled = tally(Top(keep=5, other="o", at_least=1), SpillSpace(1), batch(shuffled, ["d"] * len(names)))
    assert spilled.settle().values == ("m00000", "m00001", "m00002", "m00003", "m00004")


@pytest.mark.slow
def test_an_other_that_is_too_small_is_found_beyond_the_budget() -> None:
    devices = [f"d{number}" for number in range(9000)]
    batches = [batch([model] * 9000, devices) for model in ("a", "b")]
    top = Top(keep=5, other="o", at_least=3)
    assert tally(top, SpillSpace(1), *batches, batch(["c"], ["d1"])).settle().values == ("a",)
    assert tally(top, SpillSpace(1), *batches).settle().values == ("a", "b")


def test_a_null_in_a_dictionary_is_no_value() -> None:
    models = pa.array(["a", None, None, None]).dictionary_encode(null_encoding="encode")
    found = tally(Top(keep=5, other="o", at_least=1), SpillSpace(), batch(models, ["p", "q", "r", "s"]))
    assert found.settle().values == ("a",)


def test_nothing_seen_is_nothing_kept() -> None:
    assert tally(Top(keep=5, other="o"), SpillSpace()).settle() == TopValues(values=(), other="o")
    assert tally(Top(keep=5, other="o"), SpillSpace(), batch([None], ["d"])).settle() == TopValues(values=(), other="o")


def test_tallies_under_two_keys_do_not_merge() -> None:
    top = Top(keep=5, other="o")
    with pytest.raises(ValueError, match="under different keys"):
        tally(top, SpillSpace()).merge(tally(top, SpillSpace()))


def test_a_value_that_is_not_utf8_is_told_of_without_showing_it() -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")]
    )
    with pytest.raises(SourceError, match="not UTF-8"):
        tally(Top(keep=1, other="o", at_least=1), SpillSpace(), batch(broken, ["d"])).settle()


hasher = ValueHasher(bytes(32))
NAMES = [f"n{number}" for number in range(30)]
counts_ = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 5))


def parts(rows: HashedRows, size: int) -> Iterator[HashedRows]:
    yield from (rows.slice(start, min(start + size, len(rows))) for start in range(0, len(rows), size))


def streams(
    counts: Mapping[str, int], names: list[str], size: int, other: int
) -> tuple[Iterator[HashedRows], Iterator[HashedRows]]:
    hashes = hasher(pa.array(list(counts), pa.string()))
    counted = HashedRows(np.column_stack([hashes, np.array(list(counts.values()), np.uint64)])).reduce()
    named = HashedRows(hasher(pa.array(names, pa.string())), pa.array(names, pa.large_string())).reduce()
    return parts(counted, size), parts(named, other)


@given(counts_, st.lists(st.sampled_from(NAMES)), st.integers(1, 9), st.integers(1, 9))
def test_every_name_gets_its_count(counts: dict[str, int], names: list[str], size: int, other: int) -> None:
    found: dict[str, int] = {}
    for part, numbers in join_counts(*streams(counts, names, size, other)):
        assert part.texts is not None
        found |= dict(zip(part.texts.to_pylist(), numbers.tolist(), strict=True))
    assert found == {name: counts.get(name, 0) for name in names}


@given(counts_, st.integers(1, 9), st.integers(1, 9), st.integers(1, 6), st.integers(1, 3))
def test_the_most_frequent_come_first_and_ties_by_name(
    counts: dict[str, int], size: int, other: int, keep: int, at_least: int
) -> None:
    top = Top(keep=keep, other="n3", at_least=at_least)
    found = most_frequent(*streams(counts, list(counts), size, other), top, hasher(pa.array(["n3"])))
    allowed = [name for name, count in counts.items() if count >= at_least and name != "n3"]
    assert found == tuple(sorted(allowed, key=lambda name: (-counts[name], name))[:keep])
