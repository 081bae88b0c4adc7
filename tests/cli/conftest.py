"""A project and the command, for every test of the command line."""

from __future__ import annotations

import pytest

from tests.commands import Command, command
from tests.project import Project


@pytest.fixture(name="project")
def _project(project_with_ledger: Project) -> Project:
    return project_with_ledger


@pytest.fixture(name="command")
def _command() -> Command:
    return command
