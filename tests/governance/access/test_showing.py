from __future__ import annotations

from minimize.governance.access import UserAccount
from minimize.governance.access.explain import access_json, assignment_lines, explain_decision, permission_grid
from tests.governance.access.factory import INCIDENT, NOW, access_of, approved, grants, requested, wanted
from tests.world import assignment


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
    assert found.as_json()["steps"][-1]["what"] == "decision"


def test_a_refusal_says_which_columns() -> None:
    found = explain_decision(access_of(), grants(), UserAccount("ann"), wanted("device_id", "phone_number"), NOW)
    assert str(found.steps[-2]) == ("U103: these columns are of a category above what is allowed (phone_number)")
    assert str(found.steps[-1]) == "decision: denied"


def test_the_grid_has_what_each_role_has_of_each_permission() -> None:
    roles = {"careful": {"copy": "analyst", "deny": ["dataset/read:identified", "settings/set"]}}
    access = access_of(assignment("careful", "ann", tenants=["north"]), roles=roles)
    cells = {name: dict(zip(access.roles, words, strict=True)) for name, words in permission_grid(access)}
    assert cells["dataset/read"]["analyst"] == "pseudonymized"
    assert cells["dataset/read"]["careful"] == "pseudonymized, not identified"
    assert cells["settings/set"] == {
        "analyst": "",
        "operator": "yes",
        "support_engineer": "",
        "privacy_officer": "yes",
        "auditor": "no",
        "role_administrator": "",
        "careful": "no",
    }
    assert assignment_lines(access) == ["careful: ann (tenants north; datasets all)"]


def test_machines_get_roles_and_assignments() -> None:
    body = access_json(access_of())
    assert [each["role"] for each in body["assignments"]][:2] == ["analyst", "support_engineer"]
    assert body["assignments"][1]["tenants"] == "north, south"
    assert body["roles"][0]["allow"] == ["dataset/read:pseudonymized"]
