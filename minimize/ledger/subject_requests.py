"""Requests of data subjects in the ledger, step by step, and corrections of their values; recorded and read back.

Corrected values are sealed before they are recorded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal

from sqlalchemy import insert, select

from minimize.ledger.audit_event import AuditEvent, utc_text
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables import CORRECTIONS, REQUESTS
from minimize.receipts.receipt import Signer

RequestState = Literal["open", "failed", "done", "confirmed"]
_REQUEST_COLUMNS: Final = tuple(column for column in REQUESTS.c if column.name not in ("id", "request"))


@dataclass(frozen=True)
class SubjectRequestStep:
    """One step of a request.

    subject  a token; None for a whole tenant
    state    `open` and `failed` are to be gone on with; `done` here; `confirmed` by a recipient that was told
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
        """What names the request: a digest of what was asked, of whom it is about, and when."""
        words = [self.kind, self.tenant_id, self.subject or "", utc_text(self.asked_at)]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def record_request_steps(
    ledger: Ledger, steps: Sequence[SubjectRequestStep], event: AuditEvent, signer: Signer
) -> None:
    """Records steps and tells the audit log of them, all or none."""

    def work(connection: Any) -> None:
        lock_ledger(connection)
        connection.execute(insert(REQUESTS), [_request_values(each) for each in steps])
        append_event(connection, event, signer)

    ledger.write(work)


def read_request_steps(ledger: Ledger) -> list[SubjectRequestStep]:
    """Every step, in the order in which they were recorded."""
    asked = select(*_REQUEST_COLUMNS).order_by(REQUESTS.c.id)
    return ledger.read(
        lambda connection: [
            SubjectRequestStep(**{**row._mapping, "subject": row.subject or None}) for row in connection.execute(asked)
        ]
    )


def _request_values(step: SubjectRequestStep) -> dict[str, Any]:
    said = {column.name: getattr(step, column.name) for column in _REQUEST_COLUMNS}
    return {**said, "request": step.id, "subject": step.subject or ""}


_CORRECTION_COLUMNS: Final = tuple(column for column in CORRECTIONS.c if column.name != "id")


@dataclass(frozen=True, slots=True)
class RecordedCorrection:
    """One value of one subject, put right for whatever happened up to a time.

    subject  a token
    sealed   the value, for the keyring alone
    """

    tenant_id: str
    subject: str
    field: str
    sealed: str = dataclasses.field(repr=False)
    at: datetime
    recorded_at: datetime
    actor: str


def record_corrections(ledger: Ledger, rows: Sequence[RecordedCorrection], event: AuditEvent, signer: Signer) -> None:
    """Records rows and tells the audit log of them, all or none."""

    def work(connection: Any) -> None:
        lock_ledger(connection)
        connection.execute(insert(CORRECTIONS), [_correction_values(row) for row in rows])
        append_event(connection, event, signer)

    ledger.write(work)


def read_corrections(ledger: Ledger) -> list[RecordedCorrection]:
    """Every row, in the order in which they were recorded."""
    asked = select(*_CORRECTION_COLUMNS).order_by(CORRECTIONS.c.id)
    return ledger.read(lambda connection: [RecordedCorrection(**row._mapping) for row in connection.execute(asked)])


def _correction_values(row: RecordedCorrection) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in _CORRECTION_COLUMNS}
