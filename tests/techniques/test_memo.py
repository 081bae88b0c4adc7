from __future__ import annotations

import pickle

import numpy as np

from minimize.techniques.memo import Memo, Rows


class Double:
    """Computes each value twice in a row of two bytes, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, values: list[bytes]) -> Rows:
        self.asked += values
        return np.frombuffer(b"".join(value * 2 for value in values), np.uint8).reshape(-1, 2)


def rows(memo: Memo, scope: bytes, values: list[bytes], compute: Double) -> list[bytes]:
    return [bytes(row) for row in memo.rows(scope, values, compute)]


def test_it_computes_a_value_once_and_keeps_the_order_that_is_asked() -> None:
    memo, compute = Memo(), Double()
    assert rows(memo, b"s", [b"a", b"b"], compute) == [b"aa", b"bb"]
    assert rows(memo, b"s", [b"c", b"b", b"d", b"a"], compute) == [b"cc", b"bb", b"dd", b"aa"]
    assert rows(memo, b"s", [b"d", b"c"], compute) == [b"dd", b"cc"]
    assert compute.asked == [b"a", b"b", b"c", b"d"]


def test_scopes_do_not_know_of_each_other() -> None:
    memo, compute = Memo(), Double()
    rows(memo, b"s", [b"a"], compute)
    rows(memo, b"t", [b"a"], compute)
    assert compute.asked == [b"a", b"a"]


def test_it_forgets_rather_than_grow() -> None:
    memo, compute = Memo(limit=2), Double()
    rows(memo, b"s", [b"a", b"b"], compute)
    assert rows(memo, b"s", [b"c", b"a"], compute) == [b"cc", b"aa"]
    assert len(memo) == 1
    assert rows(memo, b"s", [b"d", b"e", b"f"], compute) == [b"dd", b"ee", b"ff"]
    assert len(memo) == 0


def test_without_room_it_computes_every_time() -> None:
    memo, compute = Memo(limit=0), Double()
    assert rows(memo, b"s", [b"a"], compute) == rows(memo, b"s", [b"a"], compute) == [b"aa"]
    assert compute.asked == [b"a", b"a"]


def test_values_neither_travel_nor_print() -> None:
    memo = Memo(limit=7)
    memo.rows(b"scope", [b"s"], Double())
    assert b"scope" not in pickle.dumps(memo)
    assert "scope" not in repr(memo)
