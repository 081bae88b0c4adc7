"""Whether anybody knows a tenant."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.governance.retention.event_admin import suggest_tenants
from minimize.governance.settings import NewSetting, set_setting
from minimize.governance.workspace import Workspace as Places
from tests.project import AT, Project, enter, events, new_project


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    project = new_project(tmp_path, ("device", "user"))
    project.pipeline(aggregates=None, settings=None)
    return project


def ran(project: Project) -> Places:
    project.records(events(20))
    project.run()
    return Places(output=project.out, pipeline=project.folder, keys=project.keys)


def test_records_know_their_tenants(project: Project) -> None:
    places = ran(project)
    assert suggest_tenants("south", places) is None
    assert suggest_tenants("sooth", places) == ("south",)
    assert suggest_tenants("contoso", places) == ()


def test_folders_and_the_ledger_know_tenants(project: Project) -> None:
    project.pipeline(aggregates=None, settings=None, records={"partition_by": ["tenant_id"]})
    places = ran(project)
    assert suggest_tenants("south", places) is None
    set_setting(NewSetting("contoso", "location", "on", "admin"), places, AT)
    assert suggest_tenants("contoso", places) is None
    assert suggest_tenants("Contosso", places) == ("contoso",)


def test_where_tenants_do_not_stand_as_they_came_nobody_can_tell(project: Project) -> None:
    project.policy({"tenant_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    assert suggest_tenants("contoso", ran(project)) is None


def test_where_nothing_names_a_tenant_there_is_nothing_to_compare_with(project: Project) -> None:
    project.records([])
    project.run()
    assert suggest_tenants("contoso", Places(output=project.out, pipeline=project.folder, keys=project.keys)) is None
