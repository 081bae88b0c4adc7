"""Reading an output folder: the set in force, by name and date, with the columns that were written."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from minimize.errors import OutputError
from minimize.output import reader as reading
from minimize.output.publish import open_output
from minimize.output.reader import Dates, file_paths, files_in_force, load_receipts, read_output
from tests.io.publishing import RECORDS, dies_at, making, new, old, rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    old(tmp_path / "out")
    new(tmp_path / "out")
    return tmp_path / "out"


def published(folder: Path, run: str, day: str | None, *batches: pa.RecordBatch, **options: object) -> None:
    with open_output(folder) as output:
        made = making(output, run)
        made.put("records", day, batches[0].schema, *batches, **options)
        made.publish()


def test_receipts_come_in_their_sequence(folder: Path) -> None:
    assert [(receipt.sequence, receipt.run_id) for receipt in load_receipts(folder)] == [(1, "run1"), (2, "run2")]


def test_files_are_those_in_force(folder: Path) -> None:
    names = ["2026-11-23/run1-0", "2026-11-24/run2-0", "2026-11-25/run2-0"]
    assert file_paths(folder) == [str(folder / f"records/date={name}.parquet") for name in names]
    assert file_paths(folder, "quarantine") == []


def test_dates_choose_among_them(folder: Path) -> None:
    one = [str(folder / "records/date=2026-11-24/run2-0.parquet")]
    asked: tuple[Dates, ...] = ("2026-11-24", date(2026, 11, 24), [date(2026, 11, 24), "2030-01-01"])
    for dates in asked:
        assert file_paths(folder, dates=dates) == one
    assert file_paths(folder, dates="2030-01-01") == file_paths(folder, dates=[]) == []


def test_rows_come_with_their_date_last(folder: Path) -> None:
    table = read_output(folder, dates=["2026-11-23", "2026-11-24"])
    assert table.schema.names == ["device", "n", "date"]
    assert table.schema.field("date").type == pa.date32()
    assert table.schema.field("device").metadata == {b"minimize:key": b"device/1"}
    assert table["date"].value_counts().to_pylist() == [
        {"values": date(2026, 11, 23), "counts": 2},
        {"values": date(2026, 11, 24), "counts": 9},
    ]


def test_an_output_without_dates_has_no_date(tmp_path: Path) -> None:
    published(tmp_path, "run1", None, rows(RECORDS, "a", 2))
    assert read_output(tmp_path).to_pydict() == {"device": ["a0", "a1"], "n": [0, 1]}


def test_columns_that_are_folders_come_back_in_their_place_and_type(tmp_path: Path) -> None:
    schema = pa.schema(
        [("n", pa.int64()), pa.field("tenant", pa.string(), metadata={"about": "who"}), ("code", pa.int32())]
    )
    batch = pa.record_batch([[1, 2, 3], ["a/b", None, "007"], [7, None, 7]], schema=schema)
    published(tmp_path, "run1", "2026-11-24", batch, partition_by=["tenant", "code"])
    table = read_output(tmp_path).drop_columns("date")
    assert table.schema.equals(schema, check_metadata=True)
    assert sorted(table.to_pylist(), key=lambda row: row["n"]) == batch.to_pylist()


def test_an_empty_output_keeps_its_columns(tmp_path: Path) -> None:
    published(tmp_path, "run1", "2026-11-24", rows(RECORDS, "a", 0))
    table = read_output(tmp_path)
    assert (table.num_rows, table.schema.names) == (0, ["device", "n", "date"])


def test_a_column_that_came_later_is_null_before(tmp_path: Path) -> None:
    published(tmp_path, "run1", "2026-11-23", rows(RECORDS, "a", 1))
    published(tmp_path, "run2", "2026-11-24", rows(RECORDS, "b", 1).append_column("more", pa.array(["x"])))
    assert read_output(tmp_path)["more"].to_pylist() == [None, "x"]


def test_a_column_of_two_types_is_refused_without_a_value(tmp_path: Path) -> None:
    published(tmp_path, "run1", "2026-11-23", rows(RECORDS, "a", 1))
    published(tmp_path, "run2", "2026-11-24", rows(RECORDS, "b", 1).set_column(1, "n", pa.array(["SECRET"])))
    with pytest.raises(OutputError) as caught:
        read_output(tmp_path)
    assert caught.value.__context__ is None
    assert "SECRET" not in str(caught.value)


def keyed(version: str, nested: bool) -> pa.RecordBatch:
    field = pa.field("device", pa.string(), metadata={"minimize:key": version})
    if nested:
        return pa.record_batch(
            [pa.array([{"device": "x"}], pa.struct([field]))], schema=pa.schema([("d", pa.struct([field]))])
        )
    return pa.record_batch([pa.array(["x"])], schema=pa.schema([field]))


@pytest.mark.parametrize("nested", [False, True])
def test_two_key_versions_do_not_mix_unless_asked(tmp_path: Path, nested: bool) -> None:
    published(tmp_path, "run1", "2026-11-23", keyed("device/1", nested))
    published(tmp_path, "run2", "2026-11-24", keyed("device/2", nested))
    with pytest.raises(OutputError, match="d/device" if nested else "device") as caught:
        read_output(tmp_path)
    assert "mixed_keys" in caught.value.hint
    assert read_output(tmp_path, mixed_keys=True).num_rows == 2
    assert read_output(tmp_path, dates="2026-11-24").num_rows == 1


def test_a_name_that_is_not_there_brings_the_nearest_one(folder: Path) -> None:
    with pytest.raises(OutputError) as caught:
        files_in_force(folder, "recrods")
    assert "records" in caught.value.hint


def test_no_output_is_missed_with_a_hint(tmp_path: Path) -> None:
    for ask in (file_paths, read_output, load_receipts):
        with pytest.raises(OutputError) as caught:
            ask(tmp_path)
        assert caught.value.hint


def test_dates_without_rows_are_missed(folder: Path) -> None:
    with pytest.raises(OutputError):
        read_output(folder, dates="2030-01-01")


def test_a_file_that_is_gone_or_damaged_is_said_so(folder: Path) -> None:
    path = Path(file_paths(folder)[0])
    for content in (None, b"no parquet"):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(OutputError) as caught:
            read_output(folder)
        assert caught.value.__context__ is None
        path.touch()


def test_a_damaged_page_is_said_so(tmp_path: Path) -> None:
    published(tmp_path, "run1", None, rows(RECORDS, "a", 1000))
    [path] = file_paths(tmp_path)
    content = bytearray(Path(path).read_bytes())
    content[4:200] = bytes(196)
    Path(path).write_bytes(content)
    with pytest.raises(OutputError) as caught:
        read_output(tmp_path)
    assert caught.value.__context__ is None


def test_reading_finishes_what_a_dead_process_began(tmp_path: Path) -> None:
    old(tmp_path)
    assert dies_at("swap.after", new, tmp_path)
    assert read_output(tmp_path).num_rows == 2 + 9 + 9


def test_reading_waits_for_a_publication_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WAITS", 3)
    old(tmp_path)
    assert dies_at("swap.after", new, tmp_path)
    with (tmp_path / "runs/.lock").open("a") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OutputError):
            file_paths(tmp_path)
