"""Everything that is held of somebody, as files."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import ConfigurationError, OutputError
from minimize.governance.subjects import DataSubject, SubjectExport, view_subjects, write_exports
from minimize.workspace import Workspace as Places
from tests.project import AT, BEFORE, Builds, Project, events

RECORDS = events(120)
OF_D3 = sum(each["device_id"] == "d3" for each in RECORDS)


def exported(project: Project, *subjects: DataSubject, **options: Any) -> tuple[SubjectExport, ...]:
    places = Places(keys=project.keys, ledger=project.out / "ledger.db")
    return write_exports(
        view_subjects(subjects or [DataSubject("d3")], places, AT), project.folder / "export", places, **options
    )


def published(project: Project) -> None:
    project.records(RECORDS)
    project.records(RECORDS, BEFORE)
    project.run()


@pytest.fixture(name="folder")
def _folder(builds: Builds, project: Project) -> Path:
    builds.fill(project, published)
    return project.folder / "export"


def test_records_come_as_json_csv_and_parquet(project: Project, folder: Path) -> None:
    (done,) = exported(project)
    assert done.rows == 2 * OF_D3
    with (folder / "1-checkins.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * OF_D3
    assert len((folder / "1-checkins.ndjson").read_text().splitlines()) == 2 * OF_D3
    assert pl.read_parquet(folder / "1-checkins.parquet").height == 2 * OF_D3
    assert duckdb.read_parquet(str(folder / "1-checkins.parquet")).shape[0] == 2 * OF_D3


def test_only_the_formats_that_are_asked_for_are_written(project: Project, folder: Path) -> None:
    (done,) = exported(project, formats=["csv"])
    assert {each for each in done.files if each[0] == "1"} == {"1-checkins.csv"}
    with pytest.raises(ConfigurationError, match="unknown format xml"):
        exported(project, formats=["xml"])


def test_killed_in_mid_export_nothing_has_its_name_and_the_next_export_leaves_no_trace(
    project: Project, folder: Path
) -> None:
    def dies() -> None:
        with at_checkpoint("file.hashed", lambda _, content: isinstance(content, bytes) and os._exit(137)):
            exported(project)

    process = multiprocessing.get_context("fork").Process(target=dies)
    process.start()
    process.join()
    assert process.exitcode == 137
    assert not folder.exists()
    assert len([*folder.parent.glob(".export-*")]) == 1
    (done,) = exported(project)
    assert done.folder == folder
    assert [*folder.parent.glob(".export-*")] == []


def test_an_export_that_fails_leaves_nothing(project: Project, folder: Path) -> None:
    def fails(_: str, content: object) -> None:
        if isinstance(content, bytes):  # the first text is written
            raise OSError("no room")

    with at_checkpoint("file.hashed", fails), pytest.raises(OutputError, match="was not created"):
        exported(project)
    assert not folder.exists()
    assert [*folder.parent.glob(".export-*")] == []


def test_everything_is_its_owners_alone(project: Project, folder: Path) -> None:
    exported(project)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_redacted_fields_are_in_no_exported_file(project: Project, folder: Path) -> None:
    exported(project, redact=["model"])
    assert b"model" not in (folder / "1-checkins.csv").read_bytes()
    assert "model" not in pl.read_parquet(folder / "1-checkins.parquet").columns
    body = json.loads((folder / "view.json").read_text())
    assert body["redacted"] == ["model"]
    assert all("model" not in each["fields"] for each in body["held"])


def test_several_subjects_have_a_folder_each(project: Project, folder: Path) -> None:
    first, second = exported(project, DataSubject("d3"), DataSubject("d4"))
    assert (first.folder, second.folder) == (folder / "1", folder / "2")
    assert second.rows == 2 * sum(each["device_id"] == "d4" for each in RECORDS)


def test_an_export_is_never_written_over_another(project: Project, folder: Path) -> None:
    exported(project)
    with pytest.raises(OutputError, match="already exists"):
        exported(project)


def test_entries_of_the_log_in_which_the_subject_acts_go_along(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "d3")
    project.run()
    (done,) = exported(project)
    lines = [json.loads(line) for line in (folder / "audit.ndjson").read_text().splitlines()]
    assert len(lines) == done.audit_entries > 0
    assert {line["event"]["actor"]["user"] for line in lines} == {"d3"}


def test_nested_columns_are_json_text_in_csv(project: Project) -> None:
    project.policy({"/apps/*/name": {"type": "string", "do": "keep"}})
    project.records({**each, "apps": [{"name": "a"}, {"name": "b"}]} for each in RECORDS)
    project.run()
    exported(project)
    with (project.folder / "export" / "1-checkins.csv").open(newline="") as file:
        assert json.loads(next(csv.DictReader(file))["apps"]) == [{"name": "a"}, {"name": "b"}]
