"""Nothing that an array does not show survives `scrub`, for every Arrow type; and every check is shown to see a leak."""

from __future__ import annotations

import decimal
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.scrub import scrub
from minimize.errors import SchemaError

CANARY = b"CANARY-7f3a91c2!"
TEXT = CANARY.decode() * 2
NUMBER = int.from_bytes(CANARY[:8], "little") & ~(1 << 63)
SMALL = int.from_bytes(b"CNRY", "little")
WIDE = decimal.Decimal(int.from_bytes(b"CANARY-7f3a", "little"))


def shipped(array: pa.Array) -> bytes:
    """All the bytes that leave when an array is sent: as uncompressed IPC, and pickled."""
    batch = pa.record_batch([array], names=["c"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    sent: bytes = sink.getvalue().to_pybytes()
    return sent + pickle.dumps(array, protocol=4)


def hidden(array: pa.Array, row: int) -> pa.Array:
    """The same buffers, with one row said to be null."""
    valid = np.ones(len(array), np.uint8)
    valid[row] = 0
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    if pa.types.is_dictionary(array.type):
        return pa.DictionaryArray.from_arrays(hidden(array.indices, row), array.dictionary)
    children = [array.values] if hasattr(array, "values") else []
    if pa.types.is_struct(array.type):
        children = [array.field(index) for index in range(array.type.num_fields)]
    nested = bool(children) or array.type.num_fields > 0
    own = array.buffers()[: array.type.num_buffers] if nested else array.buffers()
    return pa.Array.from_buffers(array.type, len(array), [bitmap, *own[1:]], children=children)


STRUCT = pa.struct([("s", pa.string()), ("n", pa.int32())])
CASES: dict[str, tuple[pa.DataType, Any, Any, bytes]] = {
    "string": (pa.string(), TEXT, "a", CANARY),
    "large_string": (pa.large_string(), TEXT, "a", CANARY),
    "binary": (pa.binary(), CANARY, b"a", CANARY),
    "large_binary": (pa.large_binary(), CANARY, b"a", CANARY),
    "string_view": (pa.string_view(), TEXT, "a", CANARY),
    "short string_view": (pa.string_view(), "CANARY", "a", b"CANARY"),
    "binary_view": (pa.binary_view(), CANARY * 2, b"a", CANARY),
    "fixed_size_binary": (pa.binary(16), CANARY, b"\0" * 16, CANARY),
    "int32": (pa.int32(), SMALL, 1, b"CNRY"),
    "uint32": (pa.uint32(), SMALL, 1, b"CNRY"),
    "int64": (pa.int64(), NUMBER, 1, NUMBER.to_bytes(8, "little")),
    "double": (pa.float64(), 1.2345678901234e200, 1.0, np.float64(1.2345678901234e200).tobytes()),
    "float": (pa.float32(), 1.2345678e20, 1.0, np.float32(1.2345678e20).tobytes()),
    "timestamp": (pa.timestamp("us", "UTC"), 0x0123456789ABCD, 1, (0x0123456789ABCD).to_bytes(8, "little")),
    "date32": (pa.date32(), 0x123456, 1, (0x123456).to_bytes(4, "little")),
    "date64": (pa.date64(), 86_400_000 * 19_999, 86_400_000, (86_400_000 * 19_999).to_bytes(8, "little")),
    "time32": (pa.time32("ms"), 0x1234567, 1, (0x1234567).to_bytes(4, "little")),
    "time64": (pa.time64("us"), 0x1234567890, 1, (0x1234567890).to_bytes(8, "little")),
    "duration": (pa.duration("us"), NUMBER, 1, NUMBER.to_bytes(8, "little")),
    "interval": (pa.month_day_nano_interval(), (SMALL, SMALL, 7), (1, 1, 1), b"CNRYCNRY"),
    "decimal128": (pa.decimal128(38, 0), WIDE, decimal.Decimal(1), b"CANARY-7f3a"),
    "decimal256": (pa.decimal256(60, 0), WIDE, decimal.Decimal(1), b"CANARY-7f3a"),
    "list": (pa.list_(pa.string()), [TEXT], ["a"], CANARY),
    "large_list": (pa.large_list(pa.string()), ["b", TEXT], ["a"], CANARY),
    "list_view": (pa.list_view(pa.string()), [TEXT], ["a"], CANARY),
    "large_list_view": (pa.large_list_view(pa.string()), [TEXT], ["a"], CANARY),
    "fixed_size_list": (pa.list_(pa.string(), 2), [TEXT, "b"], ["a", "b"], CANARY),
    "list of views": (pa.list_(pa.string_view()), [TEXT], ["a"], CANARY),
    "map": (pa.map_(pa.string(), pa.string()), [(TEXT, "v")], [("k", "v")], CANARY),
    "map values": (pa.map_(pa.string(), pa.string()), [("k", TEXT)], [("k", "v")], CANARY),
    "struct": (STRUCT, {"s": TEXT, "n": 1}, {"s": "a", "n": 2}, CANARY),
    "struct of list": (pa.struct([("l", pa.list_(STRUCT))]), {"l": [{"s": TEXT, "n": 1}]}, {"l": []}, CANARY),
    "list of struct": (pa.list_(STRUCT), [{"s": TEXT, "n": 1}], [{"s": "a", "n": 2}], CANARY),
    "list of list": (pa.list_(pa.list_(pa.string())), [["b"], [TEXT]], [["a"]], CANARY),
    "list of fixed lists": (pa.list_(pa.list_(pa.int32(), 1)), [[SMALL]], [[1]], b"CNRY"),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), TEXT, "a", CANARY),
    "dictionary, uint8": (pa.dictionary(pa.uint8(), pa.string()), TEXT, "a", CANARY),
    "dictionary of integers": (pa.dictionary(pa.int8(), pa.int32()), SMALL, 1, b"CNRY"),
    "struct of dictionary": (
        pa.struct([("d", pa.dictionary(pa.int32(), pa.string()))]),
        {"d": TEXT},
        {"d": "a"},
        CANARY,
    ),
    "list of dictionary": (pa.list_(pa.dictionary(pa.int32(), pa.string())), [TEXT], ["a"], CANARY),
}
each_type = pytest.mark.parametrize(("type_", "secret", "open_", "seek"), CASES.values(), ids=CASES)


