from __future__ import annotations

from minimize.governance.access import UserAccount, decide_permission
from minimize.governance.access.enforcement import LONGEST_NAME, decision_event, grant_event
from minimize.ledger import Actor, AuditEvent
from tests.governance.access.factory import INCIDENT, NOW, access_of, approved, asked, decided, requested, wanted


def said(event: AuditEvent) -> dict[str, object]:
    (resource,) = event.resources
    return {change.name: change.new for change in resource.changed_properties}


def test_a_read_is_told_with_who_what_why_and_how_many_rows() -> None:
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


def test_a_refusal_is_told_with_its_reasons() -> None:
    event = decision_event(decided(access_of(), "nemo", wanted("phone_number")))
    assert (event.result, said(event)["reasons"]) == ("refused", "U100")


def test_an_act_is_told_by_what_it_was_about() -> None:
    decision = decide_permission(access_of(), UserAccount("pia"), "settings/set", NOW, tenant="north")
    actor = Actor("user", user="pia")
    event = decision_event(decision, actor=actor, about="north")
    assert (event.actor, event.resources[0].id) == (actor, "settings/north")


def test_names_that_somebody_gave_are_cut() -> None:
    event = decision_event(decided(access_of(), "x" * 1000, wanted(dataset="y" * 1000)))
    assert len(event.actor.user or "") == LONGEST_NAME + 1
    assert len(event.resources[0].name) == LONGEST_NAME + 1


def test_an_act_about_a_grant_is_told_without_its_justification() -> None:
    event = grant_event("approve", Actor("user", user="pia"), NOW, "g1", asked())
    assert (event.resources[0].id, event.result) == ("grants/g1", "success")
    assert said(event)["dataset"] == "telemetry"
    assert "check in" not in str(event)
