from __future__ import annotations

import pickle

from minimize.techniques import Memo


def test_it_knows_what_it_learned() -> None:
    memo = Memo()
    memo.learn(b"scope", {b"value": b"hash"})
    assert (memo.known(b"scope"), memo.known(b"other")) == ({b"value": b"hash"}, {})


def test_it_forgets_rather_than_grow() -> None:
    memo = Memo(limit=2)
    memo.learn(b"s", {b"1": b"", b"2": b""})
    memo.learn(b"s", {b"3": b""})
    assert (len(memo), memo.known(b"s")) == (1, {b"3": b""})
    memo.learn(b"s", {b"4": b"", b"5": b"", b"6": b""})
    assert len(memo) == 0


def test_values_neither_travel_nor_print() -> None:
    memo = Memo(limit=7)
    memo.learn(b"scope", {b"secret value": b"hash"})
    assert b"secret" not in pickle.dumps(memo)
    assert "secret" not in repr(memo)
