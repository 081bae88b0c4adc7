"""What exposed files hold: where tenants stand under pseudonyms, in aggregates, or nowhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from minimize.governance.incidents import IncidentScope
from minimize.governance.settings import NewSetting, set_setting
from tests.governance import outputs
from tests.governance.outputs import PER_TENANT, places, run
from tests.project import Project, events

RECORDS = events(60)


def scoped(project: Project, *texts: str) -> IncidentScope:
    return outputs.scoped(project, *texts, at=places(project))


def filled(project: Project, **pipeline: Any) -> Project:
    project.pipeline(**{"aggregates": None, **pipeline})
    project.records(RECORDS)
    run(project)
    return project


def test_a_subject_that_was_dropped_counts_at_most_its_records(project: Project) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "drop"}, "model": None})
    found = scoped(filled(project), "date:2026-11-24")
    assert [str(each.subjects) for each in found.tenants] == ["at most 30", "at most 30"]


def test_records_whose_tenant_was_dropped_are_nobodys(project: Project) -> None:
    project.policy(
        {
            "tenant_id": {"type": "string", "do": "drop"},
            "device_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}},
        }
    )
    found = scoped(filled(project), "date:2026-11-24")
    assert (found.tenants, found.records_without_tenant) == ((), len(RECORDS))


def test_tenants_under_pseudonyms_are_found_where_the_ledger_names_them(project: Project) -> None:
    project.policy({"tenant_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    filled(project)
    set_setting(NewSetting("north", "location", "on", "admin"), places(project), datetime.now(UTC))
    found = scoped(project, "date:2026-11-24")
    assert [each.tenant for each in found.tenants] == ["north"]
    assert found.records_without_tenant == len(RECORDS) // 2


def test_an_aggregate_names_nobody(project: Project) -> None:
    found = scoped(filled(project, aggregates=PER_TENANT), f"output:{project.out}#per_tenant")
    said = {each["tenant_id"]: each for each in found.as_json()["tenants"]}
    assert set(said) == {"north", "south"}
    assert (said["north"]["form"], said["north"]["subjects"], said["north"]["notice"]) == ("aggregated", None, False)


def test_a_file_that_is_damaged_is_said_to_be_lost(project: Project) -> None:
    filled(project)
    for path in project.files():
        (project.out / path).write_bytes(b"nothing")
    found = scoped(project, "date:2026-11-24")
    assert [(each.exposed.file.rows, each.reason) for each in found.unreadable] == [(len(RECORDS), "E205")]
