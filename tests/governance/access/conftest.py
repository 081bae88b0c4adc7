"""A folder with an access file, a ledger and a keyring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minimize.switching import House
from tests.project import enter, write_keyring
from tests.world import access_file


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """The usual people; Sam acts."""
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", "sam")
    (tmp_path / "minimize.yaml").write_text("access: access.yaml\nledger: ledger.db\n")
    (tmp_path / "access.yaml").write_text(json.dumps(access_file()))
    return House(keys=write_keyring(tmp_path / "test.keys"))
