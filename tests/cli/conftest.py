"""A project and the command, for every test of the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Command, command_of
from tests.ledger.ledgers import empty
from tests.project import Builds, Project, enter, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, builds: Builds, monkeypatch: pytest.MonkeyPatch) -> Project:
    clean(tmp_path, monkeypatch)
    builds.copy(empty, tmp_path / "out")
    return new_project(tmp_path)


def clean(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Works in a folder, without the environment variables of the program."""
    enter(folder, monkeypatch)


@pytest.fixture(name="command")
def _command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_of(monkeypatch, capsys)


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """The log as it was before."""
    logger = logging.getLogger("minimize")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before
