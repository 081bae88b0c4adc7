from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.projection import (
    batch_without_columns,
    declared_type,
    field_tree,
    list_elements,
    narrow_array,
    plain_array_type,
    project_columns,
    prune_schema,
    prune_type,
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
def test_a_list_without_read_parts_keeps_its_lengths_and_nulls(rows: list[Any], skip: int) -> None:
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
def test_a_struct_without_read_parts_keeps_its_nulls(rows: list[Any]) -> None:
    got = narrow_array(pa.array(rows, NARROW).slice(0), pa.struct([]))
    assert [value is None for value in got.to_pylist()] == [row is None for row in rows]


def test_a_struct_slice_without_read_parts_keeps_the_nulls_of_the_slice() -> None:
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


def test_a_finer_time_is_truncated_and_never_shown() -> None:
    finer = pa.array([1_234_567_891], pa.timestamp("ns"))
    assert narrow_array(finer, pa.timestamp("us")).cast(pa.int64()).to_pylist() == [1_234_567]


def test_elements_come_with_the_length_of_each_container() -> None:
    inner, lengths = list_elements(pa.array([[1, 2], None, [], [3]], pa.list_(pa.int8(), -1)))
    assert (inner.to_pylist(), lengths.to_pylist()) == ([1, 2, 3], [2, 0, 0, 1])


def test_a_table_in_pieces_is_one_batch() -> None:
    table = pa.concat_tables([pa.table({"a": [1]}), pa.table({"a": [2]})])
    assert table_as_batch(table).to_pydict() == {"a": [1, 2]}


def request(*fields: tuple[str, str] | tuple[str, str, bool]) -> SourceRequest:
    declared = (DeclaredField(key, Pointer.parse(key), word, needed=not more) for key, word, *more in fields)
    return SourceRequest(tuple(declared))


def shaped(schema: pa.Schema, *fields: tuple[str, str] | tuple[str, str, bool]) -> pa.Schema:
    return prune_schema(schema, field_tree(request(*fields)))


WIDE = pa.struct([("x", pa.int8()), ("y", pa.string()), ("z", pa.struct([("deep", pa.int8()), ("other", pa.int8())]))])


def test_only_declared_parts_stay_in_the_order_of_the_source() -> None:
    schema = pa.schema([("b", pa.int8()), ("s", WIDE), ("a", pa.string())])
    assert shaped(schema, ("a", "string"), ("/s/z/deep", "integer"), ("/s/x", "integer")) == pa.schema(
        [("s", pa.struct([("x", pa.int8()), ("z", pa.struct([("deep", pa.int8())]))])), ("a", pa.string())]
    )


def test_an_unread_column_is_not_in_the_schema() -> None:
    schema = pa.schema([("a", pa.string()), ("s", WIDE)])
    assert shaped(schema, ("a", "string", True), ("/s/x", "integer", True)) == pa.schema([])


def test_a_container_declared_whole_has_no_read_parts() -> None:
    schema = pa.schema([("l", pa.large_list(WIDE)), ("s", WIDE), ("m", pa.map_(pa.int8(), WIDE))])
    assert shaped(schema, ("l", "list"), ("s", "struct"), ("m", "map")) == pa.schema(
        [("l", pa.large_list(pa.null())), ("s", pa.struct([])), ("m", pa.map_(pa.string(), pa.null()))]
    )


def test_a_part_that_the_source_lacks_is_added_in_the_declared_type() -> None:
    schema = pa.schema([("l", pa.list_(pa.struct([("x", pa.int8())])))])
    assert shaped(schema, ("/l/*/at", "timestamp"), ("/l/*/x", "integer"), ("/new/a", "date")) == pa.schema(
        [
            ("l", pa.list_(pa.struct([("x", pa.int8()), ("at", pa.timestamp("us", "UTC"))]))),
            ("new", pa.struct([("a", pa.date32())])),
        ]
    )


def test_elements_without_a_type_take_the_declared_one() -> None:
    node = field_tree(request(("/l/*/x", "integer"))).children["l"]
    assert prune_type(pa.list_(pa.null()), node) == pa.list_(pa.struct([("x", pa.int64())]))


def test_a_path_with_a_star_is_a_list_unless_it_is_a_known_map() -> None:
    asked = request(("/m/*/x", "integer"), ("/n", "map"), ("/n/*", "string"))
    maps = frozenset({Pointer.parse("/m")})
    item = pa.struct([("x", pa.int64())])
    assert declared_type(field_tree(asked)).field("m").type == pa.list_(item)
    assert declared_type(field_tree(asked, maps)).field("m").type == pa.map_(pa.string(), item)
    assert declared_type(field_tree(asked)).field("n").type == pa.map_(pa.string(), pa.string())


def test_views_and_extensions_settle_within_a_dictionary_too() -> None:
    assert plain_array_type(pa.dictionary(pa.int8(), pa.string_view())) == pa.dictionary(pa.int8(), pa.string())
    assert plain_array_type(pa.uuid()) == pa.binary(16)
    assert plain_array_type(pa.binary_view()) == pa.binary()
