"""An incident as its steps make it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from minimize.governance.incidents.incident import Incident, group_steps
from minimize.ledger.kinds import IncidentStep

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
OPENED: dict[str, Any] = {
    "title": "A lost disk",
    "happened": ["2026-11-24T00:00:00Z", None],
    "known_at": "2026-11-25T08:00:00Z",
    "exposed": ["date:2026-11-24"],
}


def step(name: str, hours: int = 0, **body: Any) -> IncidentStep:
    return IncidentStep(
        "INC-1", name, "ann", json.loads(json.dumps(body, sort_keys=True)), NOW + timedelta(hours=hours)
    )


def scoped(*tenants: str, notice: bool = True) -> IncidentStep:
    return step("scoped", scope={"tenants": [{"tenant_id": each, "notice": notice} for each in tenants]})


def incident(*steps: IncidentStep) -> Incident:
    return group_steps([step("opened", **OPENED), *steps])["INC-1"]


def drafted(version: int, *tenants: str) -> IncidentStep:
    return step("drafted", version=version, tenants={each: {"digest": "x", "to": "privacy"} for each in tenants})


def test_steps_are_grouped_by_incident() -> None:
    other = replace(step("opened", **OPENED), incident="INC-2")
    found = group_steps([step("opened", **OPENED), other, step("declared")])
    assert [(name, each.state) for name, each in found.items()] == [("INC-1", "declared"), ("INC-2", "open")]


def test_an_incident_without_an_end_lasts_until_it_was_known() -> None:
    assert incident().window == (datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, 8, tzinfo=UTC))


def test_the_last_scope_counts() -> None:
    assert incident(scoped("north"), scoped("north", "south")).affected == ("north", "south")


def test_a_tenant_that_needs_no_notice_is_affected_and_not_pending() -> None:
    found = incident(scoped("north", notice=False), step("declared"))
    assert (found.affected, found.pending, found.is_overdue(NOW + timedelta(days=9))) == (("north",), (), False)


def test_a_notice_is_given_by_its_version() -> None:
    found = incident(scoped("north"), drafted(1, "north"), step("given", 1, tenants={"north": 1}), drafted(2, "north"))
    assert [each["given_at"] for each in found.notices("north")] == ["2026-11-25T10:00:00Z", None]
    assert found.is_notified("north")


def test_a_tenant_found_later_is_pending_again() -> None:
    told = (drafted(1, "north"), step("given", tenants={"north": 1}))
    found = incident(scoped("north"), step("declared"), *told, scoped("north", "south"))
    assert (found.pending, found.is_overdue(NOW + timedelta(hours=73))) == (("south",), True)


def test_an_exception_without_approval_does_not_count() -> None:
    found = incident(scoped("north"), step("exempt_asked", tenant_id="north", reason="x"))
    assert found.pending == ("north",)
    assert found.exemption_request("north") is not None
    assert found.exemption_request("south") is None


def known(count: int, *columns: str, form: str = "pseudonymized") -> IncidentStep:
    kinds = [{"column": each, "form": form} for each in columns]
    return step(
        "scoped",
        scope={"tenants": [{"tenant_id": "north", "notice": True, "kinds": kinds, "subjects": {"count": count}}]},
    )


@pytest.mark.parametrize(
    ("later", "exempt"),
    [
        (known(9, "model"), True),
        (known(8, "model"), True),
        (known(10, "model"), False),
        (known(9, "model", "serial"), False),
        (known(9, "model", form="identified"), False),
    ],
)
def test_an_exception_holds_for_what_was_known_when_it_was_agreed_to(later: IncidentStep, exempt: bool) -> None:
    agreed = step("exempted", 2, tenant_id="north", reason="x")
    found = incident(known(9, "model"), agreed, later)
    assert (found.pending == (), "north" in found.exempt) == (exempt, exempt)
