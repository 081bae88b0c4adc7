"""The organization's data about a device is removed, and what is the user's own stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import minimize
from minimize.governance.events import NewEvent, add_event
from minimize.removal.expire import expire
from tests.governance.outputs import places, run
from tests.project import AT, Builds, Project, events

NOW = datetime(2026, 12, 1, tzinfo=UTC)
USED = [{**each, "opens": number} if number % 2 else each for number, each in enumerate(events(66))]
"""Every second record has a value that only the user permits."""
DEVICES = sorted({(each["tenant_id"], each["device_id"]) for each in USED})
SETTINGS = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n" + "".join(
    f"{tenant},{device},usage,on,user,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n" for tenant, device in DEVICES
)
"""The user of each device has turned the feature on; for a whole tenant, a user cannot."""
OPENS = {"type": "integer", "feature": "usage", "do": "keep"}


def content(project: Project, holders: list[str]) -> None:
    features = {"usage": {"about": "use of the portal", "holders": holders}, "location": {"about": "position"}}
    project.policy({"opens": OPENS}, features=features)
    project.pipeline(aggregates=None)
    (project.folder / "settings.csv").write_text(SETTINGS)
    project.records(USED)
    run(project, at=AT, output=project.out)


def removed(project: Project, device: str, tenant: str) -> None:
    add_event(NewEvent(tenant, "company_data_removed", device, NOW), places(project), NOW)
    ledger = project.folder / "organization.db"
    expire(project.out, ledger=ledger, keys=project.keys, at=NOW, yes=True, allow_shrink=True)


def of_device(device: str, tenant: str) -> list[dict[str, Any]]:
    return [each for each in USED if (each["device_id"], each["tenant_id"]) == (device, tenant)]


def fill(project: Project) -> None:
    content(project, ["user"])


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project) -> Project:
    return builds.fill(project, fill)


def test_the_users_own_values_stay_and_all_others_of_the_device_go(filled: Project) -> None:
    before = filled.rows()
    removed(filled, "d3", "south")
    own = [each["opens"] for each in of_device("d3", "south") if "opens" in each]
    assert len(own) == len(of_device("d3", "south")) > 0
    emptied = [row for row in filled.rows() if row["model"] is None]
    assert sorted(row["opens"] for row in emptied) == sorted(own)
    assert {name for row in emptied for name, value in row.items() if value is not None} == {
        *("tenant_id", "device_id", "event_time", "opens", "date")
    }
    assert [row for row in before if row in filled.rows()] == [row for row in filled.rows() if row not in emptied]
    minimize.verify(filled.out, keys=filled.keys)


def test_records_without_a_value_of_the_users_own_go_whole(filled: Project) -> None:
    removed(filled, "d4", "north")
    assert not any("opens" in each for each in of_device("d4", "north"))
    assert len(filled.rows()) == len(USED) - len(of_device("d4", "north"))


def test_a_second_expiry_finds_nothing_to_do(filled: Project) -> None:
    removed(filled, "d3", "south")
    again = expire(filled.out, ledger=filled.folder / "organization.db", keys=filled.keys, at=NOW)
    assert not again.plan.due


def test_under_a_policy_without_features_of_the_user_the_records_go(project: Project) -> None:
    content(project, ["admin", "user"])
    removed(project, "d3", "south")
    assert len(project.rows()) == len(USED) - len(of_device("d3", "south"))
