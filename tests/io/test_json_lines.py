from __future__ import annotations

import pyarrow as pa

from minimize.io.base import Carried, Declared, Reject, Request
from minimize.io.columnar import Bound
from minimize.io.json_lines import Gathered, subject_of
from minimize.io.lines import LIMIT
from minimize.io.shape import pruned, tree
from minimize.pointer import Pointer

ID = Pointer.parse("/who/id")
REQUEST = Request((Declared("/who/id", ID, "string"), Declared("n", Pointer.parse("n"), "integer")), (), ID)


def gathered(request: Request = REQUEST) -> Gathered:
    root = tree(request)
    return Gathered(Bound(request, pruned(pa.schema([]), root), (), (), ()), root)


def test_lines_are_gathered_with_their_positions_and_faults() -> None:
    lines = gathered()
    lines.take(0, b'{"who":{"id":"a"},"n":1,"new":2}')
    lines.take(40, b"broken")
    lines.take(50, b'{"n":"1"}')
    chunk = lines.too_large(60).chunk()
    assert chunk.records.to_pylist() == [{"who": {"id": "a"}, "n": 1}]
    assert (chunk.read, chunk.positions) == (4, pa.array([0]))
    assert chunk.rejects == (
        Reject(40, "byte", None, "malformed"),
        Reject(50, "byte", "/n", "wrong_type"),
        Reject(60, "byte", None, "too_large"),
    )
    assert chunk.undeclared == {Pointer.parse("new"): Carried(1, frozenset("a"))}


def test_a_line_above_the_limit_is_not_even_parsed() -> None:
    lines = gathered()
    lines.take(7, b" " * (LIMIT + 1))
    assert lines.chunk().rejects == (Reject(7, "byte", None, "too_large"),)


def test_without_needed_fields_the_records_still_count() -> None:
    lines = gathered(Request(()))
    lines.take(0, b"{}")
    assert (lines.chunk().records.num_rows, lines.chunk().read) == (1, 1)


def test_a_subject_is_text_or_nobody() -> None:
    assert subject_of({"who": {"id": "a"}}, REQUEST) == "a"
    assert subject_of({"who": {"id": ["a"]}}, REQUEST) is None
    assert subject_of({"who": None}, REQUEST) is None
    assert subject_of({}, REQUEST) is None
