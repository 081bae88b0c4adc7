from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Project, new_project


@pytest.fixture(name="home")
def _home(tmp_path: Path) -> Project:
    """A pipeline that asks the ledger for its settings."""
    project = new_project(tmp_path)
    project.pipeline(aggregates=None, settings="ledger")
    return project


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No ledger and no configuration but a test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))
    for name in ("MINIMIZE_KEYS", "MINIMIZE_ACTOR"):
        monkeypatch.delenv(name, raising=False)
