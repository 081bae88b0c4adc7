"""An output with the same records on two days."""

from __future__ import annotations

import pytest

from tests.governance.outputs import two_days
from tests.project import Builds, Project


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, two_days)
