"""The tally of `top`: the same values for any batches, budget, threads, processes and order of merging."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.errors import SourceError
from minimize.records import Batch
from minimize.spill import SpillSpace
from minimize.techniques.top import SubjectValues, Top, TopTally, TopValues
from tests.hypothesis_profiles import examples
from tests.techniques.test_top import Pair, literal

MODEL, DEVICE = Pointer.parse("model"), Pointer.parse("device")
TINY = 1
"""A budget of one byte: every batch is spilled."""
SMALL = 1 << 17
"""A budget that some thousand pairs exceed."""


def batch(models: Any, devices: Any) -> Batch:
    columns = [one if isinstance(one, pa.Array) else pa.array(one, pa.string()) for one in (models, devices)]
    return Batch(pa.record_batch({"device": columns[1]}), released={"model": columns[0]})


def tally(top: Top, pairs: SubjectValues, *batches: Batch) -> TopTally:
    seen = TopTally("model", MODEL, DEVICE, top, pairs)
    for each in batches:
        seen.observe(each)
    return seen


def kept(top: Top, *batches: Batch, memory: int | None = None) -> tuple[str, ...]:
    return tally(top, SubjectValues(SpillSpace(memory)), *batches).settle().values


def many(rows: int, models: int, devices: int, seed: int = 1) -> list[Pair]:
    """Models some of which are frequent, each device with several."""
    random = np.random.default_rng(seed)
    model = (models * random.random(rows) ** 3).astype(np.int64).tolist()
    device = random.integers(0, devices, rows).tolist()
    return [
        (f"m{one}" if one % 50 else None, f"d{other}" if other else None)
        for one, other in zip(model, device, strict=True)
    ]


def column(values: Sequence[str | None], form: str) -> pa.Array:
    """The values as plain texts, or as a dictionary, without or with null entries, larger than the column or not."""
    plain = pa.array(values, pa.string())
    if form == "long dictionary":
        plain = pa.concat_arrays([plain, pa.array([f"unused {number}" for number in range(len(values))], pa.string())])
        return plain.dictionary_encode()[: len(values)]
    if form == "null entry":
        return plain.dictionary_encode(null_encoding="encode")
    return plain.dictionary_encode() if form == "dictionary" else plain.cast(form)


FORMS = ("string", "large_string", "string_view", "dictionary", "long dictionary", "null entry")
forms = st.sampled_from(FORMS)
names = st.sampled_from(["", "a", "b", "c", "d", "é", "other", "v" * 200, None])
devices_ = st.sampled_from([*(f"d{number}" for number in range(9)), "d" * 200, "", None])
rows_ = st.lists(st.tuples(names, devices_), max_size=60)


@settings(max_examples=examples(60))
@given(
    rows=rows_,
    top=st.builds(Top, keep=st.integers(1, 4), other=st.just("other"), at_least=st.integers(1, 4)),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    memory=st.lists(st.sampled_from([None, TINY, 40_000]), min_size=3, max_size=3),
    chosen=st.lists(forms, min_size=7, max_size=7),
    data=st.data(),
)
def test_any_cut_budget_form_process_and_order_of_merging_gives_what_brute_force_gives(
    rows: list[Pair], top: Top, cuts: list[int], memory: list[int | None], chosen: list[str], data: st.DataObject
) -> None:
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    batches = [
        batch(
            column([value for value, _ in rows[start:end]], form),
            column([device for _, device in rows[start:end]], other),
        )
        for start, end, form, other in zip(ends, ends[1:], chosen, reversed(chosen), strict=False)
    ]
    spaces = [SpillSpace(bytes_, key=bytes(32)) for bytes_ in memory]
    shared = SubjectValues(spaces[0])
    tallies = [tally(top, shared), tally(top, shared), *(tally(top, SubjectValues(space)) for space in spaces[1:])]
    for each in batches:
        tallies[data.draw(st.integers(0, 3), "tally")].observe(each)
    if memory[2] is None and data.draw(st.booleans(), "other process"):
        tallies[3] = pickle.loads(pickle.dumps(tallies[3]))
    first, *others = data.draw(st.permutations(tallies), "order")
    for other in others:
        first.merge(other)
    assert first.settle().values == literal(rows, top)
    assert first.settle().values == literal(rows, top)


@pytest.mark.parametrize(("models", "devices"), [(50, 8000), (8000, 50), (3000, 3000)])
@pytest.mark.parametrize("memory", [None, SMALL])
def test_values_beyond_the_budget_are_counted_the_same(models: int, devices: int, memory: int | None) -> None:
    top = Top(keep=20, other="other", at_least=3)
    parts = [many(2000, models, devices, seed) for seed in range(6)]
    pairs = SubjectValues(SpillSpace(memory))
    tallied = tally(top, pairs, *(batch(*zip(*part, strict=True)) for part in parts))
    assert (pairs._spilled is None) == (memory is None)
    assert tallied.settle().values == literal([pair for part in parts for pair in part], top)


def test_threads_may_share_pairs_that_spill() -> None:
    top = Top(keep=9, other="other", at_least=3)
    parts = [many(2000, 40, 90, seed) for seed in range(8)]
    for memory in (None, SMALL):
        pairs = SubjectValues(SpillSpace(memory))
        tallies = [tally(top, pairs) for _ in parts]

        def observe(place: int, tallies: list[TopTally] = tallies) -> None:
            tallies[place].observe(batch(*zip(*parts[place], strict=True)))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(observe, range(len(parts))))
        for other in tallies[1:]:
            tallies[0].merge(other)
        assert tallies[0].settle().values == literal([pair for part in parts for pair in part], top)


SUBJECTS: dict[str, Callable[[Sequence[int]], pa.Array]] = {
    "integer": lambda numbers: pa.array(numbers, pa.int64()),
    "unsigned": lambda numbers: pa.array(numbers, pa.uint8()),
    "double": lambda numbers: pa.array([float(number) if number else -0.0 for number in numbers]),
    "time": lambda numbers: pa.array([datetime(2026, 1, 1 + number, tzinfo=UTC) for number in numbers]),
    "bytes": lambda numbers: pa.array([b"\xff%d" % number for number in numbers], pa.binary()),
    "identifier": lambda numbers: pa.array([bytes([number]) * 16 for number in numbers], pa.binary(16)),
    "integers as a dictionary": lambda numbers: pa.array(numbers).dictionary_encode(),
    "bytes as a dictionary": lambda numbers: pa.array([b"%d" % number for number in numbers]).dictionary_encode(),
}


@pytest.mark.parametrize("make", SUBJECTS.values(), ids=SUBJECTS.keys())
@pytest.mark.parametrize("memory", [None, TINY])
def test_subjects_of_any_type_are_counted_once(make: Callable[[Sequence[int]], pa.Array], memory: int | None) -> None:
    models, devices = ["a", "a", "b", "b", "b", "c"], make([0, 0, 0, 1, 2, 2])
    absent = pa.nulls(2, devices.type)
    batches = batch(models, devices), batch(models, devices), batch(["c", "c"], absent)
    assert kept(Top(keep=5, other="other", at_least=1), *batches, memory=memory) == ("b", "a", "c")
    assert kept(Top(keep=5, other="other", at_least=2), *batches, memory=memory) == ("b",)


def test_positive_and_negative_zero_are_one_subject() -> None:
    found = kept(Top(keep=5, other="other", at_least=2), batch(["a", "a"], pa.array([0.0, -0.0])))
    assert found == ()


@pytest.mark.slow
def test_ties_beyond_the_budget_go_in_the_order_of_the_values() -> None:
    names = [f"m{number:05}" for number in range(30_000)]
    shuffled = np.random.default_rng(3).permutation(names).tolist()
    found = kept(Top(keep=5, other="o", at_least=1), batch(shuffled, ["d"] * len(names)), memory=1 << 20)
    assert found == ("m00000", "m00001", "m00002", "m00003", "m00004")


@pytest.mark.slow
def test_an_other_that_is_too_small_is_found_beyond_the_budget() -> None:
    devices = [f"d{number}" for number in range(9000)]
    batches = [batch([model] * 9000, devices) for model in ("a", "b")]
    top = Top(keep=5, other="o", at_least=3)
    assert kept(top, *batches, batch(["c"], ["d1"]), memory=SMALL) == ("a",)
    assert kept(top, *batches, memory=SMALL) == ("a", "b")


def test_more_values_of_a_dictionary_than_its_indices_can_count_to() -> None:
    values = pa.DictionaryArray.from_arrays(
        pa.array([*range(128), None], pa.int8()), pa.array([f"m{n}" for n in range(128)])
    )
    assert len(kept(Top(keep=200, other="o", at_least=1), batch(values, ["d"] * 129))) == 128


def test_nothing_seen_is_nothing_kept() -> None:
    top = Top(keep=5, other="o")
    for memory in (None, TINY):
        assert tally(top, SubjectValues(SpillSpace(memory))).settle() == TopValues(values=(), other="o")
        assert kept(top, batch([None], ["d"]), batch([], []), memory=memory) == ()


def test_tallies_under_two_keys_do_not_merge() -> None:
    first, second = (tally(Top(keep=5, other="o"), SubjectValues(SpillSpace())) for _ in range(2))
    with pytest.raises(ValueError, match="under different keys"):
        first.merge(second)
    with pytest.raises(ValueError, match="under different keys"):
        first.merge(pickle.loads(pickle.dumps(second)))


def test_a_pickled_tally_holds_no_subject() -> None:
    state = pickle.dumps(tally(Top(keep=5, other="o"), SubjectValues(SpillSpace()), batch(["model"], ["a person"])))
    assert b"model" in state
    assert b"person" not in state


def test_a_pickled_tally_can_only_be_merged() -> None:
    here = tally(Top(keep=5, other="o"), SubjectValues(SpillSpace()), batch(["model"], ["d"]))
    there = pickle.loads(pickle.dumps(here))
    for use in (there.settle, lambda: there.observe(batch(["model"], ["d"]))):
        with pytest.raises(ValueError, match="can only be merged"):
            use()
    there.merge(here)
    assert there.settle().values == here.settle().values


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xff" * 200])
@pytest.mark.parametrize("memory", [None, TINY])
def test_a_value_that_is_not_utf8_is_reported_without_showing_it(content: bytes, memory: int | None) -> None:
    offsets = np.array([0, len(content)], np.int32)
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(content)])
    with pytest.raises(SourceError, match="not UTF-8"):
        kept(Top(keep=1, other="o", at_least=1), batch(broken, ["d"]), memory=memory)
