"""What people asked about themselves, in the ledger: each step recorded with its entry in the audit log, and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal

from sqlalchemy import insert, select

from minimize.ledger.audit import append
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event, moment_text
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.requests import REQUESTS
from minimize.receipt.receipt import Signer

State = Literal["open", "failed", "done", "confirmed"]
_COLUMNS: Final = tuple(column for column in REQUESTS.c if column.name not in ("id", "request"))


@dataclass(frozen=True)
class Request:
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
    state: State
    body: str
    recorded_at: datetime
    actor: str

    @cached_property
    def id(self) -> str:
        """What names the request: a digest of what was asked, of whom it is about, and when."""
        words = [self.kind, self.tenant_id, self.subject or "", moment_text(self.asked_at)]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def record(ledger: Ledger, steps: Sequence[Request], event: Event, signer: Signer) -> None:
    """Records steps and tells the audit log of them, all or none."""

    def work(connection: Any) -> None:
        exclusive(connection)
        connection.execute(insert(REQUESTS), [_values(each) for each in steps])
        append(connection, event, signer)

    ledger.write(work)


def recorded(ledger: Ledger) -> list[Request]:
    """Every step, in the order in which they were recorded."""
    asked = select(*_COLUMNS).order_by(REQUESTS.c.id)
    return ledger.read(
        lambda connection: [
            Request(**{**row._mapping, "subject": row.subject or None}) for row in connection.execute(asked)
        ]
    )


def _values(step: Request) -> dict[str, Any]:
    said = {column.name: getattr(step, column.name) for column in _COLUMNS}
    return {**said, "request": step.id, "subject": step.subject or ""}
