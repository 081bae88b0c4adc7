"""The command, and a project for tests that try to break them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Command, command
from tests.project import Project, enter, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_KEYS", str(tmp_path / "test.keys"))
    return new_project(tmp_path)


@pytest.fixture(name="command")
def _command() -> Command:
    return command