@each_type
def test_a_value_under_a_null_is_gone(type_: pa.DataType, secret: Any, open_: Any, seek: bytes) -> None:
    leaky = hidden(pa.array([open_, secret, open_], type_), 1)
    assert seek in shipped(leaky)
    clean = scrub(leaky)
    clean.validate(full=True)
    assert seek not in shipped(clean)
    assert clean.type == leaky.type
    assert (
        clean.to_pylist()
        == leaky.to_pylist()
        == [*pa.array([open_], type_).to_pylist(), None, *pa.array([open_], type_).to_pylist()]
    )


@each_type
def test_rows_outside_a_slice_are_removed(type_: pa.DataType, secret: Any, open_: Any, seek: bytes) -> None:
    for rows, start in (([secret, open_, None], 1), ([open_, None, secret], 0), ([secret, open_, None, secret], 1)):
        leaky = pa.array(rows, type_).slice(start, 2)
        assert seek in b"".join(bytes(part) for part in everything(leaky))
        clean = scrub(leaky)
        clean.validate(full=True)
        assert seek not in shipped(clean)
        assert clean.to_pylist() == leaky.to_pylist()


def everything(array: pa.Array) -> list[pa.Buffer]:
    parts = [*array.buffers()] if not pa.types.is_dictionary(array.type) else [*array.indices.buffers()]
    if pa.types.is_dictionary(array.type):
        parts += array.dictionary.buffers()
    if pa.types.is_struct(array.type):
        parts += [part for index in range(array.type.num_fields) for part in everything(array.field(index))]
    if hasattr(array, "values"):
        parts += everything(array.values)
    return [part for part in parts if part is not None]


