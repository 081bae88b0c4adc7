""""""

from __future__ import annotations

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.records import Reject, UndeclaredCount
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.binding import BoundRequest
from minimize.sources.files import MAX_LINE_BYTES
from minimize.sources.ndjson.strict_reader import ChunkBuilder, record_subject
from minimize.sources.projection import field_tree, prune_schema

ID = Pointer.parse("/who/id")
REQUEST = SourceRequest(
    (DeclaredField("/who/id", ID, "string"), DeclaredField("n", Pointer.parse("n"), "integer")), (), ID
)


def gathered(request: SourceRequest = REQUEST) -> ChunkBuilder:
    root = field_tree(request)
    return ChunkBuilder(BoundRequest(request, prune_schema(pa.schema([]), root), (), (), ()), root)


def test_lines_are_gathered_with_their_positions_and_faults() -> None:
    lines = gathered()
    lines.add_line(0, b'{"who":{"id":"a"},"n":1,"new":2}')
    lines.add_line(40, b"broken")
    lines.add_line(50, b'{"n":"1"}')
    chunk = lines.add_too_large(60).chunk()
    assert chunk.records.to_pylist() == [{"who": {"id": "a"}, "n": 1}]
    assert (chunk.read, chunk.positions) == (4, pa.array([0]))
    assert chunk.rejects == (
        Reject(40, "byte", None, "malformed"),
        Reject(50, "byte", "/n", "wrong_type"),
        Reject(60, "byte", None, "too_large"),
    )
    assert chunk.undeclared == {Pointer.parse("new"): UndeclaredCount(1, frozenset("a"))}


def test_a_line_above_the_limit_is_not_even_parsed() -> None:
    lines = gathered()
    lines.add_line(7, b" " * (MAX_LINE_BYTES + 1))
    assert lines.chunk().rejects == (Reject(7, "byte", None, "too_large"),)


def test_without_needed_fields_the_records_still_count() -> None:
    lines = gathered(SourceRequest(()))
    lines.add_line(0, b"{}")
    assert (lines.chunk().records.num_rows, lines.chunk().read) == (1, 1)


def test_a_subject_is_text_or_nobody() -> None:
    assert record_subject({"who": {"id": "a"}}, REQUEST) == "a"
    assert record_subject({"who": {"id": ["a"]}}, REQUEST) is None
    assert record_subject({"who": None}, REQUEST) is None
    assert record_subject({}, REQUEST) is None
