from __future__ import annotations

import gzip
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.errors import SchemaError, SourceError
from minimize.records import Chunk
from minimize.sources.base import SourceRequest
from minimize.sources.csv import INVALID_BYTE, Utf8Stream, csv_source
from minimize.sources.files import file_parts
from tests.hypothesis_profiles import examples
from tests.sources.declared import declared

CANARY = "c4n4ry"


REQUEST = SourceRequest(
    fields=(
        declared("id", "string", required=True),
        declared("n", "integer"),
        declared("x", "double", needed=False),
        declared("ok", "boolean"),
        declared("at", "timestamp"),
        declared("note", "string", optional=True),
    ),
    never=(Pointer.parse("password"),),
    subject=Pointer.parse("id"),
)
HEADER = b"id,n,x,ok,at,new\n"


def chunks(folder: Path, data: bytes, name: str = "a.csv") -> list[Chunk]:
    path = folder / name
    path.write_bytes(data)
    source = csv_source(file_parts([path], folder), REQUEST)
    found = list(source.parts[0].read())
    assert all(chunk.records.schema.equals(source.schema) for chunk in found)
    return found


def test_cells_are_read_as_declared_and_an_empty_one_is_null(tmp_path: Path) -> None:
    (chunk,) = chunks(tmp_path, HEADER + b'a,1,2,true,2026-11-24T10:00:00+02:00,u\n"b","",,,,\n')
    rows = chunk.records.to_pylist()
    assert [(row["id"], row["n"], row["ok"], row["note"]) for row in rows] == [
        ("a", 1, True, None),
        ("b", None, None, None),
    ]
    assert chunk.records.column("at").cast(pa.string()).to_pylist() == ["2026-11-24 08:00:00.000000Z", None]
    assert "x" not in chunk.records.schema.names


def test_a_cell_of_another_type_rejects_its_record_in_dropped_columns_too(tmp_path: Path) -> None:
    data = HEADER + b"a,1.0,,,,\na,,nan,,,\na,,,True,,\na,,,,noon,\n,,,,,u\na,,,,,\n"
    (chunk,) = chunks(tmp_path, data)
    assert [(reject.position, reject.unit, reject.field, reject.code) for reject in chunk.rejects] == [
        (0, "row", "/n", "wrong_type"),
        (1, "row", "/x", "wrong_type"),
        (2, "row", "/ok", "wrong_type"),
        (3, "row", "/at", "bad_time"),
        (4, "row", "/id", "missing_field"),
    ]
    assert chunk.positions is not None
    assert chunk.positions.to_pylist() == [5]


def test_a_ragged_record_and_one_that_is_not_utf8_are_malformed(tmp_path: Path) -> None:
    data = HEADER + b'a,1\na,2,,,,"x\ny"\n\na,3,,,,,\n\xff,4,,,,\na,5,,,,\na\n'
    found = chunks(tmp_path, data)
    rejects = [(reject.position, reject.code) for chunk in found for reject in chunk.rejects]
    assert rejects == [(0, "malformed"), (2, "malformed"), (3, "malformed"), (5, "malformed")]
    assert [at for chunk in found if chunk.positions is not None for at in chunk.positions.to_pylist()] == [1, 4]
    assert sum(chunk.read for chunk in found) == 6


def test_a_forbidden_column_rejects_only_records_that_contain_it(tmp_path: Path) -> None:
    (chunk,) = chunks(tmp_path, b"id,n,x,ok,at,password\na,,,,,secret\nb,,,,,\n")
    assert [(reject.position, reject.field) for reject in chunk.rejects] == [(0, "/password")]
    assert chunk.undeclared == {}


def test_an_undeclared_column_is_counted(tmp_path: Path) -> None:
    (chunk,) = chunks(tmp_path, HEADER + b"a,,,,,u\nb,,,,,\nc,,,,,v\n")
    assert {str(pointer): (carry.records, set(carry.subjects)) for pointer, carry in chunk.undeclared.items()} == {
        "/new": (2, {"a", "c"})
    }


