""""""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.sources.base import Chunk, DeclaredField, SourceRequest
from minimize.sources.binding import BoundRequest
from minimize.sources.files import LineBlock
from minimize.sources.ndjson.arrow_reader import (
    lines_needing_python,
    needs_python,
    python_columns,
    read_partly_in_python,
    undeclared_test,
)
from minimize.sources.ndjson.line_scan import scan_lines
from minimize.sources.projection import field_tree, prune_schema
from tests.sources.declared import declared


def request(*fields: DeclaredField) -> SourceRequest:
    return SourceRequest(fields, (Pointer.parse("/pin"),), Pointer.parse("id"))


ASKED = request(
    declared("id", "string", required=True),
    declared("labels", "map"),
    declared("/labels/*", "integer"),
    declared("w", "list"),
)


def read(data: bytes) -> tuple[Chunk, list[int]]:
    root = field_tree(ASKED)
    bound = BoundRequest(ASKED, prune_schema(pa.schema([]), root), (), (), ASKED.fields[:1])
    lines = scan_lines(LineBlock(0, data))
    ((chunk, rows),) = read_partly_in_python(lines, np.flatnonzero(~lines.odd), bound, root)
    return chunk, rows.tolist()


def test_maps_keep_their_order_and_their_nulls_and_what_nobody_declared_is_counted() -> None:
    chunk, rows = read(b'{"id":"a","labels":{"b":1,"a":null},"u":1}\n{"id":"b","u":"x","w":[1]}')
    assert chunk.records.to_pylist() == [
        {"id": "a", "labels": [("b", 1), ("a", None)], "w": None},
        {"id": "b", "labels": None, "w": [None]},
    ]
    assert {str(pointer): carry.records for pointer, carry in chunk.undeclared.items()} == {"/u": 2}
    assert rows == [0, 1]


def test_lines_in_doubt_are_left_out() -> None:
    data = [
        b'{"id":"a"}',
        b'{"id":"a","pin":1}',
        b'{"id":"a","labels":{"k":"x"}}',
        b'{"id":"a","u":NaN}',
        b'{"id":"a","u":{"k":1,"k":1}}',
        b'{"labels":{}}',
        b'{"id":"a","w":1}',
    ]
    chunk, rows = read(b"\n".join(data))
    assert (chunk.records.num_rows, rows) == (1, [0])


def test_a_map_that_is_dropped_needs_no_hand() -> None:
    assert needs_python(field_tree(request(declared("fine", "decimal(76,39)"))))
    assert not needs_python(field_tree(request(declared("labels", "map", needed=False))))
    assert needs_python(field_tree(request(declared("labels", "map"))))
    assert needs_python(
        field_tree(request(declared("labels", "map", needed=False), declared("/labels/*", "string", needed=False)))
    )


def test_columns_with_something_of_no_told_type_are_named() -> None:
    asked = request(
        declared("id", "string"),
        declared("/a/b/*", "list"),
        declared("/s/t", "date"),
        declared("m", "map"),
        declared("o", "struct"),
    )
    assert python_columns(field_tree(asked)) == {"a", "m", "o"}


def test_only_lines_that_may_have_the_key_need_a_hand() -> None:
    data = [b'{"id":"a"}', b'{"id":"a","labels":{}}', b'{"l\\u0061bels":{}}', b'{"w":"labels"}', b'{"label":{}}']
    assert lines_needing_python(scan_lines(LineBlock(0, b"\n".join(data))), field_tree(ASKED)).tolist() == [1, 2, 3]


def test_what_is_not_declared_is_seen_in_structs_and_lists_at_any_depth() -> None:
    more = undeclared_test(
        field_tree(request(*(declared(key, "string") for key in ("id", "/s/t/u", "/l/*/n", "/k/*"))))
    )
    declared_only = [{}, {"id": "a", "s": None}, {"s": {"t": {"u": "x"}}, "l": [None, {}, {"n": "x"}], "k": ["x"]}]
    assert not any(map(more, declared_only))
    assert all(
        map(more, [{"x": None}, {"s": {"x": 1}}, {"s": {"t": {"u": "x", "v": 1}}}, {"l": [{"n": "x"}, {"m": 1}]}])
    )
