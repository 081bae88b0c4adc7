"""Senders of records to whom two tenants have consented."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.governance.sharing.sender import Sender, agreed
from tests.project import Builds, Project, enter, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose output has a ledger of its own."""
    enter(tmp_path, monkeypatch)
    return new_project(tmp_path)


@pytest.fixture(name="sender")
def _sender(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """A sender that has sent nothing yet."""
    enter(tmp_path, monkeypatch)
    builds.copy(agreed, tmp_path)
    return Sender(tmp_path)
