from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.nested import assemble, leaf, leaf_type, pruned_schema, repeat_for_leaf, row_indices
from minimize.arrow.pointers import Pointer

APP = pa.struct([("name", pa.string()), ("managed", pa.bool_())])


def at(key: str) -> Pointer:
    return Pointer.parse(key)


def batch(name: str, values: list[Any], type_: pa.DataType) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(values, type_)], names=[name])


def apps(*rows: list[tuple[str | None, bool | None] | None] | None) -> pa.RecordBatch:
    values = [
        None if row is None else [None if app is None else {"name": app[0], "managed": app[1]} for app in row]
        for row in rows
    ]
    return batch("apps", values, pa.list_(APP))


def built(
    records: pa.RecordBatch,
    *keys: str,
    closed: dict[str, list[bool]] | None = None,
    hollow: dict[str, list[bool]] | None = None,
) -> list[Any]:
    closes = {at(key): pa.array(mask, pa.bool_()) for key, mask in (closed or {}).items()}
    leaves = {at(key): leaf(records, at(key)).values for key in keys}
    for pointer, mask in closes.items():
        if pointer in leaves:
            nothing = pa.nulls(len(mask), leaves[pointer].type)
            leaves[pointer] = pa.compute.if_else(mask, nothing, leaves[pointer])
    schema = pruned_schema(records.schema, {pointer: values.type for pointer, values in leaves.items()})
    hollows = {at(key): pa.array(mask, pa.bool_()) for key, mask in (hollow or {}).items()}
    out = assemble(records, leaves, closes, hollows, schema)
    out.validate(full=True)
    rows: list[Any] = out.to_pylist()
    return rows


def test_a_flat_leaf_is_the_column_itself() -> None:
    records = batch("a", ["x", None], pa.string())
    assert leaf(records, at("a")).values.buffers()[2].address == records.column(0).buffers()[2].address


def test_a_flat_column_is_assembled_without_a_copy() -> None:
    records = batch("a", ["x", None], pa.string())
    out = assemble(records, {at("a"): records.column(0)}, {}, {}, records.schema)
    assert out.column(0).buffers()[2].address == records.column(0).buffers()[2].address


def test_a_leaf_below_a_null_struct_is_null() -> None:
    type_ = pa.struct([("v", pa.string())])
    array = pa.StructArray.from_arrays([pa.array(["a", "b"])], fields=list(type_.fields), mask=pa.array([False, True]))
    records = pa.RecordBatch.from_arrays([array], names=["os"])
    assert leaf(records, at("/os/v")).values.to_pylist() == ["a", None]


def test_leaves_under_one_list_are_aligned_and_know_their_record() -> None:
    records = apps([("a", True), None], None, [], [("b", None)])
    names, managed = leaf(records, at("/apps/*/name")), leaf(records, at("/apps/*/managed"))
    assert names.values.to_pylist() == ["a", None, "b"]
    assert managed.values.to_pylist() == [True, None, None]
    assert row_indices(names, 4).tolist() == [0, 0, 3]


def test_rows_of_a_flat_leaf_count_up() -> None:
    assert row_indices(leaf(batch("a", [1, 2], pa.int32()), at("a")), 2).tolist() == [0, 1]


def test_a_leaf_of_a_sliced_batch_holds_the_slice_only() -> None:
    records = apps([("a", True)], [("b", True), ("c", False)], [("d", True)]).slice(1, 1)
    names = leaf(records, at("/apps/*/name"))
    assert names.values.to_pylist() == ["b", "c"]
    assert names.parents[0].tolist() == [0, 0]


def test_values_behind_a_null_list_are_not_seen() -> None:
    lists = pa.ListArray.from_arrays(
        pa.array([0, 2, 3], pa.int32()), pa.array(["hidden", "h", "v"]), mask=pa.array([True, False])
    )
    found = leaf(pa.RecordBatch.from_arrays([lists], names=["l"]), at("/l/*"))
    assert found.values.to_pylist() == ["v"]
    assert found.parents[0].tolist() == [1]


def test_the_star_of_a_map_gives_its_values() -> None:
    records = batch("m", [[("k", 1), ("l", None)], None, [("n", 3)]], pa.map_(pa.string(), pa.int32())).slice(1)
    assert leaf(records, at("/m/*")).values.to_pylist() == [3]


@pytest.mark.parametrize("key", ["b", "/a/b", "/a/*", "/apps/name", "/apps/*/none"])
def test_a_path_that_the_schema_lacks_is_a_key_error(key: str) -> None:
    schema = pa.schema([("a", pa.string()), ("apps", pa.list_(APP))])
    with pytest.raises(KeyError):
        leaf_type(schema, at(key))


