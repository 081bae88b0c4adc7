"""A house for every test of drift."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Project, new_project


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    return new_project(tmp_path)
