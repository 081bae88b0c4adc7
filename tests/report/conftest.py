"""A project whose runs are reported on."""

from __future__ import annotations

import pytest

from tests.project import Project


@pytest.fixture(name="project")
def _project(project_with_ledger: Project) -> Project:
    return project_with_ledger
