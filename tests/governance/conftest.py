"""A project for tests of governance, by the system's clock (its policy keeps everything), and a sender of records."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.governance.sharing.sender import Sender, sent
from tests.project import Builds, Project, enter, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    return new_project(tmp_path, ("device", "user"), lasting=True)


@pytest.fixture(name="shared")
def _shared(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """A sender that has sent what north and south consented to."""
    enter(tmp_path, monkeypatch)
    builds.copy(sent, tmp_path)
    return Sender(tmp_path)
