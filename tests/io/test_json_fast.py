from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from minimize.io.base import Chunk, Declared, Request
from minimize.io.json_fast import applies, explicit, fast
from minimize.io.lines import Block
from minimize.io.ndjson import NdjsonPart, ndjson
from minimize.io.shape import tree
from minimize.pointer import Pointer


def request(*fields: tuple[str, str], never: tuple[str, ...] = ()) -> Request:
    declared = tuple(Declared(key, Pointer.parse(key), word, required=key == "id") for key, word in fields)
    return Request(declared, tuple(map(Pointer.parse, never)))


ASKED = request(("id", "string"), ("x", "double"), ("at", "timestamp"), ("/l/*/n", "integer"), never=("/pin",))


def at_once(folder: Path, data: bytes, asked: Request = ASKED) -> Chunk | None:
    (folder / "a").write_bytes(b"")
    (part,) = ndjson([folder / "a"], folder, asked).parts
    assert isinstance(part, NdjsonPart)
    return fast(Block(0, data), part.lines.bound, part.lines.root, explicit(part.lines.root))


def test_clean_lines_are_read_at_once(tmp_path: Path) -> None:
    chunk = at_once(tmp_path, b'{"id":"a","x":1,"l":[{"n":1,"m":2}]}\n\n{"x":2}\r\n')
    assert chunk is not None
    assert chunk.records.to_pylist() == [{"id": "a", "x": 1.0, "at": None, "l": [{"n": 1}]}]
    assert [(reject.position, reject.code) for reject in chunk.rejects] == [(38, "missing_field")]
    assert {str(pointer): carry.records for pointer, carry in chunk.undeclared.items()} == {"/l/*/m": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" {}",
        b"{} ",
        b"{}{}",
        b'{"id":\n"a"}',
        b'{"id":"a"}{"id":{\n{}}}',
        b'{"id":"a","id":"b"}',
        b'{"id":"\xff"}',
        b'{"id":"NaN"}',
        b'{"x":NaN}',
        b'{"x":-Inf}',
        b'{"x":' + b"9" * 400 + b"}",
        b'{"id":"a\\u0000"}',
        b'{"id":"a"}\x00',
        b'{"u":' + b"[" * 128 + b"]" * 128 + b"}",
        b'{"at":"noon"}',
        b'{"at":5}',
        b'{"pin":""}',
        b'{"l":{"n":1}}',
        b'{"u":1}\n{"u":"x"}',
        b'{"u":[null,"x"]}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_any_doubt_is_left_to_the_strict_reader(tmp_path: Path, data: bytes) -> None:
    assert at_once(tmp_path, data) is None


def test_maps_and_decimals_are_left_to_the_strict_reader() -> None:
    assert applies(tree(ASKED))
    assert not applies(tree(request(("m", "map"))))
    assert not applies(tree(request(("/l/*/d", "decimal(4,2)"))))
    assert not applies(tree(request(("/m/*", "string")), frozenset({Pointer.parse("/m")})))


def test_times_and_bytes_are_asked_for_as_text_and_whole_containers_not_at_all() -> None:
    asked = request(
        ("at", "timestamp"), ("d", "date"), ("b", "binary"), ("l", "list"), ("/m/*/n", "integer"), ("/s/t", "date")
    )
    assert explicit(tree(asked)) == pa.schema(
        [
            ("at", pa.string()),
            ("d", pa.string()),
            ("b", pa.string()),
            ("m", pa.list_(pa.struct([("n", pa.int64())]))),
            ("s", pa.struct([("t", pa.string())])),
        ]
    )
