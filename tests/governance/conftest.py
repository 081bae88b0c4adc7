"""A project for tests of what governs data, by the clock of the system: its policy keeps everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Project, enter, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    return new_project(tmp_path, ("device", "user"), lasting=True)
