"""Export first, then delete."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import time_machine

from minimize.checkpoints import at_checkpoint
from minimize.errors import OutputError
from minimize.governance.subjects import DataSubject, export_then_delete, view_subjects
from minimize.workspace import Workspace as Places
from tests.commands import command
from tests.governance.outputs import published
from tests.project import Builds, Project, events

RECORDS = events(60)
D3 = DataSubject("d3", "north")
OF_D3 = sum((each["device_id"], each["tenant_id"]) == ("d3", "north") for each in RECORDS)


@pytest.fixture(name="places")
def _places(builds: Builds, project: Project) -> Places:
    builds.fill(project, published)
    return Places(project.out / "ledger.db", keys=project.keys)


def test_exported_records_are_deleted_afterwards(project: Project, places: Places) -> None:
    done = export_then_delete([D3], project.folder / "export", places, datetime.now(UTC), yes=True)
    assert done.deletion.rows == OF_D3
    assert pl.read_parquet(project.folder / "export/1-checkins.parquet").height == OF_D3
    assert view_subjects([D3], places, datetime.now(UTC))[0].rows == 0


def test_records_that_cannot_be_exported_are_not_deleted(project: Project, places: Places) -> None:
    (project.folder / "export").mkdir()
    with pytest.raises(OutputError):
        export_then_delete([D3], project.folder / "export", places, datetime.now(UTC), yes=True)
    assert view_subjects([D3], places, datetime.now(UTC))[0].rows == OF_D3


def test_a_record_of_the_future_is_exported_and_deleted(project: Project) -> None:
    project.policy(future="52w")
    project.pipeline(aggregates=None)
    future = f"{datetime.now(UTC) + timedelta(days=100):%Y-%m-%dT%H:%M:%SZ}"
    project.records([*RECORDS, {**RECORDS[0], "device_id": "d3", "tenant_id": "north", "event_time": future}])
    project.run(at=None, output=None)
    places = Places(project.out / "ledger.db", keys=project.keys)
    done = export_then_delete([D3], project.folder / "export", places, datetime.now(UTC), yes=True)
    assert done.deletion.rows == OF_D3 + 1
    assert pl.read_parquet(project.folder / "export/1-checkins.parquet").height == OF_D3 + 1
    assert view_subjects([D3], places, datetime.now(UTC))[0].rows == 0


def test_a_deletion_that_is_refused_exports_nothing(project: Project, places: Places) -> None:
    words = (
        "subject",
        "export",
        "d3",
        "--tenant",
        "north",
        "--to",
        project.folder / "export",
        "--then-delete",
        "--yes",
    )
    where = ("--output", project.out, "--keys", project.keys)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=30)):
        refused = command(*words, *where)
    assert (refused.code, "E304" in refused.err, (project.folder / "export").exists()) == (3, True, False)
    assert command(*words, *where).code == 0
    assert (project.folder / "export/view.json").exists()


@pytest.mark.parametrize("records", [None, str(OF_D3)])
def test_the_deletion_is_planned_once(project: Project, places: Places, records: str | None) -> None:
    planned: Counter[str] = Counter()
    files = project.files()
    words = (
        "subject",
        "export",
        "d3",
        "--tenant",
        "north",
        "--to",
        project.folder / "export",
        "--then-delete",
        "--yes",
    )
    confirmed = () if records is None else ("--records", records)
    with at_checkpoint("removal.planned", lambda _, path: planned.update([path])):
        assert command(*words, *confirmed, "--output", project.out, "--keys", project.keys).code == 0
    assert project.files() != files
    assert set(planned.values()) == {1}


def test_another_number_of_records_exports_and_deletes_nothing(project: Project, places: Places) -> None:
    words = (
        "subject",
        "export",
        "d3",
        "--tenant",
        "north",
        "--to",
        project.folder / "export",
        "--then-delete",
        "--yes",
    )
    where = ("--output", project.out, "--keys", project.keys)
    refused = command(*words, "--records", OF_D3 + 1, *where)
    assert (refused.code, "E325" in refused.err, (project.folder / "export").exists()) == (3, True, False)
    assert view_subjects([D3], places, datetime.now(UTC))[0].rows == OF_D3
