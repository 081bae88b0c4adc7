"""Reading an output folder: the set in force, by name and date, with the columns that were written.
Without a lease nobody writes into a bucket; with one that is lost nothing is published.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from minimize.datasets import reader as reading
from minimize.datasets.reader import Dates, file_paths, files_in_force, load_receipts, read_output, recover_bucket
from minimize.errors import LedgerError, OutputError
from minimize.output.folder import ensure_identity, identity_of
from minimize.output.publish import open_output
from minimize.stores import ObjectPath
from tests.buckets import Bucket
from tests.sources.publishing import RECORDS, dies_at, making, new, old, rows


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


def test_a_missing_or_damaged_file_is_reported(folder: Path) -> None:
    path = Path(file_paths(folder)[0])
    for content in (None, b"no parquet"):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(OutputError) as caught:
            read_output(folder)
        assert caught.value.__context__ is None
        path.touch()


def test_a_damaged_page_is_reported(tmp_path: Path) -> None:
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


RUN = "20261125T000000Z-000000000000"


@pytest.fixture(name="out")
def _out(bucket: Bucket) -> ObjectPath:
    return bucket.at("out")


def test_a_bucket_without_a_lease_is_refused(bucket: Bucket, out: ObjectPath) -> None:
    with pytest.raises(OutputError, match="needs a ledger outside the bucket") as caught, open_output(out):
        pass
    assert "ledger" in caught.value.hint
    assert bucket.keys() == []


def test_a_run_that_lets_go_leaves_nothing(bucket: Bucket, out: ObjectPath) -> None:
    with open_output(out, lease=lambda: None) as output, output.begin(RUN) as staging:
        sink = staging.sink("records", None, pa.schema([("n", pa.int64())]))
        sink.write(pa.record_batch({"n": [1, 2]}))
        sink.close()
        assert bucket.keys("out/runs/")
    assert bucket.keys() == []


def test_a_run_that_fails_amid_a_file_leaves_nothing(bucket: Bucket, out: ObjectPath) -> None:
    def fails() -> None:
        with open_output(out, lease=lambda: None) as output, output.begin(RUN) as staging:
            staging.sink("records", None, pa.schema([("n", pa.int64())])).write(pa.record_batch({"n": [1, 2]}))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fails()
    assert bucket.keys() == []


def test_a_lease_that_is_lost_is_noticed_before_anything_is_begun(bucket: Bucket, out: ObjectPath) -> None:
    def lost() -> None:
        raise LedgerError("the lease on the output was lost")

    with pytest.raises(LedgerError), open_output(out, lease=lost):
        pass
    assert bucket.keys() == []


def test_where_nothing_was_begun_there_is_nothing_to_settle(
    bucket: Bucket, out: ObjectPath, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MINIMIZE_LEDGER")
    monkeypatch.chdir(tmp_path)
    recover_bucket(out)
    assert bucket.keys() == []


def test_all_who_come_first_give_a_bucket_the_same_identity(bucket: Bucket, out: ObjectPath) -> None:
    first = ensure_identity(out)
    bucket.remove("out/runs/.id")
    assert ensure_identity(out) == first
    assert ensure_identity(bucket.at("other")) != first


def test_an_identity_stays_with_what_was_copied(bucket: Bucket, out: ObjectPath) -> None:
    bucket.put("out/runs/.id", b"0123456789abcdef0123456789abcdef\n")
    assert ensure_identity(out) == identity_of(out) == "0123456789abcdef0123456789abcdef"
    assert ensure_identity(out, other_than="0123456789abcdef0123456789abcdef") != "0123456789abcdef0123456789abcdef"
