from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from minimize.access import ALL_TENANTS, TenantSet, UserAccount, decide_permission
from minimize.access.decision import LONGEST_NAME, decision_event
from minimize.access.permissions import entries_in_scope
from minimize.errors import AccessDenied, KeyringError, PolicyError
from minimize.governance.audit import truncate_audit
from minimize.governance.consent import NewConsent, record_consent
from minimize.governance.events import NewEvent, record_event
from minimize.governance.grants import grant_event
from minimize.governance.settings import NewSetting, set_setting, show_settings
from minimize.governance.subjects import DataSubject, RequestedSubjects, delete_subjects, view_subjects
from minimize.ledger import Actor, AuditActivity, AuditEvent, Resource, current_actor
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.ledger.kinds import GrantAct
from minimize.report.tenant_report import create_tenant_report
from minimize.runs.published_runs import void_run
from minimize.workspace import Workspace
from tests.governance.access.factory import INCIDENT, NOW, access_of, approved, asked, decided, requested, wanted
from tests.project import write_yaml
from tests.world import access_file, assignment


def told(home: Workspace) -> list[tuple[str, str, str]]:
    with home.open_ledger() as ledger:
        events = [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity="decision"))]
    return [(each["actor"]["user"], each["operation"], each["result"]) for each in events]


