"""A house whose runs are reported on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.job.house import House, built


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER", "MINIMIZE_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return built(tmp_path)
