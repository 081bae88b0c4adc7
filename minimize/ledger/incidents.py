"""Incidents in the ledger: steps that are recorded with their entries in the audit log, and read back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from minimize.keys.cryptography import Signer
from minimize.ledger.audit_event import AuditEvent
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables import INCIDENTS

_COLUMNS: Final = tuple(INCIDENTS.c[name] for name in ("incident", "step", "by", "body", "recorded_at"))


@dataclass(frozen=True, slots=True)
class IncidentStep:
    """One step of an incident: its kind, the account, the details (JSON) and the time of recording."""

    incident: str
    step: str
    by: str
    body: str
    recorded_at: datetime


IncidentStepBuilder = Callable[[Sequence[IncidentStep]], tuple[IncidentStep, AuditEvent]]
"""Takes all recorded steps; returns the step to record and its audit event. It may raise."""


def record_incident_step(ledger: Ledger, build_step: IncidentStepBuilder, signer: Signer) -> list[IncidentStep]:
    """Records a step and its audit event in one transaction. No other process can record between reading and writing.

    Returns all steps, including the new one. Raises the errors of `build_step`.
    """

    def work(connection: Connection) -> list[IncidentStep]:
        lock_ledger(connection)
        before = _select_steps(connection)
        step, event = build_step(before)
        connection.execute(insert(INCIDENTS).values(**{column.name: getattr(step, column.name) for column in _COLUMNS}))
        append_event(connection, event, signer)
        return [*before, step]

    return ledger.write(work)


def read_incident_steps(ledger: Ledger) -> list[IncidentStep]:
    """All steps, in the order of recording."""
    return ledger.read(_select_steps)


def _select_steps(connection: Connection) -> list[IncidentStep]:
    return [IncidentStep(*row) for row in connection.execute(select(*_COLUMNS).order_by(INCIDENTS.c.id))]
