from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minimize.stages.chains import BranchResult, changed_values, count_changes

WORDS = pa.array(["a", "b", None, "a"])
PLACE = pa.struct([("lat", pa.float64()), ("lon", pa.float64())])


@pytest.mark.parametrize("raw", [WORDS, WORDS.dictionary_encode()])
@pytest.mark.parametrize("encode", [False, True])
def test_a_value_that_differs_or_left_as_null_was_changed(raw: pa.Array, encode: bool) -> None:
    out = pa.array(["a", "x", None, None])
    assert changed_values(raw, out.dictionary_encode() if encode else out).to_pylist() == [False, True, False, True]


def test_an_entry_that_stands_twice_in_a_dictionary_is_one_value() -> None:
    raw = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", "a"]))
    assert changed_values(raw, pa.array(["a", "a"])).to_pylist() == [False, False]


def test_another_family_of_type_is_a_change_of_every_value() -> None:
    assert changed_values(pa.array([1.0, None]), pa.array(["1.0", None])).to_pylist() == [True, False]


def test_a_number_of_another_width_is_another_type() -> None:
    assert changed_values(pa.array([1, None], pa.uint8()), pa.array([1000, None])).to_pylist() == [True, False]


def test_text_of_another_width_is_the_same_text() -> None:
    assert changed_values(pa.array(["a", "b"], pa.large_string()), pa.array(["a", "c"])).to_pylist() == [False, True]


def test_not_a_number_is_equal_to_itself() -> None:
    assert changed_values(pa.array([float("nan"), 1.0]), pa.array([float("nan"), 2.0])).to_pylist() == [False, True]


@pytest.mark.parametrize(
    ("released", "found"),
    [
        ([{"lat": 1.0, "lon": 2.0}, None, None], [False, True, False]),
        ([{"lat": 1.0, "lon": 2.5}, {"lat": None, "lon": 3.0}, None], [True, False, False]),
        ([{"lat": None, "lon": 2.0}, {"lat": 0.0, "lon": 3.0}, None], [True, True, False]),
    ],
)
def test_a_struct_was_changed_where_a_part_of_it_was(released: list[Any], found: list[bool]) -> None:
    raw = pa.array([{"lat": 1.0, "lon": 2.0}, {"lat": None, "lon": 3.0}, None], PLACE)
    assert changed_values(raw, pa.array(released, PLACE)).to_pylist() == found


def test_a_struct_of_other_parts_was_changed() -> None:
    assert changed_values(pa.array([{"a": 1}]), pa.array([{"a": 1, "b": 2}])).to_pylist() == [True]
    assert changed_values(pa.array([{"a": 1}]), pa.array([{"a": "1"}])).to_pylist() == [True]


def test_lists_are_compared_as_a_whole() -> None:
    raw = pa.array([[1], None])
    assert changed_values(raw, pa.array([[1], None])).to_pylist() == [False, False]
    assert changed_values(raw, pa.array([[2], None])).to_pylist() == [True, False]


def test_half_floats_are_compared_too() -> None:
    raw = pa.array([np.float16(0.25), np.float16("nan"), None], pa.float16())
    assert changed_values(raw, pa.array([np.float16(0.5), np.float16("nan"), None], pa.float16())).to_pylist() == [
        True,
        False,
        False,
    ]


def test_what_is_known_of_each_entry_is_counted_per_value() -> None:
    raw = pa.array(["a", "b", "a", None]).dictionary_encode()
    for entries, count in (["x", "b"], 2), (["a", "b"], 0), (["x", "y"], 3):
        out = BranchResult(raw.dictionary_decode(), entries=pa.array(entries))
        assert count_changes(raw, out, None) == count


def test_among_some_values_only_those_are_counted() -> None:
    raw = pa.array(["a", "b", "a", None]).dictionary_encode()
    out = BranchResult(raw.dictionary_decode(), entries=pa.array(["x", "b"]))
    assert count_changes(raw, out, pa.array([True, True, False, False])) == 1
    assert (
        count_changes(WORDS, BranchResult(pa.array(["x", "x", None, "x"])), pa.array([True, False, False, False])) == 1
    )


def test_what_the_technique_counted_is_not_compared() -> None:
    assert count_changes(WORDS, BranchResult(pa.array(["x", "x", None, "x"]), changed=7), None) == 7
    assert count_changes(WORDS, BranchResult(WORDS, changed=7), None) == 0
