""""""

from __future__ import annotations

import pickle

import pyarrow as pa

from minimize.techniques.cache import MAX_KNOWN_RATIO, ValueCache


class Upper:
    """Writes texts large, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, value: str) -> str:
        self.asked.append(value)
        return value.upper()

    def all(self, words: pa.Array) -> pa.Array:
        return pa.array([None if word is None else self(word) for word in words.to_pylist()], pa.string())


def test_of_a_few_values_each_is_worked_out_once() -> None:
    recall, upper = ValueCache(), Upper()
    assert recall.map_values(["a", None, "b", "a"], upper) == ["A", None, "B", "A"]
    assert recall.map_values(["c", "a"], upper) == ["C", "A"]
    assert upper.asked == ["a", "b", "c"]


def test_of_many_words_only_new_ones_are_worked_out() -> None:
    recall, upper = ValueCache(), Upper()
    assert recall.compute_distinct(pa.array(["a", None, "b"]), upper.all).to_pylist() == ["A", None, "B"]
    assert recall.compute_distinct(pa.array(["c", "b", None, "a", "d"]), upper.all).to_pylist() == [
        "C",
        "B",
        None,
        "A",
        "D",
    ]
    assert recall.compute_distinct(pa.array(["d", "a"]), upper.all).to_pylist() == ["D", "A"]
    assert upper.asked == ["a", "b", "c", "d"]


def test_it_forgets_rather_than_grow() -> None:
    recall, upper = ValueCache(limit=2), Upper()
    recall.compute_distinct(pa.array(["a", "b"]), upper.all)
    recall.compute_distinct(pa.array(["c"]), upper.all)
    recall.compute_distinct(pa.array(["a", "c"]), upper.all)
    assert upper.asked == ["a", "b", "c", "a"]
    recall.map_values(["a", "b", "c"], upper)
    recall.map_values(["a"], upper)
    assert upper.asked[4:] == ["a", "b", "c", "a"]


def test_few_words_among_very_many_known_ones_are_worked_out_anew() -> None:
    recall, upper = ValueCache(), Upper()
    recall.compute_distinct(pa.array([str(number) for number in range(MAX_KNOWN_RATIO + 1)]), upper.all)
    recall.compute_distinct(pa.array(["0"]), upper.all)
    assert upper.asked.count("0") == 2


def test_words_of_another_type_are_other_words() -> None:
    recall, upper = ValueCache(), Upper()
    recall.compute_distinct(pa.array(["a"]), upper.all)
    assert recall.compute_distinct(pa.array(["a"], pa.large_string()), upper.all).to_pylist() == ["A"]


def test_values_neither_travel_nor_print() -> None:
    recall = ValueCache(limit=7)
    recall.map_values(["secret"], Upper())
    recall.compute_distinct(pa.array(["secret"]), Upper().all)
    assert b"secret" not in pickle.dumps(recall)
    assert "secret" not in repr(recall)
