"""Steps about incidents: what may follow on what, who may, and what the audit log is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from minimize.errors import ConfigurationError, RefusedError
from minimize.governance.incidents import (
    Incident,
    NewIncident,
    approve_exemption,
    close_incident,
    declare_incident,
    load_incidents,
    open_incident,
    record_measure,
    request_exemption,
)
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.workspace import Workspace as Places
from tests.governance.incidents.conftest import NOW, Acts

CASE = NewIncident("INC-1", "A lost disk", (NOW - timedelta(days=1), None), NOW, ["date:2026-11-24"])


def test_an_incident_is_opened_once(places: Places) -> None:
    assert open_incident(CASE, places, NOW).state == "open"
    with pytest.raises(ConfigurationError, match="of this name"):
        open_incident(CASE, places, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exposed": []},
        {"title": ""},
        {"period": (NOW, NOW - timedelta(1))},
        {"known_at": NOW - timedelta(days=2)},
        {"exposed": ["all"]},
    ],
)
def test_an_impossible_incident_is_not_opened(places: Places, changes: dict[str, Any]) -> None:
    said = {name: getattr(CASE, name) for name in NewIncident.__slots__} | changes
    with pytest.raises(ConfigurationError):
        open_incident(NewIncident(**said), places, NOW)


def test_reversed_times_are_reported_with_their_options(places: Places) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_incident(replace(CASE, known_at=NOW - timedelta(days=2)), places, NOW)
    assert caught.value.hint == "Pass --until and --known-at times that are not before --since."


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=5)])
def test_clocks_may_differ_by_minutes(places: Places, ahead: timedelta) -> None:
    assert open_incident(replace(CASE, known_at=NOW + ahead), places, NOW).state == "open"


@pytest.mark.parametrize(
    "changes",
    [
        {"known_at": NOW + timedelta(minutes=5, seconds=1)},
        {"period": (NOW - timedelta(days=1), NOW + timedelta(days=1))},
    ],
)
def test_times_in_the_future_are_refused(places: Places, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_incident(replace(CASE, **changes), places, NOW)
    assert caught.value.hint == "Pass --until and --known-at times that are not in the future."
    assert load_incidents(places) == {}


def test_the_clock_starts_when_it_is_declared(places: Places, scoped: Incident) -> None:
    assert scoped.notice_deadline is None
    found = declare_incident("INC-1", places, NOW)
    assert found.notice_deadline == NOW + timedelta(hours=72)
    assert not found.is_overdue(NOW + timedelta(hours=72))
    assert found.is_overdue(NOW + timedelta(hours=72, seconds=1))
    with pytest.raises(ConfigurationError, match="declared already"):
        declare_incident("INC-1", places, NOW)


def test_a_declared_incident_without_a_scope_becomes_overdue(places: Places) -> None:
    open_incident(CASE, places, NOW)
    assert declare_incident("INC-1", places, NOW).is_overdue(NOW + timedelta(hours=73))


def test_an_exception_counts_after_approval_by_another_person(places: Places, scoped: Incident, acts: Acts) -> None:
    acts("ann")
    assert request_exemption("INC-1", "north", "its data was public", places, NOW).pending == ("north", "south")
    with pytest.raises(RefusedError) as error:
        approve_exemption("INC-1", "north", places, NOW)
    assert [each.code for each in error.value.findings] == ["K021"]
    acts("bob")
    assert approve_exemption("INC-1", "north", places, NOW).pending == ("south",)


@pytest.mark.parametrize(("tenant", "why"), [("west", "nobody knows it"), ("north", " ")])
def test_an_exception_is_for_an_affected_tenant_and_has_a_reason(
    places: Places, scoped: Incident, tenant: str, why: str
) -> None:
    with pytest.raises(ConfigurationError):
        request_exemption("INC-1", tenant, why, places, NOW)


def test_an_exception_that_was_not_requested_cannot_be_approved(places: Places, scoped: Incident) -> None:
    with pytest.raises(ConfigurationError):
        approve_exemption("INC-1", "north", places, NOW)


def test_a_declared_incident_closes_only_after_all_tenants_are_notified(places: Places, scoped: Incident) -> None:
    declare_incident("INC-1", places, NOW)
    with pytest.raises(RefusedError) as error:
        close_incident("INC-1", "security_incident", "it was nothing", places, NOW)
    assert [each.code for each in error.value.findings] == ["K022"]


def test_the_person_who_declared_an_incident_cannot_call_it_a_false_positive(
    places: Places, scoped: Incident, acts: Acts
) -> None:
    acts("ann")
    declare_incident("INC-1", places, NOW)
    with pytest.raises(RefusedError):
        close_incident("INC-1", "false_positive", "a test", places, NOW)
    acts("bob")
    found = close_incident("INC-1", "false_positive", "a test", places, NOW)
    assert (found.state, found.is_overdue(NOW + timedelta(days=9))) == ("closed", False)


def test_a_reportable_incident_is_declared_first(places: Places, scoped: Incident) -> None:
    with pytest.raises(ConfigurationError):
        close_incident("INC-1", "customer_reportable", "done", places, NOW)


def test_nothing_follows_on_the_end(places: Places, scoped: Incident) -> None:
    close_incident("INC-1", "security_incident", "nobody is concerned", places, NOW)
    with pytest.raises(ConfigurationError, match="closed"):
        record_measure("INC-1", "measure", "more", places, NOW)


def test_an_incident_that_is_not_there_has_no_steps(places: Places, scoped: Incident) -> None:
    with pytest.raises(ConfigurationError):
        declare_incident("INC-2", places, NOW)


def test_recorded_statements_are_kept_in_order(places: Places, scoped: Incident) -> None:
    record_measure("INC-1", "measure", "the disk was wiped", places, NOW)
    record_measure("INC-1", "measure", "the key was changed", places, NOW)
    record_measure("INC-1", "action", "change your passwords", places, NOW)
    found = load_incidents(places)["INC-1"]
    assert found.statements("measure") == ("the disk was wiped", "the key was changed")
    assert found.statements("action") == ("change your passwords",)


def test_each_incident_step_is_in_the_audit_log_without_its_text(places: Places, scoped: Incident, acts: Acts) -> None:
    acts("ann")
    record_measure("INC-1", "measure", "the disk was wiped", places, NOW)
    with places.open_ledger() as ledger:
        found = [entry_event(each) for each in find_entries(ledger, EntryFilter(correlation="INC-1"))]
    assert [each["operation"] for each in found] == ["opened", "scoped", "measured"]
    assert found[-1]["actor"]["user"] == "ann"
    assert "wiped" not in str(found)


def test_a_refused_exemption_is_in_the_audit_log(places: Places, scoped: Incident, acts: Acts) -> None:
    acts("ann")
    request_exemption("INC-1", "north", "its data was public", places, NOW)
    with pytest.raises(RefusedError) as error:
        approve_exemption("INC-1", "north", places, NOW)
    assert error.value.__context__ is None
    with places.open_ledger() as ledger:
        last = entry_event(find_entries(ledger, EntryFilter(correlation="INC-1"))[-1])
    assert (last["operation"], last["result"], last["actor"]["user"]) == ("exempted", "refused", "ann")
    assert last["resources"][0]["changed_properties"][0]["new"] == "K021"
    assert load_incidents(places)["INC-1"].pending == ("north", "south")
