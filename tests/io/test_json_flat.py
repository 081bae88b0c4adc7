from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.sources.base import Chunk, DeclaredField, SourceRequest
from minimize.sources.files import LineBlock
from minimize.sources.ndjson import NdjsonPart, ndjson_source
from minimize.sources.ndjson.flat_reader import KnownKeyOrder, read_flat
from minimize.sources.ndjson.line_scan import scan_without_depth

REQUEST = SourceRequest(
    tuple(
        DeclaredField(key, Pointer.parse(key), word, required=key == "id")
        for key, word in {"id": "string", "n": "integer", "/o/k": "string"}.items()
    ),
    never=(Pointer.parse("/pin"),),
    subject=Pointer.parse("id"),
)
GOOD = b'{"id":"a","n":1}'


def at_once(
    folder: Path, lines: list[bytes], known: KnownKeyOrder, position: int = 0
) -> tuple[Chunk | None, list[int]]:
    """The chunk, and the lines that are not in doubt."""
    (folder / "a").write_bytes(b"")
    (part,) = ndjson_source([folder / "a"], folder, REQUEST).parts
    assert isinstance(part, NdjsonPart)
    found = read_flat(
        scan_without_depth(LineBlock(position, b"\n".join(lines))), part.lines.bound, part.lines.root, known
    )
    assert len(found) <= 1
    return (found[0][0], found[0][1].tolist()) if found else (None, [])


def test_lines_that_look_alike_are_one_chunk(tmp_path: Path) -> None:
    lines = [GOOD, b'{"n":2}', b'{"id":"b","new":"x"}', b'{"id":"c","n":null,"new":null}', b'{"id":"d","o":null}']
    chunk, rows = at_once(tmp_path, lines, KnownKeyOrder(), 100)
    assert chunk is not None
    assert rows == [0, 1, 2, 3, 4]
    assert chunk.records.to_pylist() == [
        {"id": "a", "n": 1, "o": None},
        {"id": "b", "n": None, "o": None},
        {"id": "c", "n": None, "o": None},
        {"id": "d", "n": None, "o": None},
    ]
    assert [(reject.position, reject.code) for reject in chunk.rejects] == [(117, "missing_field")]
    assert chunk.positions == pa.array([100, 125, 146, 177])
    assert {str(path): (carry.records, carry.subjects) for path, carry in chunk.undeclared.items()} == {
        "/new": (1, frozenset("b"))
    }


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":1}',
        b'{"id":"a","n":"1"}',
        b'{"id":"a","pin":1}',
        b'{"id":"a","o":{"k":"x"}}',
        b'{"id":"\\u0061"}',
        b'{"n":1,"id":"a"}',
        b"x",
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_doubt_about_a_line_is_about_no_other(tmp_path: Path, line: bytes, size: int) -> None:
    chunk, rows = at_once(tmp_path, [GOOD, GOOD, line, GOOD], KnownKeyOrder(size))
    assert chunk is not None
    assert rows == [0, 1, 3]
    assert chunk.records.num_rows == chunk.read == 3


def test_keys_that_were_not_known_are_learned_for_the_next_block(tmp_path: Path) -> None:
    known = KnownKeyOrder()
    lines = [GOOD] * 20 + [b'{"id":"a","late":1,"n":1}']
    assert at_once(tmp_path, lines, known)[1] == [*range(20)]
    assert at_once(tmp_path, lines, known)[1] == [*range(21)]


def test_where_few_lines_are_in_the_known_order_it_is_learned_anew(tmp_path: Path) -> None:
    known = KnownKeyOrder()
    other = [b'{"n": 1, "id": "a"}'] * 20
    assert at_once(tmp_path, [GOOD] * 20, known)[1] == [*range(20)]
    assert at_once(tmp_path, other, known)[1] == []
    assert at_once(tmp_path, other, known)[1] == [*range(20)]


@pytest.mark.parametrize("line", [b'{"id":"a","o":{"k":"x"}}', b"{}", b"x", b'{"id":"\\t"}'])
def test_lines_in_no_order_are_left_to_others(tmp_path: Path, line: bytes) -> None:
    assert at_once(tmp_path, [line] * 4, KnownKeyOrder()) == (None, [])