def test_a_column_that_is_missing_stops_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        chunks(tmp_path, b"ID,n,x,ok,at\n" + CANARY.encode() + b",,,,\n")
    (finding,) = caught.value.findings
    assert (finding.code, finding.field) == ("S001", "id")
    assert "'ID'" in finding.hint
    assert CANARY not in str(caught.value)


def test_a_repeated_name_in_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="more than once"):
        chunks(tmp_path, b"id,n,x,ok,at,id\n")


@pytest.mark.parametrize("data", [b"", HEADER, b"\xef\xbb\xbf" + HEADER, HEADER.strip()])
def test_a_file_without_records_has_none(tmp_path: Path, data: bytes) -> None:
    assert sum(chunk.read for chunk in chunks(tmp_path, data)) == 0


def test_a_byte_order_mark_and_crlf_are_passed_over(tmp_path: Path) -> None:
    (chunk,) = chunks(tmp_path, b"\xef\xbb\xbf" + HEADER.replace(b"\n", b"\r\n") + b"a,1,,,,\r\n")
    assert chunk.records.column("id").to_pylist() == ["a"]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_a_compressed_file_is_read_and_a_cut_one_stops_the_reading(tmp_path: Path, ending: str, pack: object) -> None:
    assert callable(pack)
    whole = pack(HEADER + b"a,1,,,,\n" * 5000)
    assert sum(chunk.read for chunk in chunks(tmp_path, whole, f"a.csv{ending}")) == 5000
    with pytest.raises(SourceError, match=r"b\.csv"):
        chunks(tmp_path, whole[:-6], f"b.csv{ending}")


def test_a_quote_that_is_never_closed_stops_the_reading_without_its_text(tmp_path: Path) -> None:
    try:
        found = chunks(tmp_path, HEADER + b'a,1,,,,\n"' + CANARY.encode() + b",1,,,,\na,1,,,,\n")
    except SourceError as error:
        text = f"{error!r}{error.__context__!r}"
    else:
        text = repr([chunk.rejects for chunk in found])
    assert CANARY not in text


cells = st.text(st.characters(blacklist_categories=["Cs"]), max_size=4) | st.sampled_from(["1", "1.5", "true", CANARY])


