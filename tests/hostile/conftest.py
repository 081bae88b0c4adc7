"""A house and the command, for whoever wants to break them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command, command_of
from tests.project import Project, new_project


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER", "MINIMIZE_LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINIMIZE_KEYS", str(tmp_path / "test.keys"))
    monkeypatch.chdir(tmp_path)
    return new_project(tmp_path)


@pytest.fixture(name="command")
def _command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_of(monkeypatch, capsys)
