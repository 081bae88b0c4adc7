from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from minimize.arrow.interner import Int32Codes
from minimize.techniques.cache import MIN_CACHED_ROWS, ByteRows, ResultCache, TechniqueCache


class First:
    """Makes the first letter of a text of it, nothing of one that begins with x, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: pa.Array) -> pa.Array:
        self.asked += texts.to_pylist()
        return pc.replace_with_mask(
            pc.utf8_slice_codeunits(texts, 0, 1), pc.starts_with(texts, "x"), pa.scalar(None, pa.string())
        )


def batch(values: list[Any], rows: int = MIN_CACHED_ROWS) -> pa.Array:
    return pa.array((values * (rows // len(values) + 1))[:rows], pa.string())


def test_each_text_is_worked_out_once() -> None:
    lasting, first = ResultCache(100), First()
    for values in (["ab", "ac", "b"], ["ab", "cd", "b"]):
        found = lasting.column(batch(values), first)
        assert found is not None
        assert found.values.to_pylist()[:3] == [value[0] for value in values]
    assert sorted(first.asked) == ["ab", "ac", "b", "cd"]


def test_it_counts_changed_and_untreatable_values() -> None:
    found = ResultCache(100).column(batch(["ab", "b", None, "xy"]), First())
    assert found is not None
    assert found.values.to_pylist()[:4] == ["a", "b", None, None]
    assert found.failed.tolist()[:4] == [False, False, False, True]
    assert found.changed == MIN_CACHED_ROWS // 4


def test_a_batch_has_the_results_of_its_own_rows_only() -> None:
    lasting = ResultCache(100)
    lasting.column(batch(["ab", "cd"]), First())
    found = lasting.column(batch(["ef"]), First())
    assert found is not None
    assert found.values.dictionary.to_pylist() == ["e"]


@pytest.mark.parametrize("values", [[None], ["xy"]])
def test_a_batch_may_have_no_results(values: list[Any]) -> None:
    found = ResultCache(100).column(batch(values), First())
    assert found is not None
    assert found.values.null_count == MIN_CACHED_ROWS
    assert found.values.dictionary.to_pylist() == []


def test_it_forgets_rather_than_grow() -> None:
    lasting, first = ResultCache(2), First()
    for values in (["a", "b", "c"], ["a"]):
        assert lasting.column(batch(values), first) is not None
    assert first.asked == ["a", "b", "c", "a"]
    assert len(lasting) == 1


def test_where_nothing_comes_again_it_gives_up() -> None:
    lasting, first = ResultCache(10**7), First()
    assert lasting.column(pa.array([f"{row}" for row in range(1 << 18)]), first) is not None
    assert lasting.column(batch(["a"]), first) is None
    assert len(lasting) == 0


def test_threads_may_share_it() -> None:
    lasting = ResultCache(10_000)
    random = np.random.default_rng(1)
    batches = [
        pa.array([f"{letter:c}{row}" for row, letter in enumerate(random.integers(97, 120, MIN_CACHED_ROWS))])
        for _ in range(2)
    ]

    def results(texts: pa.Array) -> Any:
        found = lasting.column(texts, First())
        return None if found is None else found.values.to_pylist()

    with ThreadPoolExecutor(4) as pool:
        for texts, found in zip(batches * 4, pool.map(results, batches * 4), strict=True):
            assert found == [None if text[0] == "x" else text[0] for text in texts.to_pylist()]


def test_the_first_text_of_all_is_no_failure_where_nothing_is_null() -> None:
    found = ResultCache(100).column(batch(["ab", "xy"]), First())
    assert found is not None
    assert found.failed.tolist()[:2] == [False, True]


class Upper:
    """Writes texts large, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, value: str) -> str:
        self.asked.append(value)
        return value.upper()


def test_of_a_few_values_each_is_worked_out_once() -> None:
    recall, upper = ResultCache(), Upper()
    assert recall.map_values(["a", None, "b", "a"], upper) == ["A", None, "B", "A"]
    assert recall.map_values(["c", "a"], upper) == ["C", "A"]
    assert upper.asked == ["a", "b", "c"]


def test_single_values_are_forgotten_rather_than_kept_without_bound() -> None:
    recall, upper = ResultCache(limit=2), Upper()
    recall.map_values(["a", "b", "c"], upper)
    recall.map_values(["a"], upper)
    assert upper.asked == ["a", "b", "c", "a"]


