from __future__ import annotations

from pathlib import Path

import pytest

from minimize.workspace import Workspace
from tests.project import enter, write_keyring
from tests.world import vendor_file, write_configuration


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A folder with the recipient `vendor`, keys, and no ledger yet."""
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@contoso.example")
    write_configuration(tmp_path, vendor=vendor_file(), keys=None)
    write_keyring(tmp_path / "test.keys")
    return Workspace(keys=tmp_path / "test.keys")
