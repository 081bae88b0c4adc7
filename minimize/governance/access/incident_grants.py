"""Incidents of grants: the incident that a grant needs, the one that break-glass access opens, and grants that end with it."""

from __future__ import annotations

from datetime import datetime
from itertools import chain, count

from minimize.access.decision import reason
from minimize.errors import RefusalReason
from minimize.governance.access.enforcement import grant_event, load_grants
from minimize.governance.access.grants import Grant, GrantRequest
from minimize.governance.incident_steps import IncidentStatus
from minimize.keys import Verifier
from minimize.ledger import Actor, AuditEvent
from minimize.ledger.access import GRANT, GrantAct
from minimize.ledger.acts import ActReader, NewAct
from minimize.ledger.incidents import IncidentStep
from minimize.times import time_text


def reason_against_incident(acts: ActReader, request: GrantRequest, verifier: Verifier) -> RefusalReason | None:
    """The reason why the incident of a request permits no grant. None if it is open and concerns all tenants of the request.

    Raises LedgerError for an incident that no known key signed.
    """
    found = IncidentStatus.find(acts, request.incident, verifier)
    if found is None:
        hint = "Open it with `minimize incident open ID --kind support`, or run `minimize incident list`."
        return reason("unknown_incident", about=request.incident, hint=hint)
    if not found.is_open:
        return reason("closed_incident", about=request.incident, hint="Open a new incident for the new ticket.")
    if not set(request.tenants) <= found.tenants:
        hint = "Name an incident of this tenant. A privacy incident concerns the tenants of its latest scope."
        return reason("other_tenant", about=request.incident, hint=hint)
    return None


def break_glass_incident(
    acts: ActReader, grant: str, request: GrantRequest, actor: Actor, at: datetime, verifier: Verifier
) -> IncidentStep:
    """The step that opens the support incident of break-glass access. It names the grant that must be reviewed.

    The incident has the name in the request. If that is empty or exists already, the incident is numbered, and the name in the
    request becomes its reference.
    """
    asked = request.incident.strip()
    names = chain([asked] if asked else [], (f"break-glass-{number}" for number in count(1)))
    name = next(each for each in names if IncidentStatus.find(acts, each, verifier) is None)
    body = {
        "kind": "support",
        "title": f"Break-glass access to {request.dataset}",
        "tenants": list(request.tenants),
        "reference": f"grant {grant}" if asked in ("", name) else asked,
        "break_glass_grant": grant,
        "happened": [time_text(at), None],
        "known_at": time_text(at),
        "exposed": [],
    }
    return IncidentStep(name, "opened", actor.user or "", body, at)


def reviewed_incident(
    acts: ActReader, grant: Grant, actor: Actor, at: datetime, verifier: Verifier
) -> list[IncidentStep]:
    """The step that records the review of a grant with the incident that it opened. Empty if it opened none."""
    found = IncidentStatus.find(acts, grant.request.incident, verifier)
    if found is None or found.break_glass_grant != grant.id:
        return []
    return [IncidentStep(grant.request.incident, "reviewed", actor.user or "", {"grant": grant.id}, at)]


def end_incident_grants(
    acts: ActReader, incident: str, actor: Actor, at: datetime, verifier: Verifier
) -> tuple[list[NewAct], list[AuditEvent]]:
    """The acts and audit events that end all requests and grants of an incident, which is closed in the same decision."""
    ended = [
        each
        for each in load_grants(acts, verifier).all_grants
        if each.request.incident == incident and each.state(max(at, each.requested_at)) in ("requested", "active")
    ]
    body = {"note": "the incident was closed"}
    return (
        [GRANT.act(GrantAct(each.id, "revoked", actor.user or "", body, at)) for each in ended],
        [grant_event("revoke", actor, at, each.id, each.request) for each in ended],
    )