def test_an_account_with_the_permission_is_allowed_and_logged(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    decision = home.require("settings/set", tenant="north")
    assert decision is not None
    assert decision.allowed
    assert told(home) == [("pia", "settings/set", "success")]


def test_an_account_without_the_permission_is_refused_and_logged(home: Workspace) -> None:
    with pytest.raises(AccessDenied) as caught:
        home.require("settings/set", tenant="north")
    assert (caught.value.exit_code, [each.rule for each in caught.value.reasons]) == (3, ["nobody"])
    assert told(home) == [("sam", "settings/set", "refused")]


def test_the_scope_counts(home: Workspace) -> None:
    write_yaml(Path("access.yaml"), access_file(assignment("operator", "sam", tenants=["north"])))
    assert home.require("settings/set", tenant="north") is not None
    for tenant in ("south", None):
        with pytest.raises(AccessDenied) as caught:
            home.require("settings/set", tenant=tenant)
        assert [each.rule for each in caught.value.reasons] == ["out_of_scope"]


def test_without_an_access_file_every_account_is_allowed_and_nothing_is_logged(home: Workspace) -> None:
    Path("minimize.yaml").write_text("ledger: ledger.db\naccess: off\n")
    assert home.require("settings/set") is None
    assert not Path("ledger.db").exists()


def test_a_missing_or_faulty_access_file_allows_no_account(home: Workspace) -> None:
    Path("access.yaml").write_text("version: 3\n")
    with pytest.raises(PolicyError):
        home.require("settings/set")
    Path("access.yaml").unlink()
    with pytest.raises(PolicyError):
        home.require("settings/set")


def test_a_decision_that_cannot_be_logged_is_refused(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    with pytest.raises(KeyringError):
        Workspace().require("settings/set")


def said(event: AuditEvent) -> dict[str, object]:
    (resource,) = event.resources
    return {change.name: change.new for change in resource.changed_properties}


def test_the_event_of_a_read_has_account_columns_reasons_and_row_count() -> None:
    found = decided(access_of(), "sam", wanted("phone_number", incident=INCIDENT), requested(), approved())
    event = decision_event(found, rows=7)
    assert (event.actor.user, event.operation, event.result) == ("sam", "dataset/read", "success")
    assert (event.resources[0].id, event.correlation_id, event.time) == ("dataset/telemetry", "g1", NOW)
    assert said(event) == {
        "reasons": "U201",
        "purpose": "customer_support",
        "incident": INCIDENT,
        "grants": "g1",
        "columns": "phone_number",
        "tenants": "north",
        "rows": 7,
    }


def test_the_event_of_a_refusal_has_its_reasons() -> None:
    event = decision_event(decided(access_of(), "nemo", wanted("phone_number")))
    assert (event.result, said(event)["reasons"]) == ("refused", "U100")


def test_the_event_of_an_act_names_its_resource() -> None:
    decision = decide_permission(access_of(), UserAccount("pia"), "settings/set", NOW, tenant="north")
    actor = Actor("user", user="pia")
    event = decision_event(decision, actor=actor, about="north")
    assert (event.actor, event.resources[0].id) == (actor, "settings/north")


def test_long_names_from_callers_are_truncated() -> None:
    event = decision_event(decided(access_of(), "x" * 1000, wanted(dataset="y" * 1000)))
    assert len(event.actor.user or "") == LONGEST_NAME + 1
    assert len(event.resources[0].name) == LONGEST_NAME + 1


def test_the_event_of_a_grant_omits_its_justification() -> None:
    event = grant_event("approve", GrantAct("g1", "approved", "pia", {}, NOW), asked())
    assert (event.resources[0].id, event.result) == ("grants/g1", "success")
    assert said(event)["dataset"] == "telemetry"
    assert "check in" not in str(event)


def test_an_entry_about_one_tenant_names_it_and_the_permissions_of_the_account(home: Workspace) -> None:
    write_yaml(Path("access.yaml"), access_file(assignment("tenant_administrator", "sam", tenants=["north"])))
    home.require("consent/give", tenant="north")
    with home.open_ledger() as ledger:
        event = json.loads(find_entries(ledger, EntryFilter(tenant="north"))[-1].event)
    assert "consent/give" in event["actor"]["permissions"]
    assert event["actor"]["application"].startswith("minimize/")


def test_an_account_reads_the_entries_of_the_tenants_in_its_scope(home: Workspace) -> None:
    write_yaml(Path("access.yaml"), access_file(assignment("tenant_administrator", "sam", tenants=["north"])))
    tenants = home.readable_tenants("consent/read")
    assert tenants == TenantSet.from_names("north")
    entries = [("north",), ("south",), ("north", "south"), ()]
    assert entries_in_scope(entries, tenants, lambda each: each) == [("north",)]
    assert entries_in_scope(entries, ALL_TENANTS, lambda each: each) == entries


def test_an_account_that_may_read_no_tenant_is_refused(home: Workspace) -> None:
    with pytest.raises(AccessDenied) as caught:
        home.readable_tenants("consent/read")
    assert [each.rule for each in caught.value.reasons] == ["nobody"]


FUNCTIONS: Mapping[str, Callable[[Workspace], object]] = {
    "settings/set_admin": lambda home: set_setting(NewSetting("north", "location", "off"), home, NOW),
    "settings/set": lambda home: set_setting(NewSetting("north", "location", "off", "user"), home, NOW),
    "settings/read": lambda home: show_settings(home, NOW),
    "consent/give": lambda home: record_consent("give", NewConsent("north", "vendor", "sync"), home, NOW),
    "event/record": lambda home: record_event(NewEvent("north", "tenant_closed"), home, NOW),
    "subject/delete": lambda home: delete_subjects([DataSubject("d1", "north")], home, NOW),
    "subject/view": lambda home: view_subjects(RequestedSubjects(["d1"], "north", file="none.csv"), home, NOW),
    "audit/truncate": lambda home: truncate_audit(home, NOW),
    "run/void": lambda home: void_run(home, "none", "text"),
    "tenant/report": lambda home: create_tenant_report("north", home, NOW),
}
"""A function of a command for each of these permissions. What it is about does not exist: the permission is asked first."""


@pytest.mark.parametrize("permission", FUNCTIONS)
def test_the_function_of_a_command_asks_before_anything_else(home: Workspace, permission: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        FUNCTIONS[permission](home)
    assert [each.rule for each in caught.value.reasons] == ["nobody"]
    assert told(home) == [("sam", permission, "refused")]


def test_a_function_that_reads_says_that_it_is_limited_to_the_scope(home: Workspace) -> None:
    write_yaml(Path("access.yaml"), access_file(assignment("tenant_administrator", "sam", tenants=["north"])))
    assert show_settings(home, NOW).to_json() == {"settings": [], "limited_to_tenants_in_scope": True}
    write_yaml(Path("access.yaml"), access_file(assignment("operator", "sam")))
    assert show_settings(home, NOW).to_json() == {"settings": []}


def permissions_of_event(home: Workspace) -> list[str]:
    """The permissions in an event of the current actor."""
    activity = AuditActivity("test", "access", "access")
    with home.open_ledger(create=True) as ledger:
        ledger.record_event(activity.event("try", current_actor(), NOW, Resource("x", "file", "x")), home.keyring())
        (*_, last) = find_entries(ledger, EntryFilter(activity="test"))
    permissions: list[str] = entry_event(last)["actor"]["permissions"]
    return permissions


def test_an_event_has_the_permissions_of_its_actor_whether_or_not_one_was_asked_for(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "nemo")
    assert permissions_of_event(home) == []
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    assert "consent/give" in permissions_of_event(home)
    home.require("consent/give", tenant="north")
    assert "consent/give" in permissions_of_event(home)
    assert home.actor.permissions == tuple(permissions_of_event(home))


def test_the_rules_of_one_workspace_are_not_recorded_by_another(
    home: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    home.require("consent/give", tenant="north")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "minimize.yaml").write_text("ledger: ledger.db\naccess: off\n")
    monkeypatch.chdir(tmp_path / "other")
    assert permissions_of_event(Workspace(keys=home.keys, clock=home.clock)) == []


def test_without_rules_that_can_be_read_an_event_is_recorded_without_permissions(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    Path("access.yaml").write_text("version: 3\n")
    assert permissions_of_event(home) == []