@each_type
def test_a_clean_array_comes_through_equal(type_: pa.DataType, secret: Any, open_: Any, seek: bytes) -> None:
    array = pa.array([secret, None, open_, secret], type_)
    clean = scrub(array)
    assert clean.to_pylist() == array.to_pylist()
    assert seek in shipped(clean)


@each_type
def test_an_empty_array_keeps_its_type(type_: pa.DataType, secret: Any, open_: Any, seek: bytes) -> None:
    for empty in (pa.array([], type_), pa.array([secret], type_).slice(1), pa.array([secret], type_).slice(0, 0)):
        clean = scrub(empty)
        assert (len(clean), clean.type) == (0, empty.type)
        assert seek not in shipped(clean)


@each_type
def test_only_nulls_leave_nothing_else(type_: pa.DataType, secret: Any, open_: Any, seek: bytes) -> None:
    clean = scrub(hidden(pa.array([secret], type_), 0))
    assert clean.to_pylist() == [None]
    assert seek not in shipped(clean)


def test_hidden_bits_of_booleans_are_zero() -> None:
    bits = pa.py_buffer(b"\xff\xff")
    leaky = pa.Array.from_buffers(pa.bool_(), 3, [pa.py_buffer(b"\xfd"), bits])
    clean = scrub(leaky)
    assert clean.to_pylist() == [True, None, True]
    assert [part.to_pybytes() for part in clean.buffers()] == [b"\x05", b"\x05"]


def test_bits_after_the_end_are_zero() -> None:
    leaky = pa.Array.from_buffers(pa.bool_(), 3, [None, pa.py_buffer(b"\xff")])
    assert scrub(leaky).buffers()[1].to_pybytes() == b"\x07"


def test_booleans_and_validity_are_cut_at_odd_offsets() -> None:
    array = pa.array([True, None, False, True, None, True, True, False, None, True, False])
    for start in range(11):
        assert scrub(array.slice(start, 5)).to_pylist() == array.slice(start, 5).to_pylist()


def test_a_dictionary_keeps_only_what_is_used() -> None:
    column = pa.array(["a", TEXT, "b", "a"]).dictionary_encode().filter(pa.array([True, False, True, True]))
    assert CANARY in shipped(column)
    clean = scrub(column)
    assert clean.dictionary.to_pylist() == ["a", "b"]
    assert clean.to_pylist() == ["a", "b", "a"]


def test_equal_dictionary_entries_become_one() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3, None]), pa.array(["b", "a", "b", "c"]))
    clean = scrub(column)
    assert clean.dictionary.to_pylist() == ["b", "a", "c"]
    assert clean.to_pylist() == ["b", "a", "b", "c", None]


def test_a_null_among_dictionary_entries_becomes_a_null_row() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2]), pa.array(["a", None, "b"]))
    clean = scrub(column)
    assert clean.dictionary.to_pylist() == ["a", "b"]
    assert clean.indices.to_pylist() == [0, None, None, 1]


def test_a_dictionary_of_views_keeps_its_type() -> None:
    entries = pa.array(["a", TEXT, "a"], pa.string_view())
    clean = scrub(pa.DictionaryArray.from_arrays(pa.array([0, 2]), entries))
    assert clean.dictionary.to_pylist() == ["a"]
    assert clean.dictionary.type == pa.string_view()


def test_a_dictionary_keeps_its_order_flag() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([1, 0]), pa.array(["a", "b"]), ordered=True)
    assert scrub(column).type.ordered


def test_a_dictionary_without_entries_is_all_null() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int32()), pa.array([], pa.string()))
    assert scrub(column).to_pylist() == [None, None]


def test_codes_under_nulls_are_zero_and_may_be_anything() -> None:
    codes = pa.Array.from_buffers(
        pa.int32(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([0, 1_000_000], np.int32))]
    )
    clean = scrub(pa.DictionaryArray.from_arrays(codes, pa.array(["a"]), safe=False))
    assert clean.to_pylist() == ["a", None]
    assert clean.indices.buffers()[1].to_pybytes() == bytes(8)


