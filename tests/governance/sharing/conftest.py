"""A sender of records to whom two tenants have consented."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.governance.sharing.sender import Sender
from tests.project import Builds


def build(folder: Path) -> None:
    """A sender to whom north and south have consented for `sync`."""
    Sender(folder).agree("north", "south")


@pytest.fixture(name="sender")
def _sender(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sender:
    for name in ("MINIMIZE_LEDGER", "MINIMIZE_KEYS", "MINIMIZE_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    builds.copy(build, tmp_path)
    return Sender(tmp_path)
