from __future__ import annotations

import json
from pathlib import Path

import pytest

from minimize.errors import ConfigurationError, OutputError
from minimize.interop.documents import ExportRequest
from minimize.interop.openlineage import write_openlineage
from tests.cli.conftest import _project
from tests.observability.spec import faults
from tests.project import AT, Project, events

__all__ = ["_project"]


@pytest.fixture(name="done")
def _done(project: Project) -> Project:
    project.records([*events(40), "broken"])
    project.run(at=AT)
    project.records(events(60))
    project.run(at=AT)
    return project


def test_events_from_receipts_equal_those_of_the_runs(done: Project) -> None:
    told = [json.loads(line) for line in (done.folder / "_out.lineage.ndjson").read_text().splitlines()]
    again = [json.loads(line) for line in write_openlineage(ExportRequest(str(done.out))).splitlines()]
    assert [event["eventType"] for event in again] == ["START", "COMPLETE", "START", "COMPLETE"]
    assert again == told


def test_they_obey_the_specification(done: Project) -> None:
    assert [faults(json.loads(line)) for line in write_openlineage(ExportRequest(str(done.out))).splitlines()] == [
        []
    ] * 4


def test_a_policy_that_does_not_match_its_receipt_is_refused(done: Project) -> None:
    path = next((done.out / "runs").glob("*/policy.yaml"))
    path.write_text(path.read_text() + "# changed\n")
    with pytest.raises(OutputError, match="does not match its receipt"):
        write_openlineage(ExportRequest(str(done.out)))


def test_a_moved_output_requires_the_path_of_its_pipeline(done: Project) -> None:
    moved = done.folder / "elsewhere" / "out"
    moved.parent.mkdir()
    done.out.rename(moved)
    pipeline = done.folder / "pipeline.yaml"
    pipeline.rename(done.folder / "other.yaml")
    with pytest.raises(ConfigurationError, match="not known"):
        write_openlineage(ExportRequest(str(moved)))
    assert write_openlineage(ExportRequest(str(moved), pipeline=str(done.folder / "other.yaml")))


def test_a_folder_that_is_no_output_has_no_lineage(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not an output folder"):
        write_openlineage(ExportRequest(str(tmp_path)))
