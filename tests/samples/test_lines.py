"""JSON lines from whole columns."""

import json
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.samples import arrays
from minimize.samples.arrays import pool_values, timestamp_array

POOL = pa.StructArray.from_arrays([pa.array(["a", "b"]), pa.array([1, 2])], names=["x", "y"])
APPS = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1], pa.int32()), POOL)


def read(columns: dict[str, pa.Array]) -> list[Any]:
    return [json.loads(line) for line in arrays.json_objects(columns).to_pylist()]


def test_a_null_value_is_an_absent_member() -> None:
    assert read({"a": pa.array(["x", None]), "b": pa.array([1, 2])}) == [{"a": "x", "b": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, None]), [{"k": True}, {}]),
        (pa.array([1.5, None]), [{"k": 1.5}, {}]),
        (timestamp_array(np.array([1_764_000_000_123])), [{"k": "2025-11-24T16:00:00.123Z"}]),
        (pa.array([date(2026, 11, 24)]), [{"k": "2026-11-24"}]),
        (pa.array([["a", "b"], [], None]), [{"k": ["a", "b"]}, {"k": []}, {}]),
        (pa.array([{"x": "a", "y": None}, None]), [{"k": {"x": "a"}}, {}]),
        (pool_values(['a"b\\'], np.array([0])), [{"k": 'a"b\\'}]),
        (pool_values([[("s", "t")]], np.array([0]), type=pa.map_(pa.string(), pa.string())), [{"k": {"s": "t"}}]),
        (pa.ListArray.from_arrays([0, 2], APPS), [{"k": [{"x": "b", "y": 2}, {"x": "a", "y": 1}]}]),
    ],
)
def test_each_type_reads_back(values: pa.Array, expected: list[Any]) -> None:
    assert read({"k": values}) == expected


def test_lists_of_dictionaries_are_decoded() -> None:
    decoded = arrays.decode_dictionaries(pa.ListArray.from_arrays([0, 2, 3], APPS))
    assert decoded.type == pa.list_(POOL.type)
    assert decoded.to_pylist()[1] == [{"x": "b", "y": 2}]


def test_dictionaries_in_structs_are_decoded() -> None:
    struct = pa.StructArray.from_arrays([pool_values(["a"], np.array([0, 0]))], names=["x"])
    decoded = arrays.decode_dictionaries(struct.take(pa.array([0, None])))
    assert decoded.type == pa.struct([("x", pa.string())])
    assert decoded.to_pylist() == [{"x": "a"}, None]


def test_a_part_of_a_column_of_lists_is_that_part() -> None:
    part = pa.ListArray.from_arrays([0, 2, 3], APPS).take(pa.array([1, None]))
    assert read({"k": part}) == [{"k": [{"x": "b", "y": 2}]}, {}]
    assert arrays.decode_dictionaries(part).to_pylist() == [[{"x": "b", "y": 2}], None]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_text_of_a_pool_reads_back(values: list[str]) -> None:
    made = read({'k"y': pool_values(values, np.arange(len(values)))})
    assert [record['k"y'] for record in made] == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_any_double_reads_back(values: list[float]) -> None:
    assert [float(record["k"]) for record in read({"k": pa.array(values)})] == values
