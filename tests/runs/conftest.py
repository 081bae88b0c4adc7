"""A project for every test of the job."""

from __future__ import annotations

import shutil

import pytest

from tests.project import Project


@pytest.fixture(name="project")
def _project(project_with_ledger: Project) -> Project:
    return project_with_ledger


@pytest.fixture(name="no_output")
def _no_output(project: Project) -> None:
    """Removes the output folder, for a test of what makes it."""
    shutil.rmtree(project.out)
