"""What the audit log is told: of decisions, allowed or not, and of acts about grants. Names, rules and counts; no values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from minimize.errors import Reason
from minimize.governance.access.wanted import Decision
from minimize.ledger import Actor, Change, Event, Resource
from minimize.ledger.event import Plain

if TYPE_CHECKING:
    from minimize.governance.access.grants import Asked

COMPONENT: Final = "access"
LONGEST: Final = 200
"""So many characters of a name that somebody gave are told."""


def event_of(
    decision: Decision, *, actor: Actor | None = None, about: str | None = None, rows: int | None = None
) -> Event:
    """A decision, as the audit log is told of it.

    Takes who acted (else the account), what it was about where that is no dataset, and how many rows were seen.
    """
    who = actor or Actor("user", decision.roles, application="minimize", user=_short(decision.account.user))
    name = _short(about or decision.dataset or decision.permission)
    kind = "dataset" if decision.dataset else decision.permission.partition("/")[0]
    said: dict[str, Plain] = {
        "reasons": _joined(dict.fromkeys(decision.codes)),
        "access": decision.digest or None,
        "purpose": decision.purpose,
        "incident": decision.incident,
        "grants": _joined(decision.grants),
        "columns": _joined(decision.columns),
        "tenants": None if not decision.columns else str(decision.tenants),
        "rows": rows,
        "break_glass": decision.break_glass or None,
    }
    return Event(
        component=COMPONENT,
        category="access",
        activity="decision",
        operation=decision.permission,
        result="success" if decision.allowed else "refused",
        actor=who,
        time=decision.at,
        correlation_id=decision.grant or _short(decision.incident or "") or None,
        resources=(Resource(name, kind, f"{kind}/{name}", _changes(said)),),
    )


def grant_event(
    verb: str, actor: Actor, at: datetime, grant: str, asked: Asked | None, reasons: Sequence[Reason] = ()
) -> Event:
    """An act about a grant; refused where there are reasons against it. Its justification stays in the grant."""
    said: dict[str, Plain] = {"reasons": _joined(each.code for each in reasons)}
    if asked is not None:
        said |= {
            "incident": asked.incident,
            "dataset": asked.dataset,
            "operation": asked.operation,
            "columns": _joined(asked.columns or ()),
            "category": asked.category,
            "tenants": _joined(asked.tenants),
            "duration_s": int(asked.duration.total_seconds()),
            "role": asked.role or None,
        }
    return Event(
        component=COMPONENT,
        category="access",
        activity="grant",
        operation=verb,
        result="refused" if reasons else "success",
        actor=actor,
        time=at,
        correlation_id=grant,
        resources=(Resource(grant, "grant", f"grants/{grant}", _changes(said)),),
    )


def _changes(said: dict[str, Plain]) -> tuple[Change, ...]:
    cut = {name: _short(value) if isinstance(value, str) else value for name, value in said.items()}
    return tuple(Change(name, None, value) for name, value in cut.items() if value is not None)


def _joined(names: Iterable[str]) -> str | None:
    return ", ".join(names) or None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
