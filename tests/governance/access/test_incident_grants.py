"""Grants and the incidents in the ledger that they need."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from minimize.access.entitlements import Grant, load_grants
from minimize.errors import AccessDenied
from minimize.governance.grants import GrantVerb, NewGrant, answer_grant, request_grant
from minimize.governance.incidents import NewIncident, close_incident, load_incident, open_incident
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.kinds import INCIDENT as INCIDENT_STEPS
from minimize.ledger.kinds import IncidentStep
from minimize.workspace import Workspace
from tests.acts import record_acts
from tests.governance.access.factory import HOUR, INCIDENT, NOW
from tests.incidents import open_support

WISH = NewGrant(INCIDENT, "the device does not check in", "telemetry", ("north",), category="identified")
Answer = Callable[[GrantVerb, Grant], Grant]


@pytest.fixture(name="pia")
def _pia(monkeypatch: pytest.MonkeyPatch, home: Workspace) -> Answer:
    """The privacy officer answers; then Sam acts again."""

    def answered(verb: GrantVerb, grant: Grant) -> Grant:
        with monkeypatch.context() as patch:
            patch.setenv("MINIMIZE_ACTOR", "pia")
            return answer_grant(verb, grant.id, home, NOW)

    return answered


def refusal(do: Callable[[], object]) -> tuple[str, str]:
    """The code and the hint of a refusal."""
    with pytest.raises(AccessDenied) as caught:
        do()
    (found,) = caught.value.reasons
    return found.code, found.hint


def logged(home: Workspace, activity: str) -> list[dict[str, Any]]:
    with home.open_ledger() as ledger:
        return [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity=activity))]


def close(name: str, reason: str, home: Workspace, at: datetime) -> None:
    """Closes an incident, as an account that may do so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMIZE_ACTOR", "pia")
        close_incident(name, None, reason, home, at)


def test_a_grant_names_an_incident_in_the_ledger(home: Workspace) -> None:
    code, hint = refusal(lambda: request_grant(WISH, home, NOW))
    assert (code, "incident open ID --kind support" in hint) == ("U130", True)
    (event,) = logged(home, "grant")
    assert (event["operation"], event["result"]) == ("request", "refused")
    open_support(home, INCIDENT, NOW, "north")
    assert request_grant(WISH, home, NOW).request.incident == INCIDENT


def test_a_closed_incident_gives_no_grant(home: Workspace) -> None:
    open_support(home, INCIDENT, NOW, "north")
    close(INCIDENT, "the device checks in", home, NOW)
    assert refusal(lambda: request_grant(WISH, home, NOW))[0] == "U131"


@pytest.mark.parametrize("tenants", [("south",), ("north", "south")])
def test_the_incident_concerns_all_tenants_of_the_grant(home: Workspace, tenants: tuple[str, ...]) -> None:
    open_support(home, INCIDENT, NOW, "north")
    wish = replace(WISH, tenants=tenants)
    assert refusal(lambda: request_grant(wish, home, NOW))[0] == "U132"


def test_a_privacy_incident_is_for_the_tenants_of_its_latest_scope(home: Workspace) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMIZE_ACTOR", "pia")
        open_incident(NewIncident(INCIDENT, "A lost disk", (NOW, None), NOW, ["date:2026-11-24"]), home, NOW)
    assert refusal(lambda: request_grant(WISH, home, NOW))[0] == "U132"
    scope = {"tenants": [{"tenant_id": "north", "notice": True}]}
    with home.open_ledger() as ledger:
        record_acts(
            ledger, home.keyring(), INCIDENT_STEPS, IncidentStep(INCIDENT, "scoped", "pia", {"scope": scope}, NOW)
        )
    assert request_grant(WISH, home, NOW).state(NOW) == "requested"


def test_closing_an_incident_ends_its_requests_and_grants(home: Workspace, pia: Answer) -> None:
    for name in (INCIDENT, "INC-8"):
        open_support(home, name, NOW, "north")
    active, waiting = pia("approve", request_grant(WISH, home, NOW)), request_grant(WISH, home, NOW)
    other = pia("approve", request_grant(replace(WISH, incident="INC-8"), home, NOW))
    close(INCIDENT, "the device checks in", home, NOW + HOUR)
    states = {each.id: each.state(NOW + HOUR) for each in grants(home)}
    assert states == {active.id: "revoked", waiting.id: "revoked", other.id: "active"}
    revoked = [each["correlation_id"] for each in logged(home, "grant") if each["operation"] == "revoke"]
    assert revoked == [active.id, waiting.id]


def test_an_approval_needs_an_incident_that_is_still_there(home: Workspace, pia: Answer) -> None:
    open_support(home, INCIDENT, NOW, "north")
    grant = request_grant(WISH, home, NOW)
    with home.open_ledger() as ledger:
        step = IncidentStep(INCIDENT, "closed", "pia", {"class": None, "reason": "done"}, NOW)
        record_acts(ledger, home.keyring(), INCIDENT_STEPS, step)
    assert refusal(lambda: pia("approve", grant))[0] == "U131"


def test_break_glass_opens_a_support_incident_that_is_reviewed_with_it(home: Workspace, pia: Answer) -> None:
    grant = request_grant(replace(WISH, incident=""), home, NOW, break_glass=True)
    opened = load_incident(grant.request.incident, home)
    assert (opened.id, opened.kind, opened.tenants) == ("break-glass-1", "support", ("north",))
    assert (opened.opening["break_glass_grant"], opened.review) == (grant.id, "due")
    assert "BREAK-GLASS, review due" in opened.summary_line(NOW)
    pia("review", grant)
    assert load_incident(opened.id, home).review == "reviewed"
    assert [each["operation"] for each in logged(home, "incident")] == ["opened", "reviewed"]


def test_break_glass_refers_to_an_incident_that_is_there_already(home: Workspace) -> None:
    open_support(home, INCIDENT, NOW, "north")
    grant = request_grant(WISH, home, NOW, break_glass=True)
    opened = load_incident(grant.request.incident, home)
    assert (opened.id, opened.opening["reference"]) == ("break-glass-1", INCIDENT)
    named = request_grant(replace(WISH, incident="NIGHT-1"), home, NOW, break_glass=True)
    assert named.request.incident == load_incident("NIGHT-1", home).id
    close(opened.id, "the device is found", home, NOW)
    assert [each.state(NOW) for each in grants(home)] == ["revoked", "active"]


def test_a_refused_break_glass_opens_no_incident(home: Workspace) -> None:
    with pytest.raises(AccessDenied):
        request_grant(replace(WISH, duration=9 * HOUR), home, NOW, break_glass=True)
    with home.open_ledger() as ledger:
        assert ledger.find(INCIDENT_STEPS) == []


def grants(home: Workspace) -> tuple[Grant, ...]:
    with home.open_ledger() as ledger:
        return load_grants(ledger).all_grants
