"""Columns that a dataset does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.access import UserAccount
from minimize.errors import PolicyError
from minimize.governance.access_explain import (
    AccessOverview,
    dataset_columns,
    explain_decision,
    plan_access_request,
    unknown_columns,
)
from minimize.plan import Plan
from minimize.runs.inspection import make_plan
from minimize.workspace import Workspace as Places
from tests.governance.access.factory import INCIDENT, NOW, access_of, approved, grants, requested, wanted
from tests.project import Builds, Project, enter, events, new_project
from tests.world import assignment


def run_once(project: Project) -> None:
    project.records(events(40))
    project.run()


@pytest.fixture(name="project")
def _project(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    return builds.fill(new_project(tmp_path), run_once)


def test_columns_are_checked_against_the_pipeline_behind_an_output(project: Project) -> None:
    places = Places(output=project.out, keys=project.keys)
    assert unknown_columns("checkins", ["modell", "battery"], places) == {"modell": "Did you mean `model`?"}
    assert unknown_columns("checkins/per_model", ["event", "model"], places) == {"event": "Did you mean `events`?"}


@pytest.mark.parametrize("dataset", ["elsewhere", "checkins/nothing"])
def test_columns_of_an_unknown_dataset_get_no_hint(project: Project, dataset: str) -> None:
    assert unknown_columns(dataset, ["modell"], Places(output=project.out, keys=project.keys)) == {}


def test_columns_get_no_hint_without_a_ledger_or_a_pipeline(project: Project, tmp_path: Path) -> None:
    assert unknown_columns("checkins", ["modell"], Places(tmp_path / "none.db", keys=project.keys)) == {}
    assert (
        unknown_columns(
            "checkins", ["modell"], Places(tmp_path / "none.db", pipeline=project.folder, keys=project.keys)
        )
        != {}
    )


PIPELINE = Path(__file__).parents[3] / "pipelines" / "device_telemetry"


@pytest.fixture(name="plan", scope="module")
def _plan() -> Plan:
    return make_plan(PIPELINE)


def test_the_columns_of_records_have_the_category_of_the_plan(plan: Plan) -> None:
    found = {column.name: column.category for column in dataset_columns(plan)}
    assert list(found) == plan.outputs["records"].schema.names
    assert found["device_id"] == "pseudonymized"
    assert all(plan.fields[name].category == category for name, category in found.items() if name in plan.fields)


def test_nested_fields_make_one_column_as_telling_as_the_most_telling_of_them(plan: Plan) -> None:
    below = [each.category for each in plan.fields.values() if each.pointer.top == "apps" and each.gives is not None]
    (apps,) = [column for column in dataset_columns(plan) if column.name == "apps"]
    assert len(below) > 1
    assert apps.category in below


def test_an_aggregate_request_is_by_tenant_only_if_the_table_groups_by_tenant(plan: Plan) -> None:
    found = plan_access_request(plan, "device_telemetry/fleet_by_version", purpose="customer_support")
    assert {column.category for column in found.columns} == {"aggregated"}
    assert found.whole
    assert found.by_tenant == ("tenant_id" in plan.outputs["fleet_by_version"].schema.names)


def test_named_columns_are_requested_once_and_in_order(plan: Plan) -> None:
    found = plan_access_request(
        plan, "device_telemetry", ["model", "device_id", "model"], purpose="x", incident=INCIDENT
    )
    assert [column.name for column in found.columns] == ["model", "device_id"]
    assert (found.whole, found.incident, found.by_tenant) == (False, INCIDENT, True)
    assert found.purposes == plan.policy.purposes


@pytest.mark.parametrize(
    ("dataset", "columns"),
    [
        ("device_telemetry", ["nowhere"]),
        ("device_telemetry", ["phone_number"]),
        ("device_telemetry/lost", None),
        ("device_telemetry/../records", None),
    ],
)
def test_unknown_outputs_and_columns_cannot_be_requested(plan: Plan, dataset: str, columns: list[str] | None) -> None:
    with pytest.raises(PolicyError, match=r"unknown output|unknown pipeline|has no column"):
        plan_access_request(plan, dataset, columns)


def test_the_steps_go_from_the_account_to_the_decision() -> None:
    access = access_of(people={"Sam": ["sam", "samuel"]})
    asks = grants(requested(), approved())
    found = explain_decision(access, asks, UserAccount("sam"), wanted("phone_number", incident=INCIDENT), NOW)
    assert [str(step) for step in found.steps] == [
        "account: sam, of Sam",
        "groups: support",
        "role support_engineer: tenants north, south; datasets all (in scope)",
        "grant g1: active, telemetry",
        "U201: a grant allows it: g1",
        "decision: allowed: phone_number; tenants north, until 2026-11-25T20:00:00Z",
    ]
    assert found.to_json()["steps"][-1]["what"] == "decision"


def test_a_refusal_names_its_columns() -> None:
    found = explain_decision(access_of(), grants(), UserAccount("ann"), wanted("device_id", "phone_number"), NOW)
    assert str(found.steps[-2]) == ("U103: the category of these columns exceeds the permission (phone_number)")
    assert str(found.steps[-1]) == "decision: denied"


def test_each_role_is_listed_with_its_permissions_and_its_members() -> None:
    roles = {
        "careful": {"copy": "analyst", "deny": ["dataset/read:identified"]},
        "more_careful": {"copy": "careful", "deny": ["settings/set"]},
        "clerk": {"allow": ["consent/read", "consent/request"]},
    }
    lines = list(AccessOverview(access_of(assignment("careful", "ann", tenants=["north"]), roles=roles)).lines())
    assert "role analyst, built in: allow dataset/read:pseudonymized" in lines
    assert lines[-4:] == [
        "role careful, a copy of analyst: allow dataset/read:pseudonymized; deny dataset/read:identified",
        "role more_careful, a copy of careful: allow dataset/read:pseudonymized; deny dataset/read:identified, settings/set",
        "role clerk: allow consent/read, consent/request",
        "careful: ann (tenants north; datasets all)",
    ]


def test_machines_get_roles_and_assignments() -> None:
    body = AccessOverview(access_of()).to_json()
    assert [each["role"] for each in body["assignments"]][:2] == ["analyst", "support_engineer"]
    assert body["assignments"][1]["tenants"] == "north, south"
    assert body["roles"][0]["allow"] == ["dataset/read:pseudonymized"]