class Double:
    """Computes each text twice in a row of two bytes, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []

    def __call__(self, named: Sequence[bytes], scopes: Int32Codes, texts: pa.Array) -> ByteRows:
        values = [text.encode() for text in texts.to_pylist()]
        self.asked += [(named[scope], value) for scope, value in zip(scopes.tolist(), values, strict=True)]
        return np.frombuffer(b"".join(value * 2 for value in values), np.uint8).reshape(-1, 2)


def rows(memo: ResultCache, scope: bytes, values: list[str], compute: Double) -> list[bytes]:
    codes, known = memo.rows(pa.array(values), np.zeros(len(values), np.int32), [scope], compute)
    return [bytes(row) for row in known[codes]]


def test_it_computes_a_value_once_and_keeps_the_order_that_is_asked() -> None:
    memo, compute = ResultCache(), Double()
    assert rows(memo, b"s", ["a", "b"], compute) == [b"aa", b"bb"]
    assert rows(memo, b"s", ["c", "b", "d", "a"], compute) == [b"cc", b"bb", b"dd", b"aa"]
    assert rows(memo, b"s", ["d", "c"], compute) == [b"dd", b"cc"]
    assert compute.asked == [(b"s", b"a"), (b"s", b"b"), (b"s", b"c"), (b"s", b"d")]


def test_a_repeated_value_is_computed_once() -> None:
    memo, compute = ResultCache(), Double()
    assert rows(memo, b"s", ["a", "b", "a"], compute) == [b"aa", b"bb", b"aa"]
    assert compute.asked == [(b"s", b"a"), (b"s", b"b")]


def test_scopes_do_not_know_of_each_other() -> None:
    memo, compute = ResultCache(), Double()
    rows(memo, b"s", ["a"], compute)
    rows(memo, b"t", ["a"], compute)
    assert compute.asked == [(b"s", b"a"), (b"t", b"a")]


def test_a_scope_is_known_by_its_name_and_not_by_its_place() -> None:
    memo, compute = ResultCache(), Double()
    memo.rows(pa.array(["a", "a"]), np.array([0, 1], np.int32), [b"s", b"t"], compute)
    memo.rows(pa.array(["a", "a"]), np.array([0, 1], np.int32), [b"t", b"s"], compute)
    assert compute.asked == [(b"s", b"a"), (b"t", b"a")]


def test_a_memo_drops_its_values_rather_than_grow() -> None:
    memo, compute = ResultCache(limit=2), Double()
    rows(memo, b"s", ["a", "b"], compute)
    assert len(memo) == 2
    assert rows(memo, b"s", ["c", "a"], compute) == [b"cc", b"aa"]
    assert len(memo) == 0
    assert rows(memo, b"s", ["d", "e", "f"], compute) == [b"dd", b"ee", b"ff"]
    assert len(memo) == 0


def test_a_cache_without_space_computes_every_time() -> None:
    memo, compute = ResultCache(limit=0), Double()
    assert rows(memo, b"s", ["a"], compute) == rows(memo, b"s", ["a"], compute) == [b"aa"]
    assert compute.asked == [(b"s", b"a"), (b"s", b"a")]


def test_threads_share_it() -> None:
    memo, compute = ResultCache(), Double()
    values = [[chr(33 + (start + step) % 90) for step in range(60)] for start in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda each: rows(memo, b"s", each, compute), values))
    assert found == [[value.encode() * 2 for value in each] for each in values]
    assert len(compute.asked) == len(set(compute.asked)) == 90


@pytest.mark.parametrize("kind", [ResultCache, TechniqueCache])
def test_values_neither_travel_nor_print(kind: type[ResultCache | TechniqueCache]) -> None:
    memo = kind(limit=7)
    results = memo if isinstance(memo, ResultCache) else memo.results_of(kind)
    rows(results, b"scope", ["%"], Double())
    results.map_values(["secret"], str.upper)
    assert len(memo) == 2
    assert b"secret" not in pickle.dumps(memo)
    assert b"scope" not in pickle.dumps(memo)
    assert b"%" not in pickle.dumps(memo)
    assert "scope" not in repr(memo)


def test_each_technique_recalls_what_it_worked_out_itself() -> None:
    memo, one, other = TechniqueCache(), Double(), Double()
    assert memo.results_of(one) is memo.results_of(one)
    assert memo.results_of(one) is not memo.results_of(other)
