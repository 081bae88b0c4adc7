"""A project whose records are encrypted, in which two days were run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import BEFORE, DAY, Builds, Project, enter, events, new_project
from tests.world import write_configuration

TENANTS = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path)
    write_configuration(tmp_path)
    project.pipeline(records={"encrypt": "by_category"})
    return project


def ran_content(project: Project) -> None:
    for number, day in enumerate((BEFORE, DAY)):
        project.records(events(40, first=40 * number), day)
        project.run(date=day)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Project) -> Project:
    return builds.fill(project, ran_content)


def apart_content(project: Project) -> None:
    """The same with keys for each tenant."""
    project.pipeline(records=TENANTS)
    project.records(events(40))
    project.run(date=DAY)


@pytest.fixture(name="apart")
def _apart(builds: Builds, project: Project) -> Project:
    return builds.fill(project, apart_content)