def test_run_ends_lose_what_their_slice_was_cut_from() -> None:
    column = pc.run_end_encode(pa.array([TEXT, TEXT, "a", None, "a"]))
    assert CANARY in shipped(column.slice(2))
    clean = scrub(column.slice(2))
    assert clean.type == column.type
    assert clean.to_pylist() == ["a", None, "a"]
    assert CANARY not in shipped(clean)


def test_overlapping_list_views_come_apart() -> None:
    values, offsets, sizes = (
        pa.array(["a", "b", TEXT]),
        pa.array([0, 1, 0], pa.int32()),
        pa.array([2, 1, 1], pa.int32()),
    )
    view = pa.ListViewArray.from_arrays(offsets, sizes, values)
    assert scrub(view).to_pylist() == [["a", "b"], ["b"], ["a"]]
    assert CANARY not in shipped(scrub(view))


def test_children_under_a_null_parent_are_null_too() -> None:
    child = pa.array([1, 2, 3], pa.int32())
    clean = scrub(pa.StructArray.from_arrays([child], ["n"], mask=pa.array([False, True, False])))
    assert clean.field(0).to_pylist() == [1, None, 3]


@each_type
def test_a_child_that_must_not_be_null_is_empty_under_a_null_parent(
    type_: pa.DataType, secret: Any, open_: Any, seek: bytes
) -> None:
    column = pa.array([secret, open_, secret], type_)
    field = pa.field("x", column.type, nullable=False)
    for leaky in (
        pa.StructArray.from_arrays([column], fields=[field], mask=pa.array([True, False, True])),
        hidden(pa.FixedSizeListArray.from_arrays(column.slice(1), type=pa.list_(field, 1)), 1),
        pa.StructArray.from_arrays([column.slice(0, 1)], fields=[field], mask=pa.array([True])),
    ):
        clean = scrub(leaky)
        clean.validate(full=True)
        child = clean.field(0) if pa.types.is_struct(clean.type) else clean.values
        assert child.null_count == 0
        assert clean.to_pylist() == leaky.to_pylist()
        assert seek not in shipped(clean)


def test_half_floats_and_nulls_pass() -> None:
    half = pa.array(np.array([1, 2, 3], np.float16))
    assert scrub(half.slice(1)).to_pylist() == half.slice(1).to_pylist()
    assert scrub(pa.nulls(3).slice(1)).to_pylist() == [None, None]


def test_metadata_is_removed_unless_the_schema_allows_it() -> None:
    leaky = pa.schema([pa.field("c", pa.string(), metadata={"note": TEXT})], metadata={"pandas": TEXT})
    batch = pa.record_batch([pa.array(["a"])], schema=leaky)
    assert scrub(batch).schema.metadata is None
    assert scrub(batch).schema.field("c").metadata is None
    allowed = pa.schema([pa.field("c", pa.string(), metadata={"minimize:key": "device/1"})], metadata={"by": "us"})
    assert scrub(batch, allowed).schema.equals(allowed, check_metadata=True)


def test_metadata_inside_types_is_removed() -> None:
    child = pa.field("s", pa.string(), metadata={"note": TEXT})
    for type_, value in (
        (pa.struct([child]), {"s": "a"}),
        (pa.list_(child), ["a"]),
        (pa.list_(child, 1), ["a"]),
        (pa.list_view(child), ["a"]),
        (pa.map_(pa.string(), child), [("k", "a")]),
    ):
        leaky = pa.array([value], type_)
        assert CANARY in shipped(leaky)
        assert CANARY not in shipped(scrub(leaky))


def test_a_dictionary_column_takes_the_metadata_of_its_plain_field() -> None:
    allowed = pa.schema([pa.field("c", pa.string(), metadata={"minimize:key": "device/1"})])
    batch = pa.record_batch([pa.array(["a"]).dictionary_encode()], names=["c"])
    clean = scrub(batch, allowed)
    assert pa.types.is_dictionary(clean.schema.field("c").type)
    assert clean.schema.field("c").metadata == {b"minimize:key": b"device/1"}


def test_a_column_that_the_schema_does_not_have_is_refused() -> None:
    with pytest.raises(SchemaError):
        scrub(pa.record_batch([pa.array([TEXT])], names=["c"]), pa.schema([("d", pa.string())]))


