"""Incidents as an account sees them: all of each incident, or the parts that concern the tenants in its scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from minimize.access.permissions import TenantSet, limited_result
from minimize.governance.incidents.incident import (
    Incident,
    IncidentDetails,
    IncidentSummary,
    class_of_step,
    load_incident,
    load_incidents,
    unknown_incident,
)
from minimize.ledger.kinds import IncidentStep
from minimize.results import Listing, Printable
from minimize.workspace import Workspace


def list_incidents(workspace: Workspace, now: datetime) -> Printable:
    """All incidents and their deadlines, or the parts that concern tenants in the scope of the current actor.

    The exit code is 1 if a notice is overdue. Raises AccessDenied, LedgerError.
    """
    tenants = workspace.readable_tenants("incident/read")
    parts = (incident_in_scope(each, tenants) for each in load_incidents(workspace).values())
    incidents = [each for each in parts if each is not None]
    overdue = any(each.is_overdue(now) for each in incidents)
    listing = Listing("incidents", [IncidentSummary(each, now) for each in incidents], "no incidents", int(overdue))
    return limited_result(listing, tenants)


def show_incident(name: str, workspace: Workspace, now: datetime, *, verbose: bool = False) -> Printable:
    """One incident, or the part that concerns tenants in the scope of the current actor.

    Raises AccessDenied, ConfigurationError if it does not exist or concerns none of them, LedgerError.
    """
    tenants = workspace.readable_tenants("incident/read")
    incident = incident_in_scope(load_incident(name, workspace), tenants)
    if incident is None:
        raise unknown_incident()
    return limited_result(IncidentDetails(incident, now, verbose), tenants)


_SCOPE_MEMBERS: Final = (
    "tenant_id",
    "subjects",
    "rows",
    "rows_exact",
    "form",
    "kinds",
    "period",
    "recipients",
    "notice",
)
"""Members of a tenant's entry in the scope that the tenant sees."""


def incident_in_scope(incident: Incident, tenants: TenantSet) -> Incident | None:
    """The part of an incident that an account may see whose scope has these tenants. None if there is none.

    A tenant sees a support incident that was opened for it, and an incident that affects it and was ever reportable: the times,
    its own part of the scope, its notices, deliveries and exemption, and the statements for notices. It does not see the exposed
    items, the reasons of classes and of the closing, or steps of another kind.
    """
    if tenants.is_all:
        return incident
    steps = [each for each in map(partial(_step_in_scope, tenants=tenants), incident.steps) if each is not None]
    part = Incident(tuple(steps))
    if part.kind == "support":
        return part if part.tenants else None
    was_reportable = any(class_of_step(each) == "customer_reportable" for each in part.classifications)
    return part if was_reportable and part.affected else None


def _step_in_scope(step: IncidentStep, tenants: TenantSet) -> IncidentStep | None:
    """The part of a step that concerns tenants in scope. None if it has none."""
    body: Mapping[str, Any] = step.body
    match step.step:
        case "opened":
            own_tenants = [each for each in body.get("tenants", ()) if each in tenants]
            names = ("kind", "title", "happened", "known_at")
            part = {**{name: body[name] for name in names if name in body}, "exposed": [], "tenants": own_tenants}
        case "scoped":
            entries = [each for each in body["scope"]["tenants"] if each["tenant_id"] in tenants]
            part = {"scope": {"tenants": [{name: each.get(name) for name in _SCOPE_MEMBERS} for each in entries]}}
        case "declared" | "measured":
            part = dict(body)
        case "reclassified":
            part = {"class": body["class"]}
        case "delivered" if step.tenant_id in tenants:
            part = dict(body)
        case "exempted" if body["tenant_id"] in tenants:
            part = {"tenant_id": body["tenant_id"]}
        case "drafted" | "given":
            part = {**body, "tenants": {name: each for name, each in body["tenants"].items() if name in tenants}}
        case "closed":
            part = {"class": body["class"]}
        case _:
            return None
    return replace(step, body=part)
