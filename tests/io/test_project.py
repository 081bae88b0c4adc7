from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.sources.projection import (
    batch_without_columns,
    list_elements,
    narrow_array,
    project_columns,
    table_as_batch,
)

ITEM = pa.struct([("a", pa.int64()), ("b", pa.string())])
NARROW = pa.struct([("a", pa.int64())])

items = st.none() | st.fixed_dictionaries({"a": st.none() | st.integers(0, 9), "b": st.none() | st.text(max_size=2)})
lists = st.lists(st.none() | st.lists(items, max_size=3), max_size=6)


def cut(item: Any) -> Any:
    return None if item is None else {"a": item["a"]}


@given(lists, st.integers(0, 3), st.sampled_from([pa.list_, pa.large_list, pa.list_view]))
def test_lists_of_structs_lose_children_and_nothing_else(rows: list[Any], skip: int, kind: Any) -> None:
    values = pa.array(rows, kind(ITEM)).slice(skip)
    got = narrow_array(values, pa.list_(NARROW))
    got.validate(full=True)
    assert got.to_pylist() == [None if row is None else [cut(item) for item in row] for row in rows[skip:]]


@given(lists, st.integers(0, 3))
def test_a_hollow_list_keeps_its_lengths_and_nulls(rows: list[Any], skip: int) -> None:
    got = narrow_array(pa.array(rows, pa.list_(ITEM)).slice(skip), pa.list_(pa.null()))
    assert got.to_pylist() == [None if row is None else [None] * len(row) for row in rows[skip:]]


maps = st.lists(st.none() | st.dictionaries(st.text(max_size=2), items, max_size=3).map(lambda held: [*held.items()]))


@given(maps, st.integers(0, 3))
def test_maps_lose_children_or_all_and_keep_their_sizes(rows: list[Any], skip: int) -> None:
    values = pa.array(rows, pa.map_(pa.string(), ITEM)).slice(skip)
    got = narrow_array(values, pa.map_(pa.string(), NARROW))
    got.validate(full=True)
    assert got.to_pylist() == [None if row is None else [(key, cut(item)) for key, item in row] for row in rows[skip:]]
    hollow = narrow_array(values, pa.map_(pa.string(), pa.null())).to_pylist()
    assert hollow == [None if row is None else [("", None)] * len(row) for row in rows[skip:]]


@pytest.mark.parametrize("rows", [[], [None], [{"a": 1}, None], [{"a": None}]])
def test_a_hollow_struct_keeps_its_nulls(rows: list[Any]) -> None:
    got = narrow_array(pa.array(rows, NARROW).slice(0), pa.struct([]))
    assert [value is None for value in got.to_pylist()] == [row is None for row in rows]


def test_a_hollow_struct_of_a_slice_keeps_the_nulls_of_the_slice() -> None:
    got = narrow_array(pa.array([{"a": 1}, None, {"a": 2}], NARROW).slice(1), pa.struct([]))
    assert got.is_null().to_pylist() == [True, False]


def test_a_hidden_value_below_a_null_struct_does_not_come_back() -> None:
    values = pa.StructArray.from_arrays([pa.array([1, 2])], fields=list(NARROW), mask=pa.array([True, False]))
    assert narrow_array(values, pa.struct([("a", pa.int64()), ("n", pa.string())])).to_pylist() == [
        None,
        {"a": 2, "n": None},
    ]


def test_columns_that_are_missing_are_null() -> None:
    got = project_columns(pa.record_batch({"a": [1, 2]}), pa.schema([("z", pa.string()), ("a", pa.int64())]))
    assert got.to_pydict() == {"z": [None, None], "a": [1, 2]}


def test_a_batch_without_columns_keeps_its_rows() -> None:
    assert project_columns(pa.record_batch({"a": [1, 2]}), pa.schema([])).num_rows == 2
    assert batch_without_columns(3).filter(pa.array([True, False, True])).num_rows == 2


def test_text_and_dictionaries_turn_into_each_other() -> None:
    words = pa.array(["a", None, "a"])
    kind = pa.dictionary(pa.int32(), pa.string())
    assert (
        narrow_array(words, kind).to_pylist()
        == narrow_array(words.dictionary_encode(), pa.string()).to_pylist()
        == ["a", None, "a"]
    )
    assert narrow_array(pa.array(["a", None]).cast(pa.large_string()).dictionary_encode(), kind).type == kind


def test_a_finer_time_is_cut_and_never_told() -> None:
    finer = pa.array([1_234_567_891], pa.timestamp("ns"))
    assert narrow_array(finer, pa.timestamp("us")).cast(pa.int64()).to_pylist() == [1_234_567]


def test_elements_come_with_the_length_of_each_container() -> None:
    inner, lengths = list_elements(pa.array([[1, 2], None, [], [3]], pa.list_(pa.int8(), -1)))
    assert (inner.to_pylist(), lengths.to_pylist()) == ([1, 2, 3], [2, 0, 0, 1])


def test_a_table_in_pieces_is_one_batch() -> None:
    table = pa.concat_tables([pa.table({"a": [1]}), pa.table({"a": [2]})])
    assert table_as_batch(table).to_pydict() == {"a": [1, 2]}
