"""The status of an incident that a grant depends on, from the steps of the incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from minimize.identifiers import canonical_text
from minimize.ledger.acts import ActReader
from minimize.ledger.kinds import INCIDENT, IncidentStep

IncidentKind = Literal["privacy", "support"]
"""A privacy incident exposed data. A support incident is a ticket for which a person may need access."""


@dataclass(frozen=True, slots=True)
class IncidentStatus:
    """Whether an incident is open, and the tenants that it concerns."""

    tenants: frozenset[str]
    is_open: bool
    break_glass_grant: str | None
    """The grant of break-glass access that opened the incident; None for any other incident."""

    @classmethod
    def find(cls, acts: ActReader, incident: str) -> Self | None:
        """The status of an incident in a ledger. None if there is no such incident. Raises LedgerError for unsigned steps."""
        steps = acts.find(INCIDENT, key=incident)
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
