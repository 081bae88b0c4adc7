"""A project for every test of the job."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.ledger.ledgers import empty
from tests.project import Builds, Project, enter, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose output folder has an empty ledger."""
    enter(tmp_path, monkeypatch)
    builds.copy(empty, tmp_path / "out")
    return new_project(tmp_path)


@pytest.fixture(name="no_output")
def _no_output(project: Project) -> None:
    """Removes the output folder, for a test of what makes it."""
    shutil.rmtree(project.out)
