"""The rows of some subjects in one file, whatever type its subjects have and wherever they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import OutputError
from minimize.output.sink import ParquetSink
from minimize.output.stored_file import StoredFile, open_stored_file
from minimize.output.subject_search import subject_rows

NUMBERS = pa.array(range(4), pa.int64())


def stored(root: Path, subjects: pa.Array, row_group_size: int = 2) -> StoredFile:
    (root / "records").mkdir()
    table = pa.table({"s": subjects, "n": NUMBERS})
    pq.write_table(table, root / "records/run-0.parquet", row_group_size=row_group_size)
    return open_stored_file(root, "records/run-0.parquet")


@pytest.mark.parametrize(
    ("subjects", "path", "wanted", "due"),
    [
        (pa.array(["a", "b", None, "a"]), "s", ["a"], [0, 3]),
        (pa.array(["a", "b", None, "a"]).dictionary_encode(), "s", ["b", "x"], [1]),
        (pa.array(["a", "b", "c", "a"]), "s", [1, b"a"], []),
        (pa.array([1, 2, None, 2**40]), "s", [2**40, 2**70, "1"], [3]),
        (pa.array([1, 2, 3, 4], pa.int8()), "s", [300, 4], [3]),
        (pa.array([b"a", b"b", None, b"c"]), "s", [b"a", "b"], [0]),
        (pa.array([{"id": "a"}, None, {"id": None}, {"id": "a"}]), "/s/id", ["a"], [0, 3]),
        (pa.array([["a", "b"], None, [], ["b", "b"]]), "/s/*", ["b"], [0, 3]),
    ],
)
@pytest.mark.parametrize("groups", [None, [0, 1]])
def test_the_rows_about_them_are_given(
    tmp_path: Path, subjects: pa.Array, path: str, wanted: list[Any], due: list[int], groups: list[int] | None
) -> None:
    found = subject_rows(stored(tmp_path, subjects), Pointer.parse(path), wanted, groups)
    assert found["n"].to_pylist() == due


def test_no_other_row_group_is_read_than_those_named(tmp_path: Path) -> None:
    file = stored(tmp_path, pa.array(["a", "a", "a", "b"]))
    assert subject_rows(file, Pointer.parse("s"), ["a"], [1])["n"].to_pylist() == [2]
    assert subject_rows(file, Pointer.parse("s"), ["a"], [])["n"].to_pylist() == []


def test_a_subject_that_is_a_folder_is_found(tmp_path: Path) -> None:
    schema = pa.schema([("s", pa.string()), ("n", pa.int64())])
    sink = ParquetSink(tmp_path, "records", "run-0", schema, partition_by=("s",))
    sink.write(pa.record_batch([["a", "b", "a", "b"], NUMBERS], schema=schema))
    for file, due in zip(sink.close(), ([0, 2], []), strict=True):
        found = subject_rows(open_stored_file(tmp_path, file.path), Pointer.parse("s"), ["a"], None)
        assert found["n"].to_pylist() == due


@pytest.mark.parametrize("path", ["gone", "/s/id"])
def test_a_file_without_the_subjects_column_is_said(tmp_path: Path, path: str) -> None:
    with pytest.raises(OutputError, match="does not hold its subject"):
        subject_rows(stored(tmp_path, pa.array(["a", "b", "c", "d"])), Pointer.parse(path), ["a"], None)
