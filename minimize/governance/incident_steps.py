"""Steps of incidents: their audit events, and the status of an incident that a grant depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from minimize.identifiers import canonical_text
from minimize.keys import Verifier
from minimize.ledger import Actor, AuditActivity, AuditEvent, PropertyChange, Resource
from minimize.ledger.acts import ActReader
from minimize.ledger.audit_event import EventResult
from minimize.ledger.kinds import INCIDENT, IncidentStep
from minimize.receipts.parts import sha256_text

IncidentKind = Literal["privacy", "support"]
"""A privacy incident exposed data. A support incident is a ticket for which a person may need access."""
_INCIDENT_ACTIVITY: Final = AuditActivity("incident", component="incidents", category="incidents")


@dataclass(frozen=True, slots=True)
class IncidentStatus:
    """Whether an incident is open, and the tenants that it concerns.

    break_glass_grant  the grant of break-glass access that opened the incident; None for any other incident
    """

    tenants: frozenset[str]
    is_open: bool
    break_glass_grant: str | None

    @classmethod
    def find(cls, acts: ActReader, incident: str, verifier: Verifier) -> Self | None:
        """The status of an incident in a ledger. None if there is no such incident. Raises LedgerError for unsigned steps."""
        steps = acts.find(INCIDENT, key=incident, verifier=verifier)
        if not steps:
            return None
        is_open = not any(each.step == "closed" for each in steps)
        return cls(concerned_tenants(steps[0].body, last_scope(steps)), is_open, steps[0].body.get("break_glass_grant"))


def last_scope(steps: list[IncidentStep] | tuple[IncidentStep, ...]) -> Mapping[str, Any] | None:
    """The latest scope of an incident. None if no scope was determined."""
    return next((each.body["scope"] for each in reversed(steps) if each.step == "scoped"), None)


def concerned_tenants(opening: Mapping[str, Any], scope: Mapping[str, Any] | None) -> frozenset[str]:
    """The tenants that an incident was opened for, and those of its latest scope."""
    scoped = () if scope is None else (each["tenant_id"] for each in scope["tenants"])
    return frozenset(map(canonical_text, (*opening.get("tenants", ()), *scoped)))


def body_text(body: Mapping[str, Any]) -> str:
    """The content of a step as the ledger stores it."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False)


def step_event(step: IncidentStep, actor: Actor) -> AuditEvent:
    """The audit event of a step: its kind, the tenant if it concerns one, and the digest of its content."""
    tenant = () if step.tenant_id is None else (PropertyChange("tenants", None, step.tenant_id),)
    digest = PropertyChange("said", None, sha256_text(body_text(step.body).encode()))
    return incident_event(step.incident, step.step, (digest, *tenant), actor, step.recorded_at)


def incident_event(
    incident: str,
    step: str,
    changes: tuple[PropertyChange, ...],
    actor: Actor,
    at: datetime,
    result: EventResult = "success",
) -> AuditEvent:
    """An audit event about an incident."""
    resource = Resource(incident, "incident", f"incidents/{incident}", changes)
    return _INCIDENT_ACTIVITY.event(step, actor, at, resource, result=result, correlation_id=incident)
