"""Columns that a dataset does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.governance.access.explain import unknown_columns
from minimize.governance.workspace import Workspace as Places
from tests.project import Builds, Project, enter, events, new_project


def run_once(project: Project) -> None:
    project.records(events(40))
    project.run()


@pytest.fixture(name="project")
def _project(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    return builds.fill(new_project(tmp_path), run_once)


def test_the_pipeline_behind_an_output_tells_the_columns(project: Project) -> None:
    places = Places(output=project.out, keys=project.keys)
    assert unknown_columns("checkins", ["modell", "battery"], places) == {"modell": "did you mean `model`?"}
    assert unknown_columns("checkins/per_model", ["event", "model"], places) == {"event": "did you mean `events`?"}


@pytest.mark.parametrize("dataset", ["elsewhere", "checkins/nothing"])
def test_a_dataset_that_is_not_found_tells_nothing(project: Project, dataset: str) -> None:
    assert unknown_columns(dataset, ["modell"], Places(output=project.out, keys=project.keys)) == {}


def test_without_a_ledger_nothing_is_told(project: Project, tmp_path: Path) -> None:
    assert unknown_columns("checkins", ["modell"], Places(tmp_path / "none.db", keys=project.keys)) == {}
    assert (
        unknown_columns(
            "checkins", ["modell"], Places(tmp_path / "none.db", pipeline=project.folder, keys=project.keys)
        )
        != {}
    )