def test_a_dictionary_encoded_leaf_stays_so_through_both_ways() -> None:
    values = pa.array(["x", "y", None, "x"]).dictionary_encode()
    lists = pa.ListArray.from_arrays(pa.array([0, 3, 4], pa.int32()), values)
    records = pa.RecordBatch.from_arrays([lists], names=["l"])
    out = assemble(records, {at("/l/*"): leaf(records, at("/l/*")).values}, {}, {}, records.schema)
    assert out.column(0).type.value_type == values.type
    assert out.column(0).to_pylist() == [["x", "y", None], ["x"]]


def test_values_of_records_are_spread_to_the_elements_of_inner_lists() -> None:
    records = batch("a", [[[1, 2], None, [3]], [[4]]], pa.list_(pa.list_(pa.int32())))
    outer, inner = leaf(records, at("/a/*")), leaf(records, at("/a/*/*"))
    record = leaf(records, at("a"))
    assert repeat_for_leaf(pa.array(["r0", "r1"]), record, inner).to_pylist() == ["r0", "r0", "r0", "r1"]
    assert repeat_for_leaf(pa.array(["e0", "e1", "e2", "e3"]), outer, inner).to_pylist() == ["e0", "e0", "e2", "e3"]


def test_an_element_of_which_a_closed_leaf_leaves_nothing_is_removed() -> None:
    records = apps([("a", True), ("b", False)])
    assert built(records, "/apps/*/name", closed={"/apps/*/name": [False, True]}) == [{"apps": [{"name": "a"}]}]


def test_an_element_stays_where_another_leaf_is_left() -> None:
    records = apps([("a", True), ("b", False)])
    out = built(records, "/apps/*/name", "/apps/*/managed", closed={"/apps/*/name": [False, True]})
    assert out == [{"apps": [{"name": "a", "managed": True}, {"name": None, "managed": False}]}]


def test_an_element_that_came_in_without_a_value_stays_as_null() -> None:
    assert built(apps([(None, True), None]), "/apps/*/name") == [{"apps": [None, None]}]


def test_a_list_from_which_gating_took_everything_is_null() -> None:
    records = apps([("a", True)], [], None)
    assert [row["apps"] for row in built(records, "/apps/*/name", closed={"/apps/*/name": [True]})] == [None, [], None]


def test_an_empty_list_in_which_nothing_could_be_collected_is_null() -> None:
    assert built(apps([], []), "/apps/*/name", hollow={"/apps/*": [True, False]}) == [{"apps": None}, {"apps": []}]


def test_a_closed_leaf_does_not_touch_records_where_nothing_is_closed() -> None:
    records = apps([("a", True)], [("b", True), ("c", True)])
    out = built(records, "/apps/*/name", closed={"/apps/*/name": [True, False, False]})
    assert out == [{"apps": None}, {"apps": [{"name": "b"}, {"name": "c"}]}]


def test_an_outer_element_is_removed_with_an_inner_list_that_gating_emptied() -> None:
    records = batch("a", [[["x"], ["y"]], [[]]], pa.list_(pa.list_(pa.string())))
    assert built(records, "/a/*/*", closed={"/a/*/*": [True, False]}) == [{"a": [["y"]]}, {"a": [[]]}]


def test_an_outer_element_is_removed_with_its_inner_list() -> None:
    records = batch("a", [[[], ["y"]]], pa.list_(pa.list_(pa.string())))
    assert built(records, "/a/*/*", hollow={"/a/*/*": [True, False]}) == [{"a": [["y"]]}]


def test_an_entry_of_a_map_is_removed_with_its_key() -> None:
    records = batch("m", [[("k", "v"), ("secret", "w")]], pa.map_(pa.string(), pa.string()))
    assert built(records, "/m/*", closed={"/m/*": [False, True]}) == [{"m": [("k", "v")]}]


def test_a_struct_without_a_leaf_that_is_left_is_null() -> None:
    records = batch(
        "os", [{"v": "1", "b": "2"}, {"v": None, "b": "2"}], pa.struct([("v", pa.string()), ("b", pa.string())])
    )
    assert built(records, "/os/v") == [{"os": {"v": "1"}}, {"os": None}]


