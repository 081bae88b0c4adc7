"""Records are found again by their position, whatever the file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.io.base import Declared, Request
from minimize.io.csv import csv
from minimize.io.lines import LIMIT, Block, lines_at
from minimize.io.ndjson import ndjson
from minimize.io.parquet import parquet
from minimize.io.positions import accepted
from minimize.pointer import Pointer
from tests.hypothesis_profiles import examples

REQUEST = Request(
    (Declared("id", Pointer(("id",)), "string", required=True), Declared("n", Pointer(("n",)), "integer"))
)
LINES = [b'{"id": "a"}', b"", b'{"id": 1}', b'{"id": "b", "n": 2}', b"broken", b'{"id": "c", "n": "x"}', b'{"id": "d"}']


def starts(lines: list[bytes], first: int = 0) -> list[int]:
    return [first + sum(len(line) + 1 for line in lines[:index]) for index in range(len(lines))]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_are_read_where_they_begin(tmp_path: Path, ending: str, mark: bytes) -> None:
    data = mark + b"\n".join(LINES)
    path = tmp_path / f"a.ndjson{ending}"
    path.write_bytes(gzip.compress(data) if ending else data)
    places = [place for place, line in zip(starts(LINES, len(mark)), LINES, strict=True) if line]
    (part,) = ndjson([path], tmp_path, REQUEST).parts
    assert accepted(part, places) == {places[0], places[2], places[5]}
    assert accepted(part, [places[3], places[2]]) == {places[2]}


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_line_that_is_too_long_stays_so(tmp_path: Path, ending: str) -> None:
    data = b'{"id": "a"}\n{"id": "' + b"x" * LIMIT + b'"}\n{"id": "b"}\n'
    path = tmp_path / f"a.ndjson{ending}"
    path.write_bytes(gzip.compress(data, 1) if ending else data)
    (part,) = ndjson([path], tmp_path, REQUEST).parts
    assert accepted(part, [0, 12]) == {0}


@settings(max_examples=examples(50))
@given(
    st.lists(st.sampled_from([b'{"id":"a"}', b"{}", b"\xff", b'{"id":"a","n":1.5}', b'{"id":"bb","n":7}']), min_size=1)
)
def test_what_passes_by_position_is_what_passes_in_a_whole_read(lines: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ndjson"
        path.write_bytes(b"\n".join(lines) + b"\n")
        (part,) = ndjson([path], Path(folder), REQUEST).parts
        rejected = {reject.position for chunk in part.read() for reject in chunk.rejects}
        assert accepted(part, starts(lines)) == set(starts(lines)) - rejected


def test_rows_of_parquet_are_read_by_row_group(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", None, "c", None, "e"], "n": [1, 2, 3, 4, 5]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    (part,) = parquet([tmp_path / "a.parquet"], tmp_path, REQUEST).parts
    assert accepted(part, [1, 2, 3]) == {2}


def test_rows_of_csv_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n\na,1\nb,x\nc,3\nragged\n")
    (part,) = csv([tmp_path / "a.csv"], tmp_path, REQUEST).parts
    assert accepted(part, [0, 1, 3]) == {0}


def test_lines_outside_a_block_are_not_its() -> None:
    block = Block(10, json.dumps({"id": "a"}).encode() + b"\nnext\n")
    assert [each.position for each in lines_at(block, [3, 10, 22, 90])] == [10, 22]
    assert [each.data for each in lines_at(block, [22])] == [b"next"]
