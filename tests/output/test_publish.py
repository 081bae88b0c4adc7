"""An output folder from the first run on: what stands, what is refused, and what other engines read."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import OutputError, SchemaError
from minimize.output.folder import list_data_files, read_receipts
from minimize.output.publish import open_output
from minimize.records import FileRef, Reject
from tests.sources.publishing import (
    FLEET,
    RECORDS,
    check_whole,
    making,
    new,
    old,
    receipt_for,
    recovered,
    rows,
    snapshot,
)

PARTITIONED = pa.schema([("tenant_id", pa.string()), ("n", pa.int64())])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    old(tmp_path / "out")
    return tmp_path / "out"


def test_a_run_leaves_files_success_marks_receipt_and_attachments(folder: Path) -> None:
    check_whole(folder)
    assert sorted(snapshot(folder)) == [
        "fleet/date=2026-11-24/run1-0.parquet",
        "quarantine/date=2026-11-24/run1.parquet",
        "records/date=2026-11-23/run1-0.parquet",
        "records/date=2026-11-24/run1-0.parquet",
        "runs/run1/policy.yaml",
        "runs/run1/receipt.json",
    ]


def test_a_run_replaces_its_own_dates_only(folder: Path) -> None:
    new(folder)
    check_whole(folder)
    assert [path for path in sorted(snapshot(folder)) if not path.startswith("runs/")] == [
        "fleet/date=2026-11-24/run2-0.parquet",
        "records/date=2026-11-23/run1-0.parquet",
        "records/date=2026-11-24/run2-0.parquet",
        "records/date=2026-11-25/run2-0.parquet",
    ]


def test_a_date_without_rejects_loses_its_quarantine(folder: Path) -> None:
    new(folder)
    assert not (folder / "quarantine/date=2026-11-24").exists()


def test_an_undated_output_is_replaced_whole(tmp_path: Path) -> None:
    for run in ("run1", "run2"):
        with open_output(tmp_path / "out") as output:
            made = making(output, run)
            made.put("records", None, RECORDS, rows(RECORDS, run, 2))
            made.reject(None, Reject(1, "byte", None, "malformed"))
            made.publish()
        check_whole(tmp_path / "out")
        assert list_data_files(tmp_path / "out/records") == (f"{run}-0.parquet",)
        assert list_data_files(tmp_path / "out/quarantine") == (f"{run}.parquet",)


def test_parts_of_one_partition_are_separate_files(tmp_path: Path) -> None:
    with open_output(tmp_path) as output:
        made = making(output, "run1")
        for part in range(3):
            made.put("records", "2026-11-24", RECORDS, rows(RECORDS, "a", part), part=part, empty=part == 0)
        made.publish()
    check_whole(tmp_path)
    assert [*list_data_files(tmp_path / "records/date=2026-11-24")] == [f"run1-{part}.parquet" for part in range(3)]


def test_leaving_the_block_without_publishing_undoes_everything(folder: Path) -> None:
    before = snapshot(folder)
    with open_output(folder) as output, output.begin("run2") as staging:
        staging.sink("records", "2026-11-24", RECORDS).write(rows(RECORDS, "new", 3))
    assert snapshot(folder) == before
    assert not (folder / "runs/run2").exists()


def test_an_error_in_the_block_undoes_everything(folder: Path) -> None:
    before = snapshot(folder)
    with pytest.raises(SchemaError), open_output(folder) as output, output.begin("run2") as staging:
        staging.sink("records", "2026-11-24", RECORDS).write(rows(FLEET, "new", 3))
    assert snapshot(folder) == before


def test_only_one_process_at_a_time_writes(folder: Path) -> None:
    with open_output(folder), pytest.raises(OutputError, match="another process") as caught, open_output(folder):
        pass
    assert caught.value.hint
    recovered(folder)


def test_the_receipts_are_read_once_until_something_is_published(folder: Path) -> None:
    expected, reads = read_receipts(folder), list[str]()
    with at_checkpoint("receipts.read", reads.append), open_output(folder) as output:
        assert [output.receipts() for _ in range(3)] == [expected] * 3
        making(output, "run2").publish()
        assert [each.run_id for each in output.receipts()] == ["run1", "run2"]
    assert len(reads) == 2


@pytest.mark.parametrize("name", ["run1-0", "run1"])
def test_a_file_that_a_run_wrote_is_known_by_its_name(folder: Path, name: str) -> None:
    (folder / f"records/date=2026-11-24/{name}.parquet").write_bytes(b"")
    with open_output(folder) as output, output.begin("run2") as staging:
        staging.reserve_partition("records", "2026-11-24")


@pytest.mark.parametrize("name", ["run10-0", "run-1", "-run1", "1"])
def test_a_file_whose_name_only_resembles_that_of_a_run_is_foreign(folder: Path, name: str) -> None:
    (folder / f"records/date=2026-11-24/{name}.parquet").write_bytes(b"")
    with (
        open_output(folder) as output,
        output.begin("run2") as staging,
        pytest.raises(OutputError, match="no run wrote"),
    ):
        staging.reserve_partition("records", "2026-11-24")


def test_a_run_id_is_used_once(folder: Path) -> None:
    with open_output(folder) as output:
        for run_id in ("run1", "", "../x", "a/b", ".lock", "a b"):
            with pytest.raises(OutputError):
                output.begin(run_id)


def test_names_that_are_no_outputs_are_refused(tmp_path: Path) -> None:
    with open_output(tmp_path) as output, output.begin("run1") as staging:
        for name, date in (("runs", None), ("../x", None), ("a/b", None), ("records", "24.11.2026"), ("", None)):
            with pytest.raises(OutputError):
                staging.reserve_partition(name, date)


def test_output_and_source_lie_apart(tmp_path: Path) -> None:
    for out, source in (("data/out", "data"), ("data", "data"), ("out", "out/records")):
        with pytest.raises(OutputError), open_output(tmp_path / out, source=tmp_path / source):
            pass
    with open_output(tmp_path / "out", source=tmp_path / "data"):
        pass


def test_an_output_that_must_be_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(OutputError), open_output(tmp_path / "none", create=False):
        pass
    assert not (tmp_path / "none").exists()


def test_a_file_is_no_output_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError), open_output(tmp_path / "out"):
        pass


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/runs").symlink_to("/proc/self/nothing")
    with pytest.raises(OutputError, match="cannot write to the output folder") as caught, open_output(tmp_path / "out"):
        pass
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "stranger",
    ["notes.txt", "date=2026-11-24/part-0.parquet", "date=2026-11-24/run1.json", "date=2026-11-24/run10-0.parquet"],
)
def test_data_that_no_run_wrote_is_not_overwritten(folder: Path, stranger: str) -> None:
    path = folder / "records" / stranger
    path.write_text("precious")
    with open_output(folder) as output, output.begin("run2") as staging, pytest.raises(OutputError) as caught:
        staging.reserve_partition("records", "2026-11-24")
    assert path.read_text() == "precious"
    assert caught.value.hint


def test_dated_data_is_refused_next_to_undated_data(tmp_path: Path) -> None:
    with open_output(tmp_path) as output:
        made = making(output, "run1")
        made.put("records", None, RECORDS)
        made.publish()
        with output.begin("run2") as staging, pytest.raises(OutputError):
            staging.reserve_partition("records", "2026-11-24")


def test_a_new_folder_is_its_owners_alone_and_what_is_in_it_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        old(tmp_path / "out")
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("out", "out/records", "out/runs/run1")}
    assert modes == {"out": 0o700, "out/records": 0o755, "out/runs/run1": 0o755}


@pytest.mark.parametrize("name", ["receipt.json", "intent.json", "staging/x", "../x", "/etc/x", ""])
def test_attachments_do_not_take_the_place_of_others(folder: Path, name: str) -> None:
    before = snapshot(folder)
    with open_output(folder) as output:
        made = making(output, "run2")
        made.put("records", "2026-11-24", RECORDS)
        with made.staging, pytest.raises(OutputError):
            made.publish({name: b""})
    assert snapshot(folder) == before


def test_a_receipt_must_list_what_was_staged_and_what_it_replaces(folder: Path) -> None:
    with open_output(folder) as output, output.begin("run2") as staging:
        sink = staging.sink("records", "2026-11-24", RECORDS)
        written = {"records": tuple(sink.close())}
        right = receipt_for(output, "run2", written, staging.current_files())
        wrong = [
            receipt_for(output, "run2", {}, staging.current_files()),
            receipt_for(output, "run2", written),
            replace(right, sequence=3),
            replace(right, previous=None),
            replace(right, run_id="run3"),
            replace(right, removes=(FileRef("records/date=2026-11-23/run1-0.parquet", "sha256:0"),)),
        ]
        for receipt in wrong:
            with pytest.raises(OutputError):
                staging.publish(receipt)
        staging.publish(right)
    check_whole(folder)
    assert [receipt.run_id for receipt in read_receipts(folder)] == ["run1", "run2"]


def test_files_that_an_intent_needs_and_that_are_gone_stop_the_next_command(folder: Path) -> None:
    from tests.sources.publishing import dies_at

    assert dies_at("intent.after", new, folder)
    next((folder / "runs/run2/staging/records").rglob("*.parquet")).unlink()
    with pytest.raises(OutputError):
        recovered(folder)


def test_an_intent_that_cannot_be_read_stops_the_next_command(folder: Path) -> None:
    (folder / "runs/run2").mkdir()
    (folder / "runs/run2/intent.json").write_text("{}")
    with pytest.raises(OutputError):
        recovered(folder)


def partitioned(folder: Path) -> None:
    with open_output(folder) as output:
        made = making(output, "run1")
        for day in ("2026-11-23", "2026-11-24"):
            batch = pa.record_batch([["a b", "007x", "a b"], [1, 2, 3]], schema=PARTITIONED)
            made.put("records", day, PARTITIONED, batch, partition_by=["tenant_id"])
        made.put("fleet", "2026-11-24", FLEET, rows(FLEET, "v", 1))
        made.publish()


@pytest.mark.parametrize("make", [new, partitioned], ids=["by date", "by date and tenant"])
def test_pandas_duckdb_and_polars_read_it_as_a_plain_dataset(tmp_path: Path, make: object) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    if make is new:
        old(tmp_path)
        new(tmp_path)
    else:
        partitioned(tmp_path)
    count = 2 + 9 + 9 if make is new else 6
    root = tmp_path / "records"
    found = pd.read_parquet(root)
    assert len(found) == count
    assert "date" in found.columns
    assert pl.read_parquet(root).height == pl.scan_parquet(root).collect().height == count
    relation = duckdb.read_parquet(f"{root}/**/*.parquet", hive_partitioning=True)
    assert len(relation.fetchall()) == count
    assert len(relation.unique("date").fetchall()) == len({*root.glob("date=*")})
    if make is partitioned:
        assert {*pl.read_parquet(root)["tenant_id"]} == {*found["tenant_id"]} == {"a b", "007x"}


def test_data_folders_hold_only_data_files_and_success_markers(folder: Path) -> None:
    new(folder)
    for root in ("records", "fleet"):
        files = [path for path in (folder / root).rglob("*") if path.is_file()]
        assert {path.name for path in files if path.suffix != ".parquet"} == {"_SUCCESS"}