@settings(max_examples=examples(60))
@given(rows=st.lists(st.lists(cells, min_size=5, max_size=7), max_size=8))
def test_every_record_is_good_or_rejected(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    quoted = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    data = HEADER + "\n".join(quoted).encode()
    found = chunks(tmp_path_factory.mktemp("csv"), data)
    assert sum(chunk.read for chunk in found) == len(rows)
    assert sum(chunk.records.num_rows + len(chunk.rejects) for chunk in found) == len(rows)
    positions = [at for chunk in found if chunk.positions is not None for at in chunk.positions.to_pylist()]
    assert sorted(positions + [reject.position for chunk in found for reject in chunk.rejects]) == list(
        range(len(rows))
    )
    assert CANARY not in repr([chunk.rejects for chunk in found])


def test_a_ragged_record_that_is_not_utf8_is_malformed_like_any_other(tmp_path: Path) -> None:
    found = chunks(tmp_path, HEADER + b"a,1,,,,\nb,\xe9\n\xed\xa0\x80,1,,,,\nc,1,,,,\0\nd,1,,,,\xc3\xa9\n")
    assert [(one.position, one.code) for chunk in found for one in chunk.rejects] == [
        (1, "malformed"),
        (2, "malformed"),
        (3, "malformed"),
    ]
    assert [row["id"] for chunk in found for row in chunk.records.to_pylist()] == ["a", "d"]


def test_blank_lines_before_the_header_are_nothing(tmp_path: Path) -> None:
    (chunk,) = chunks(tmp_path, b"\n\r\n" + HEADER + b"\na,1,,,,\nb\nc,2,,,,\n")
    assert [(one.position, one.code) for one in chunk.rejects] == [(1, "malformed")]
    assert chunk.records.column("n").to_pylist() == [1, 2]


def test_a_last_cell_that_swallowed_records_stops_the_reading(tmp_path: Path) -> None:
    swallowed = CANARY.encode() + b",1,,,,\n"
    with pytest.raises(SourceError, match="never closed") as caught:
        chunks(tmp_path, HEADER + b'a,1,,,,"\n' + swallowed)
    assert CANARY not in f"{caught.value!r}{caught.value.__context__!r}"
    assert sum(chunk.read for chunk in chunks(tmp_path, HEADER + b'a,1,,,,"\n' + swallowed + b'"\n')) == 1
    assert sum(chunk.read for chunk in chunks(tmp_path, HEADER + b'a,1,,,,5"\nb,1,,,,\n')) == 2


def read(data: bytes, size: int = 3) -> bytes:
    stream = Utf8Stream(BytesIO(data))
    pieces = [*iter(lambda: stream.read(size), b"")]
    assert all(len(piece) <= size for piece in pieces)
    return b"".join(pieces)


@given(text=st.text(st.characters(blacklist_categories=["Cs"])), size=st.integers(1, 9))
def test_text_comes_through_as_it_is_however_it_is_cut(text: str, size: int) -> None:
    assert read(text.encode(), size) == text.encode()


@pytest.mark.parametrize(
    ("data", "count"), [(b"a\xffb", 1), (b"\xe9", 1), (b"\xed\xa0\x80", 3), (b"\xf0\x9f\x98", 3), (b"\xc0\xaf", 2)]
)
def test_each_byte_that_is_not_utf_8_is_marked(data: bytes, count: int) -> None:
    assert read(data).decode().count(INVALID_BYTE) == count
    assert len(read(data)) == len(data)


@given(data=st.binary(), size=st.integers(1, 5))
def test_any_bytes_are_read_as_utf_8_of_the_same_length(data: bytes, size: int) -> None:
    assert len(read(data, size).decode().encode()) == len(data)


OPEN_IN_EACH_COLUMN = [",".join('"x' if place == column else "x" for place in range(6)) for column in range(6)]


@pytest.mark.parametrize("line", OPEN_IN_EACH_COLUMN)
@pytest.mark.parametrize("after", [b"b,1,,,,\n", b'b,1,,,,"y"\n', b'"b","1",,,,\n'])
def test_an_unclosed_quote_in_any_column_loses_no_record(tmp_path: Path, line: str, after: bytes) -> None:
    with pytest.raises(SourceError, match="never closed"):
        chunks(tmp_path, HEADER + line.encode() + b"\n" + after * 500)


def test_a_quote_within_a_cell_and_a_closed_cell_of_some_lines_are_read(tmp_path: Path) -> None:
    lines = b'5" disk,1,,,,\n"a\nb",1,,,,""\n"a\n""b""" ,1,,,,\n"c\n",1,,,,"\n"\n'
    assert sum(chunk.records.num_rows for chunk in chunks(tmp_path, HEADER + lines)) == 4


def test_an_unclosed_quote_in_the_header_is_not_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="never closed"):
        chunks(tmp_path, b'id,n,x,ok,at,"new\n' + b"a,1,,,,\n" * 5)


@pytest.mark.parametrize(
    ("data", "broken", "unclosed"),
    [
        (b'a,"b\nc",d\n', False, False),
        (b'a,"b\nc"d",e\n', True, False),
        (b'a,"b\nc,d\n', False, True),
        (b'a,"b\n', False, False),
        (b'5",b\n"c""\n",d\n', False, False),
        (b'"a""b\n""",c\n"d"  ,e\n', False, False),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_quotes_are_checked_however_the_content_is_cut(data: bytes, broken: bool, unclosed: bool, size: int) -> None:
    stream = Utf8Stream(BytesIO(data))
    assert b"".join(iter(lambda: stream.read(size), b"")) == data
    assert (stream.quotes.is_broken, stream.quotes.is_unclosed) == (broken, unclosed)
