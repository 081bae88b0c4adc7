"""A house for every test of what others are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.job.house import House, built


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    return built(tmp_path)
