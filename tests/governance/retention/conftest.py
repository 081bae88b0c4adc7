"""A project for every test of retention."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.governance.retention.daily import START, Daily, rows
from tests.project import Builds, enter, write_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daily:
    enter(tmp_path, monkeypatch)
    return write_project(Daily(tmp_path))


def day_content(project: Daily) -> None:
    """A project whose first day was run at the midnight after it."""
    project.collect(rows(START.date()), START.date())
    project.run(START.date(), START + timedelta(days=1))


@pytest.fixture(name="day")
def _day(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, day_content)
