"""A project for every test of subjects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Project, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return new_project(tmp_path, ("device", "user"), lasting=True)