def test_a_batch_without_columns_keeps_its_rows() -> None:
    batch = pa.record_batch([pa.array([1, 2])], names=["c"]).select([])
    assert scrub(batch).num_rows == 2


@pytest.mark.parametrize(
    "array",
    [
        pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array(["a"])]),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([CANARY], pa.binary(16))),
    ],
    ids=["union", "extension"],
)
def test_an_array_that_cannot_be_cleaned_is_refused(array: pa.Array) -> None:
    with pytest.raises(SchemaError):
        scrub(array)
    with pytest.raises(SchemaError):
        scrub(pa.StructArray.from_arrays([array], ["x"]))


def test_whole_flat_columns_are_not_copied() -> None:
    for array in (pa.array(range(1000)), pa.array([str(number) for number in range(1000)])):
        assert scrub(array).buffers()[-1].address == array.buffers()[-1].address


def test_an_array_whose_buffers_have_nothing_hidden_is_returned_itself() -> None:
    for array in (pa.array(range(9)), pa.array(["a", "", "b"]), pa.array(["a", None, "b"])):
        assert scrub(array) is array
        assert scrub(array[:2]) is not array


@pytest.mark.parametrize("type_", [pa.int64(), pa.string()])
def test_validity_bits_after_the_end_are_zero(type_: pa.DataType) -> None:
    whole = pa.array([1, 2, 3]).cast(type_)
    leaky = pa.Array.from_buffers(type_, 3, [pa.py_buffer(b"\xff"), *whole.buffers()[1:]])
    clean = scrub(leaky)
    assert clean.equals(whole)
    assert clean.buffers()[0] is None
    bits = pa.py_buffer(b"\x07")
    assert scrub(pa.Array.from_buffers(type_, 3, [bits, *whole.buffers()[1:]])).buffers()[0].to_pybytes() == b"\x07"


def test_whole_flat_columns_take_no_memory() -> None:
    array = pa.array(np.arange(1_000_000))
    scrub(array.slice(0, 1))
    allocated = pa.total_allocated_bytes()
    tracemalloc.start()
    clean = scrub(array)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert clean == array
    assert (pa.total_allocated_bytes() - allocated, most < 100_000) == (0, True)


WORDS = st.text("ab☃ä", max_size=20)
LEAVES: tuple[tuple[pa.DataType, st.SearchStrategy[Any]], ...] = (
    (pa.int64(), st.integers(-(2**62), 2**62)),
    (pa.string(), WORDS),
    (pa.string_view(), WORDS),
    (pa.bool_(), st.booleans()),
    (pa.dictionary(pa.int16(), pa.string()), st.sampled_from(["a", "b", "c"])),
)


def grow(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda pair: (pa.list_(pair[0]), st.lists(optional(pair[1]), max_size=3))),
        inner.map(lambda pair: (pa.large_list(pair[0]), st.lists(optional(pair[1]), max_size=3))),
        inner.map(lambda pair: (pa.list_(pair[0], 2), st.lists(optional(pair[1]), min_size=2, max_size=2))),
        inner.map(lambda pair: (pa.struct([("x", pair[0])]), st.fixed_dictionaries({"x": optional(pair[1])}))),
        inner.map(
            lambda pair: (pa.map_(pa.string(), pair[0]), st.lists(st.tuples(WORDS, optional(pair[1])), max_size=2))
        ),
    )


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@given(st.data())
def test_any_slice_of_any_nesting_comes_through_equal(data: st.DataObject) -> None:
    type_, values = data.draw(st.recursive(st.sampled_from(LEAVES), grow, max_leaves=3))
    rows = data.draw(st.lists(optional(values), max_size=12))
    start, stop = data.draw(st.integers(0, len(rows))), data.draw(st.integers(0, len(rows)))
    array = pa.array(rows, type_).slice(start, max(0, stop - start))
    clean = scrub(array)
    clean.validate(full=True)
    assert clean.to_pylist() == array.to_pylist()
    assert clean.type == array.type
