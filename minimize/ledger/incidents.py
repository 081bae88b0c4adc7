"""Acts of incidents: one for each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from minimize.ledger.acts import ActKind


@dataclass(frozen=True, slots=True)
class IncidentStep:
    """One step of an incident: its kind, the account, the details and the time of recording.

    body       names, counts and texts; no value of a record
    tenant_id  the tenant of a step that concerns one tenant, such as the delivery of its notice
    """

    incident: str
    step: str
    by: str
    body: Mapping[str, Any]
    recorded_at: datetime
    tenant_id: str | None = None


INCIDENT: Final = ActKind("incident", IncidentStep, key="{0.incident}", tenant="tenant_id", actor="by")
