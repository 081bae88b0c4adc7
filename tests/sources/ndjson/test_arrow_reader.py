from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.records import Chunk
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import LineBlock, file_parts
from minimize.sources.ndjson import NdjsonPart, ndjson_source
from minimize.sources.ndjson.arrow_reader import explicit_schema, read_by_arrow
from minimize.sources.ndjson.line_scan import scan_lines
from minimize.sources.projection import field_tree


def request(*fields: tuple[str, str], never: tuple[str, ...] = ()) -> SourceRequest:
    declared = tuple(
        DeclaredField(key, Pointer.parse(key), word, required=key == "id", needed=word != "map") for key, word in fields
    )
    return SourceRequest(declared, tuple(map(Pointer.parse, never)))


ASKED = request(
    ("id", "string"),
    ("x", "double"),
    ("at", "timestamp"),
    ("/l/*/n", "integer"),
    ("d", "decimal(4,2)"),
    ("m", "map"),
    never=("/pin",),
)
GOOD = b'{"id":"a","x":1}'


def at_once(folder: Path, data: bytes, asked: SourceRequest = ASKED) -> tuple[list[Chunk], list[int]]:
    """The chunks, and the lines that are not in doubt."""
    (folder / "a").write_bytes(b"")
    (part,) = ndjson_source(file_parts([folder / "a"], folder), asked).parts
    assert isinstance(part, NdjsonPart)
    lines, reader = scan_lines(LineBlock(0, data)), part.lines
    rows = np.flatnonzero(~lines.odd)
    found = list(read_by_arrow(lines, rows, reader.bound, reader.root, reader.parser))
    return [chunk for chunk, _ in found], sorted(row for _, rows in found for row in rows.tolist())


def test_clean_lines_are_read_in_one_batch(tmp_path: Path) -> None:
    (chunk,), rows = at_once(tmp_path, b'{"id":"a","x":1,"l":[{"n":1,"m":2}],"d":1.5,"m":{"k":1}}\n\n{"x":2}\r\n')
    assert chunk.records.select(["id", "x", "at", "l"]).to_pylist() == [
        {"id": "a", "x": 1.0, "at": None, "l": [{"n": 1}]}
    ]
    assert [str(value) for value in chunk.records.column("d").to_pylist()] == ["1.50"]
    assert [(reject.position, reject.code) for reject in chunk.rejects] == [(58, "missing_field")]
    assert {str(pointer): carry.records for pointer, carry in chunk.undeclared.items()} == {"/l/*/m": 1}
    assert rows == [0, 1]


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":"a","id":"b"}',
        b'{"id":"a"}{"id":"b"}',
        b'{"id":"a","u":[null,"x"]}',
        b'{"x":NaN}',
        b'{"x":' + b"9" * 400 + b"}",
        b'{"u":NaN}',
        b'{"u":[{"k":-Infinity}]}',
        b'{"m":{"k":NaN}}',
        b'{"m":[1]}',
        b'{"m":{"k":1,"k":2}}',
        b'{"d":"1.5"}',
        b'{"d":1.555}',
        b'{"d":123.4}',
        b'{"d":0.' + b"0" * 500 + b"}",
        b'{"at":"noon"}',
        b'{"at":"2026-02-30T00:00:00Z"}',
        b'{"at":5}',
        b'{"pin":""}',
        b'{"l":{"n":1}}',
        b'{"l":[{"n":1.5}]}',
        b'{"l":[{"n":1e3},{"n":"x"}]}',
    ],
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_doubt_about_a_line_is_about_no_other(tmp_path: Path, line: bytes, place: int) -> None:
    lines = [GOOD] * 4
    lines.insert(place, line)
    chunks, rows = at_once(tmp_path, b"\n".join(lines))
    if b"null" in line or b"}{" in line or b"9" * 400 in line or b"0" * 400 in line or b'"d":1.555' in line:
        assert place not in rows
    else:
        assert rows == [row for row in range(5) if row != place]
        assert sum(chunk.records.num_rows for chunk in chunks) == 4


def test_times_and_bytes_are_asked_for_as_text_and_whole_containers_not_at_all() -> None:
    asked = request(
        ("at", "timestamp"),
        ("d", "date"),
        ("b", "binary"),
        ("l", "list"),
        ("/m/*/n", "integer"),
        ("/s/t", "date"),
        ("labels", "map"),
    )
    assert explicit_schema(field_tree(asked)) == pa.schema(
        [
            ("at", pa.string()),
            ("d", pa.string()),
            ("b", pa.string()),
            ("m", pa.list_(pa.struct([("n", pa.int64())]))),
            ("s", pa.struct([("t", pa.string())])),
        ]
    )
