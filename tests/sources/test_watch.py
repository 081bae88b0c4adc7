"""Who watches a sink sees each file's row groups as the file has them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.errors import SchemaError
from minimize.output.sink import FileLayout, ParquetSink
from minimize.records import FileRef, WrittenFile
from minimize.stores import Location

SCHEMA = pa.schema([pa.field("tenant", pa.string(), False), ("n", pa.int64())])


@dataclass
class Note:
    path: str
    groups: list[list[int]] = field(default_factory=list)
    abandoned: bool = False

    def group(self, rows: pa.Table) -> None:
        self.groups.append(rows.column("n").to_pylist())

    def close(self, written: WrittenFile) -> WrittenFile:
        return replace(written, index=FileRef(f"index/{self.path}", "sha256:0"))

    def abandon(self) -> None:
        self.abandoned = True


@dataclass
class Notes:
    notes: list[Note] = field(default_factory=list)

    def __call__(self, root: Location, path: str) -> Note:
        self.notes.append(Note(path))
        return self.notes[-1]


def batch(first: int, count: int) -> pa.RecordBatch:
    numbers = range(first, first + count)
    return pa.record_batch([[f"t{number % 2}" for number in numbers], [*numbers]], schema=SCHEMA)


@pytest.mark.parametrize("partition_by", [(), ("tenant",)])
def test_a_watch_sees_each_row_group_of_each_file(tmp_path: Path, partition_by: tuple[str, ...]) -> None:
    notes = Notes()
    sink = ParquetSink(
        tmp_path, "records", "run-0", SCHEMA, partition_by=partition_by, shape=FileLayout(row_group=4), watch=notes
    )
    for first in range(0, 30, 10):
        sink.write(batch(first, 10))
    written = sink.close()
    assert [each.index for each in written] == [FileRef(f"index/{each.path}", "sha256:0") for each in written]
    for note in notes.notes:
        file = pq.ParquetFile(tmp_path / note.path)
        groups = [file.read_row_group(group).column("n").to_pylist() for group in range(file.num_row_groups)]
        assert note.groups == groups
        assert len(groups) > 1


def test_a_watch_is_notified_of_a_file_without_rows(tmp_path: Path) -> None:
    notes = Notes()
    [written] = ParquetSink(tmp_path, "records", "run-0", SCHEMA, watch=notes).close()
    assert (notes.notes[0].groups, written.rows) == ([], 0)
    assert written.index is not None


def test_a_watch_lets_go_with_the_file(tmp_path: Path) -> None:
    notes = Notes()
    sink = ParquetSink(tmp_path, "records", "run-0", SCHEMA, shape=FileLayout(row_group=2), watch=notes)
    sink.write(batch(0, 4))
    sink.abandon()
    assert [note.abandoned for note in notes.notes] == [True]


def test_a_watch_does_not_see_a_row_group_that_could_not_be_written(tmp_path: Path) -> None:
    notes = Notes()
    sink = ParquetSink(tmp_path, "records", "run-0", SCHEMA, watch=notes)
    sink.write(pa.record_batch([pa.array([None], pa.string()), pa.array([1])], names=SCHEMA.names))
    with pytest.raises(SchemaError):
        sink.close()
    sink.abandon()
    assert [note.groups for note in notes.notes] == [[]]
