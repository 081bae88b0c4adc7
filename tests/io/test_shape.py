from __future__ import annotations

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.projection import declared_type, field_tree, plain_array_type, prune_schema, prune_type


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


def test_what_nobody_reads_is_not_in_the_schema() -> None:
    schema = pa.schema([("a", pa.string()), ("s", WIDE)])
    assert shaped(schema, ("a", "string", True), ("/s/x", "integer", True)) == pa.schema([])


def test_a_container_declared_whole_is_hollow() -> None:
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


def test_what_stands_under_a_star_is_a_list_unless_it_is_known_as_a_map() -> None:
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
