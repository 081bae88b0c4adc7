"""What exposed files hold: where tenants stand under pseudonyms, in aggregates, or nowhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from minimize.governance.incidents import Exposure, Scope, scope_of
from minimize.switching import House as Places
from minimize.switching import Wish, set_setting
from tests.project import Project, events

RECORDS = events(60)
PER_TENANT = {
    "per_tenant": {
        "group_by": {"day": {"event_time": "day"}, "tenant_id": "tenant_id"},
        "measures": {"events": "count"},
        "suppress": {"below": 2, "counting": "device_id"},
    }
}


def scoped(project: Project, *texts: str) -> Scope:
    now = datetime.now(UTC)
    places = Places(project.folder / "organization.db", keys=project.keys)
    return scope_of(Exposure.of(texts), (now - timedelta(hours=1), now), places, now)


def filled(project: Project, **pipeline: Any) -> Project:
    project.pipeline(**{"aggregates": None, **pipeline})
    project.records(RECORDS)
    project.run(at=None, output=None, ledger=project.folder / "organization.db")
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
    assert (found.tenants, found.nobodys) == ((), len(RECORDS))


def test_tenants_under_pseudonyms_are_found_where_the_ledger_names_them(project: Project) -> None:
    project.policy({"tenant_id": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "user"}}}})
    filled(project)
    places = Places(project.folder / "organization.db", keys=project.keys)
    set_setting(Wish("north", "location", "on", "admin"), places, datetime.now(UTC))
    found = scoped(project, "date:2026-11-24")
    assert [each.tenant for each in found.tenants] == ["north"]
    assert found.nobodys == len(RECORDS) // 2


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
    assert [(each.reach.file.rows, each.why) for each in found.lost] == [(len(RECORDS), "E205")]
