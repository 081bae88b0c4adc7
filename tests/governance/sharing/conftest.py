"""A house that shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.governance.sharing.house import House


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house in which north and south agree to `sync`."""
    for name in ("MINIMIZE_LEDGER", "MINIMIZE_KEYS", "MINIMIZE_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return House(tmp_path).agree("north", "south")
