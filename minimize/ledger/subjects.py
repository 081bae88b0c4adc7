"""Data subjects in the ledger: lifecycle events, requests step by step, and corrections of values."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal

from sqlalchemy import Connection, insert, select

from minimize.keys.cryptography import Signer
from minimize.ledger.audit_event import AuditEvent, Resource, utc_text
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables import CORRECTIONS, LIFECYCLE_EVENTS, REQUESTS

LifecycleState = Literal["recorded", "withdrawn"]
_LIFECYCLE_COLUMNS: Final = tuple(column for column in LIFECYCLE_EVENTS.c if column.name not in ("id", "event"))


@dataclass(frozen=True)
class LifecycleEvent:
    """One row about an event: tenant and subject, kind, time of the event, and whether it is still in force.

    subject  a token; None for a whole tenant
    forms    tokens of the forms of the subject in outputs, as JSON
    field    the field of the id; None for the subject of the policy
    """

    tenant_id: str
    subject: str | None
    kind: str
    at: datetime
    state: LifecycleState
    forms: str
    recorded_at: datetime
    actor: str
    field: str | None = None

    @cached_property
    def id(self) -> str:
        """The id of the event: a digest of its subject, kind and time."""
        words = [
            self.tenant_id,
            self.subject or "",
            self.kind,
            utc_text(self.at),
            *([self.field] if self.field else []),
        ]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def record_lifecycle_events(
    ledger: Ledger, rows: Sequence[LifecycleEvent], event: AuditEvent, signer: Signer
) -> list[bool]:
    """Records rows and one audit event in one transaction. Returns which rows were new.

    Takes the event with one resource per row, in the same order. Resources of rows that change nothing are left out.
    """

    def work(connection: Connection) -> list[bool]:
        lock_ledger(connection)
        last = {row.id: row for row in _select_lifecycle_events(connection, rows[0].id if len(rows) == 1 else None)}
        new = [_is_new_event(row, last) for row in rows]
        if any(new):
            connection.execute(
                insert(LIFECYCLE_EVENTS),
                [_lifecycle_values(row) for row, fresh in zip(rows, new, strict=True) if fresh],
            )
            recorded = event if all(new) else replace(event, resources=_resources_of_new_events(event.resources, new))
            append_event(connection, recorded, signer)
        return new

    return ledger.write(work)


def _resources_of_new_events(resources: Sequence[Resource], new: Sequence[bool]) -> tuple[Resource, ...]:
    return tuple(each for each, fresh in zip(resources, new, strict=True) if fresh)


def _is_new_event(row: LifecycleEvent, last: dict[str, LifecycleEvent]) -> bool:
    """Whether a row changes anything compared with the last row of its event; if so, it becomes the last row."""
    known = last.get(row.id)
    last[row.id] = row
    return known is None or (known.state, known.forms) != (row.state, row.forms)


def _lifecycle_values(row: LifecycleEvent) -> dict[str, Any]:
    values = {column.name: getattr(row, column.name) for column in _LIFECYCLE_COLUMNS}
    return {**values, "event": row.id, "subject": row.subject or "", "field": row.field or ""}


def read_lifecycle_events(ledger: Ledger) -> list[LifecycleEvent]:
    """All rows, in the order of recording."""
    return ledger.read(_select_lifecycle_events)


def last_lifecycle_events(rows: Sequence[LifecycleEvent]) -> list[LifecycleEvent]:
    """The last row of each event, in the order in which the events were first recorded."""
    return list({row.id: row for row in rows}.values())


def _select_lifecycle_events(connection: Connection, event: str | None = None) -> list[LifecycleEvent]:
    query: Any = select(*_LIFECYCLE_COLUMNS).order_by(LIFECYCLE_EVENTS.c.id)
    found = connection.execute(query if event is None else query.where(LIFECYCLE_EVENTS.c.event == event))
    return [
        LifecycleEvent(**{**row._mapping, "subject": row.subject or None, "field": row.field or None}) for row in found
    ]


RequestState = Literal["open", "failed", "done", "confirmed"]
_REQUEST_COLUMNS: Final = tuple(column for column in REQUESTS.c if column.name not in ("id", "request"))


@dataclass(frozen=True)
class SubjectRequestStep:
    """One step of a request.

    subject  a token; None for a whole tenant
    state    `open` and `failed` need more work; `done`: complete here; `confirmed` by a recipient that was notified
    body     counts, ids of receipts and of disclosures, as JSON
    """

    kind: str
    tenant_id: str
    subject: str | None
    asked_at: datetime
    due: datetime
    state: RequestState
    body: str
    recorded_at: datetime
    actor: str

    @cached_property
    def id(self) -> str:
        """The id of the request: a digest of its kind, its subject and its time."""
        words = [self.kind, self.tenant_id, self.subject or "", utc_text(self.asked_at)]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def record_request_steps(
    ledger: Ledger, steps: Sequence[SubjectRequestStep], event: AuditEvent, signer: Signer
) -> None:
    """Records steps and their audit event in one transaction."""

    def work(connection: Any) -> None:
        lock_ledger(connection)
        connection.execute(insert(REQUESTS), [_request_values(each) for each in steps])
        append_event(connection, event, signer)

    ledger.write(work)


def read_request_steps(ledger: Ledger) -> list[SubjectRequestStep]:
    """All steps, in the order of recording."""
    query = select(*_REQUEST_COLUMNS).order_by(REQUESTS.c.id)
    return ledger.read(
        lambda connection: [
            SubjectRequestStep(**{**row._mapping, "subject": row.subject or None}) for row in connection.execute(query)
        ]
    )


def _request_values(step: SubjectRequestStep) -> dict[str, Any]:
    values = {column.name: getattr(step, column.name) for column in _REQUEST_COLUMNS}
    return {**values, "request": step.id, "subject": step.subject or ""}


_CORRECTION_COLUMNS: Final = tuple(column for column in CORRECTIONS.c if column.name != "id")


@dataclass(frozen=True, slots=True)
class RecordedCorrection:
    """A corrected value of one subject, for all records up to a time.

    subject  a token
    sealed   the encrypted value; only the keyring can decrypt it
    """

    tenant_id: str
    subject: str
    field: str
    sealed: str = dataclasses.field(repr=False)
    at: datetime
    recorded_at: datetime
    actor: str


def record_corrections(ledger: Ledger, rows: Sequence[RecordedCorrection], event: AuditEvent, signer: Signer) -> None:
    """Records rows and their audit event in one transaction."""

    def work(connection: Any) -> None:
        lock_ledger(connection)
        connection.execute(insert(CORRECTIONS), [_correction_values(row) for row in rows])
        append_event(connection, event, signer)

    ledger.write(work)


def read_corrections(ledger: Ledger) -> list[RecordedCorrection]:
    """All rows, in the order of recording."""
    query = select(*_CORRECTION_COLUMNS).order_by(CORRECTIONS.c.id)
    return ledger.read(lambda connection: [RecordedCorrection(**row._mapping) for row in connection.execute(query)])


def _correction_values(row: RecordedCorrection) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in _CORRECTION_COLUMNS}
