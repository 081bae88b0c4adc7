"""A folder with an access file, a ledger and a keyring."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.workspace import Workspace
from tests.governance.access.factory import NOW
from tests.project import enter, write_keyring
from tests.world import access_file, write_configuration


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The usual people; Sam acts."""
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", "sam")
    write_configuration(tmp_path, access=access_file(), keys=None)
    return Workspace(keys=write_keyring(tmp_path / "test.keys"), clock=lambda: NOW)
