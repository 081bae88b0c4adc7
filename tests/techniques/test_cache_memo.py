""""""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from minimize.arrow.interner import Int32Codes
from minimize.techniques.cache import ByteRows, ResultCache, TechniqueCache


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


def test_a_value_that_stands_twice_is_computed_once() -> None:
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


def test_it_forgets_rather_than_grow() -> None:
    memo, compute = ResultCache(limit=2), Double()
    rows(memo, b"s", ["a", "b"], compute)
    assert len(memo) == 2
    assert rows(memo, b"s", ["c", "a"], compute) == [b"cc", b"aa"]
    assert len(memo) == 0
    assert rows(memo, b"s", ["d", "e", "f"], compute) == [b"dd", b"ee", b"ff"]
    assert len(memo) == 0


def test_without_room_it_computes_every_time() -> None:
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