def test_a_list_of_fixed_size_comes_out_as_a_list() -> None:
    records = batch("f", [[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2))
    out = built(records, "/f/*", closed={"/f/*": [True, False, False, False]})
    assert out == [{"f": [2]}, {"f": None}, {"f": [3, 4]}]


def test_a_leaf_that_was_not_released_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        assemble(batch("a", [1], pa.int32()), {}, {}, {}, pa.schema([("a", pa.int32())]))


def test_a_derived_leaf_is_written_into_a_struct_that_the_source_lacks() -> None:
    records = batch("a", [1, 2], pa.int32())
    schema = pruned_schema(records.schema, {at("/place/cell"): pa.string()})
    out = assemble(records, {at("/place/cell"): pa.array(["c", None])}, {}, {}, schema)
    assert out.to_pylist() == [{"place": {"cell": "c"}}, {"place": None}]


def test_leaves_come_out_in_the_order_given() -> None:
    schema = pa.schema([("a", pa.int32()), ("s", pa.struct([("x", pa.int32()), ("y", pa.int32())]))])
    out = pruned_schema(schema, {at("/s/y"): pa.int32(), at("a"): pa.int32(), at("/s/x"): pa.int32()})
    assert out == pa.schema([("s", pa.struct([("y", pa.int32()), ("x", pa.int32())])), ("a", pa.int32())])


def test_metadata_of_fields_is_kept() -> None:
    schema = pa.schema([pa.field("a", pa.int32(), metadata={"k": "v"})])
    out = assemble(batch("a", [1], pa.int32()), {at("a"): pa.array([1], pa.int32())}, {}, {}, schema)
    assert out.schema.field("a").metadata == {b"k": b"v"}


def types(depth: int = 3) -> st.SearchStrategy[pa.DataType]:
    plain = st.sampled_from([pa.int32(), pa.string()])
    if depth == 0:
        return plain
    inner = types(depth - 1)
    return st.one_of(
        plain,
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda type_: pa.map_(pa.string(), type_)),
        st.lists(inner, min_size=1, max_size=2).map(lambda kinds: pa.struct(list(zip("xy", kinds, strict=False)))),
    )


def values(type_: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_struct(type_):
        return st.none() | st.fixed_dictionaries({field.name: values(field.type) for field in type_.fields})
    if pa.types.is_map(type_):
        return st.none() | st.lists(st.tuples(st.sampled_from("kl"), values(type_.item_type)), max_size=2)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return st.none() | st.lists(values(type_.value_type), max_size=2)
    return st.none() | (st.integers(0, 9) if pa.types.is_integer(type_) else st.sampled_from(["a", ""]))


def pointers(type_: pa.DataType, above: str) -> list[str]:
    if pa.types.is_struct(type_):
        return [key for field in type_.fields for key in pointers(field.type, f"{above}/{field.name}")]
    if pa.types.is_map(type_):
        return pointers(type_.item_type, above + "/*")
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return pointers(type_.value_type, above + "/*")
    return [above]


def bared(value: Any, type_: pa.DataType) -> Any:
    """The value with null in place of every struct in which nothing is left."""
    if value is None:
        return None
    if pa.types.is_struct(type_):
        fields = {field.name: bared(value[field.name], field.type) for field in type_.fields}
        return None if all(part is None for part in fields.values()) else fields
    if pa.types.is_map(type_):
        return [(key, bared(item, type_.item_type)) for key, item in value]
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return [bared(item, type_.value_type) for item in value]
    return value


@st.composite
def columns(draw: st.DrawFn) -> tuple[pa.DataType, list[Any], int]:
    type_ = draw(types())
    rows = draw(st.lists(values(type_), min_size=1, max_size=4))
    return type_, rows, draw(st.integers(0, len(rows) - 1))


@given(columns())
def test_a_disassembled_array_is_reassembled_unchanged(case: tuple[pa.DataType, list[Any], int]) -> None:
    type_, rows, start = case
    out = built(batch("c", rows, type_).slice(start), *pointers(type_, "/c"))
    assert [row["c"] for row in out] == [bared(value, type_) for value in rows[start:]]


@given(columns())
def test_a_leaf_that_is_closed_everywhere_leaves_no_trace(case: tuple[pa.DataType, list[Any], int]) -> None:
    type_, rows, _ = case
    records, keys = batch("c", rows, type_), pointers(type_, "/c")
    closed = {key: [True] * len(leaf(records, at(key)).values) for key in keys}
    stars = {star for key in keys for star in at(key).stars}
    slots = {star: len(leaf(records, Pointer(star.parts[:-1])).values) for star in stars}
    out = built(records, *keys, closed=closed, hollow={str(star): [True] * slots[star] for star in stars})
    assert [row["c"] for row in out] == [None] * len(rows)
