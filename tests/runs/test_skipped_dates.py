"""Dates that a run leaves alone: unreadable files, sources that are gone, and the exit code of several dates."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import minimize
from minimize.datasets.reader import load_receipts
from minimize.errors import SourceError
from minimize.runs.batch_dates import worst_exit_code
from tests.commands import Result, command
from tests.project import AT, BEFORE, DAY, Project, events, table

WHEN = f"{AT:%Y-%m-%dT%H:%M:%SZ}"


def ran(project: Project, *more: object) -> Result:
    return command("run", project.folder, "--at", WHEN, "--output", project.out, "--keys", project.keys, *more)


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


@pytest.fixture(name="broken")
def _broken(project: Project) -> Project:
    """Two new dates; a file of the later one is truncated."""
    project.pipeline(aggregates=None)
    project.records(events(40), day=BEFORE)
    truncated(project.records(events(400, 100)))
    return project


def test_a_truncated_file_leaves_its_own_date_alone_and_pending_runs_the_others(broken: Project) -> None:
    done = ran(broken, "--pending", "--json")
    assert done.code == 1
    assert (done.json["dates"], done.json["skipped"]) == ([BEFORE], {DAY: "unreadable"})
    assert len(broken.rows()) == 40
    minimize.verify(broken.out, keys=broken.keys)


def test_the_failure_names_date_file_and_what_to_do(broken: Project) -> None:
    done = ran(broken, "--pending", "--json")
    (failure,) = done.json["failures"]
    assert (failure["date"], failure["reason"], failure["code"]) == (DAY, "unreadable", "E203")
    assert failure["file"] == f"{DAY}/a.ndjson.gz"
    assert failure["hint"] == "Fetch the file again."
    assert f"skipped {DAY}: {DAY}/a.ndjson.gz is damaged" in done.err


def test_the_receipt_that_is_published_is_signed_without_the_failures(broken: Project) -> None:
    ran(broken, "--pending", "--json")
    (receipt,) = load_receipts(broken.out)
    assert "failures" not in receipt.to_json()
    assert receipt.skipped == {DAY: "unreadable"}


def test_a_truncated_file_of_several_dates_exits_2_and_the_others_are_published(broken: Project) -> None:
    done = ran(broken, "--json")
    assert (done.code, done.json["dates"]) == (2, [BEFORE])


def test_a_truncated_file_of_the_date_that_was_asked_exits_2(broken: Project) -> None:
    done = ran(broken, "--date", DAY, "--json")
    assert (done.code, done.out) == (2, "")
    assert f"{DAY}: {DAY}/a.ndjson.gz is damaged" in done.err
    assert not broken.files()


def test_where_every_pending_date_is_unreadable_nothing_is_published_and_it_exits_1(broken: Project) -> None:
    ran(broken, "--pending")
    done = ran(broken, "--pending", "--json")
    assert (done.code, done.json["sequence"], done.json["skipped"]) == (1, 0, {DAY: "unreadable"})
    assert len(load_receipts(broken.out)) == 1


def test_where_every_date_is_unreadable_the_error_names_each(broken: Project) -> None:
    truncated(broken.folder / "data" / BEFORE / "a.ndjson.gz")
    with pytest.raises(SourceError) as caught:
        broken.run()
    assert [finding.file for finding in caught.value.findings] == [f"{day}/a.ndjson.gz" for day in (BEFORE, DAY)]


def test_the_one_batch_of_a_source_without_dates_is_named_by_its_file(project: Project) -> None:
    project.pipeline(aggregates=None, source={"path": "data/**", "format": "ndjson"})
    truncated(project.records(events(400)))
    with pytest.raises(SourceError) as caught:
        project.run()
    assert caught.value.message.startswith(f"{DAY}/a.ndjson.gz is damaged")


def test_a_compressed_file_of_no_bytes_leaves_its_own_date_alone(project: Project) -> None:
    """An upload that was cut off at its start; nothing that is compressed has some bytes."""
    project.pipeline(aggregates=None)
    project.records(events(40), day=BEFORE)
    path = project.records(events(40, 100))
    path.write_bytes(b"")
    done = ran(project, "--pending", "--json")
    assert (done.code, done.json["dates"], done.json["skipped"]) == (1, [BEFORE], {DAY: "unreadable"})
    assert ran(project, "--date", DAY).code == 2
    path.write_bytes(gzip.compress(b""))
    assert ran(project, "--pending", "--json").json["dates"] == [DAY]


def test_once_the_file_is_whole_its_date_is_run(broken: Project) -> None:
    ran(broken, "--pending")
    broken.records(events(30, 100))
    assert ran(broken, "--pending", "--json").json["dates"] == [DAY]


def test_a_parquet_file_without_its_end_leaves_its_own_date_alone(project: Project) -> None:
    project.source("parquet", aggregates=None)
    project.columns(table(events(20)), day=BEFORE)
    truncated(project.columns(table(events(20, 100))))
    done = ran(project, "--pending", "--json")
    assert (done.code, done.json["dates"], done.json["skipped"]) == (1, [BEFORE], {DAY: "unreadable"})


def test_a_parquet_file_with_a_damaged_page_leaves_its_own_date_alone(project: Project) -> None:
    project.source("parquet", aggregates=None)
    project.columns(table(events(20)), day=BEFORE)
    path = project.columns(table(events(3000, 100)), compression="zstd")
    content = bytearray(path.read_bytes())
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(2)
    first = chunk.dictionary_page_offset or chunk.data_page_offset
    content[first + 10 : first + 200] = b"\xff" * 190
    path.write_bytes(bytes(content))
    done = ran(project, "--pending", "--json")
    assert (done.code, done.json["dates"], done.json["skipped"]) == (1, [BEFORE], {DAY: "unreadable"})


def test_an_event_day_whose_window_holds_an_unreadable_batch_is_not_published(project: Project) -> None:
    late = {"group_by": {"day": {"event_time": "day"}}, "measures": {"events": "count"}, "late": "1d"}
    project.policy({"event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "day"}}}})
    project.pipeline(aggregates={"daily": {**late, "suppress": {"below": 2, "counting": "device_id"}}})
    project.records(events(40), day=BEFORE)
    project.run(pending=True)
    truncated(project.records(events(400, 100)))
    project.records(events(40, 900), day="2026-11-25")
    receipt = project.run(pending=True)
    assert receipt.dates == ("2026-11-25",)
    assert (receipt.outputs["daily"].unpublished or {})[DAY] == f"{DAY}: unreadable"


def test_a_date_that_was_asked_for_and_has_no_files_exits_1(project: Project) -> None:
    (project.folder / "data").mkdir()
    done = ran(project, "--date", DAY)
    assert done.code == 1
    assert f"no file of {DAY} matches data/{{date}}/*.ndjson.gz" in done.err
    assert "Check that the files have arrived" in done.err
    assert [each["reason"] for each in ran(project, "--date", DAY, "--json").json["failures"]] == ["no_files"]


def test_pending_exits_1_once_all_files_of_a_published_date_are_gone(project: Project) -> None:
    for day in (BEFORE, DAY):
        project.records(events(20), day=day)
    ran(project)
    (project.folder / "data" / DAY / "a.ndjson.gz").unlink()
    done = ran(project, "--pending", "--json")
    assert (done.code, done.json["sequence"], done.json["skipped"]) == (1, 0, {DAY: "gone"})
    assert f"skipped {DAY}: all of its files are missing since its last run" in done.err
    assert ran(project, "--pending", "--until", BEFORE).code == 0


def test_pending_exits_1_once_the_folder_of_the_source_is_gone(project: Project) -> None:
    project.records(events(20))
    ran(project)
    shutil.rmtree(project.folder / "data")
    done = ran(project, "--pending", "--json")
    assert (done.code, done.json["skipped"]) == (1, {"": "no_source"})
    assert "the folder of the source does not exist: data/{date}/*.ndjson.gz" in done.err
    assert ran(project).code == 1


@pytest.mark.parametrize("words", [(), ("--pending",), ("--date", DAY)])
@pytest.mark.parametrize(("state", "told"), [("missing", "does not exist"), ("a file", "is a file")])
def test_a_first_run_without_the_folder_of_the_source_is_no_night_without_files(
    project: Project, words: tuple[str, ...], state: str, told: str
) -> None:
    if state == "a file":
        (project.folder / "data").write_text("x")
    done = ran(project, *words)
    assert (done.code, f"the folder of the source {told}" in done.err) == (1, True)


def test_a_source_from_which_an_output_was_made_is_not_empty(project: Project) -> None:
    """An unmounted folder is empty. Before the first run, an empty folder is a night without files."""
    (project.folder / "data").mkdir()
    assert ran(project).code == 0
    project.records(events(20))
    ran(project)
    shutil.rmtree(project.folder / "data")
    (project.folder / "data").mkdir()
    done = ran(project)
    assert (done.code, "has no files, but this output was made from it" in done.err) == (1, True)


def test_a_published_date_without_rows_may_lose_its_files(project: Project) -> None:
    project.pipeline(aggregates=None)
    path = project.records([])
    ran(project)
    path.unlink()
    assert ran(project, "--pending").code == 0


@pytest.mark.parametrize(("codes", "first"), [((4, 1), 1), ((1, 3, 4), 3), ((3, 2, 1, 4), 2), ((0, 4), 4), ((), 0)])
def test_of_several_dates_the_exit_code_is_the_first_of_2_3_1_4(codes: tuple[int, ...], first: int) -> None:
    assert worst_exit_code(codes) == first
