"""A project and the command, for every test of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Command, command
from tests.ledger.ledgers import empty
from tests.project import Builds, Project, enter, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    builds.copy(empty, tmp_path / "out")
    return new_project(tmp_path)


@pytest.fixture(name="command")
def _command() -> Command:
    return command
