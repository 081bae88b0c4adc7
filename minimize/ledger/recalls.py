"""What recipients were told to delete, and what they confirmed; each step with its entry in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Select, insert, select

from minimize.ledger.audit import append
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.disclosures import RECALLS
from minimize.receipt.receipt import Signer

State = Literal["requested", "confirmed"]


@dataclass(frozen=True, slots=True)
class Recalled:
    """One step of a recall: what was sent of a tenant in an act, why it has to go, and how far that is."""

    disclosure: str
    tenant_id: str
    recipient: str
    cause: str
    state: State
    recorded_at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class Recalling:
    """Steps of one recipient, and what the audit log is told of them."""

    steps: Sequence[Recalled]
    event: Event


def record_recalls(ledger: Ledger, steps: Sequence[Recalled], event: Event, signer: Signer) -> int:
    """Records steps and tells the audit log, both or neither; gives how many were new, for what is there is passed over."""

    def work(connection: Connection) -> int:
        exclusive(connection)
        return write_recalls(connection, steps, event, signer)

    return ledger.write(work)


def write_recalls(connection: Connection, steps: Sequence[Recalled], event: Event, signer: Signer) -> int:
    """The same within a transaction that nobody else writes beside."""
    known = {(step.disclosure, step.tenant_id, step.state) for step in _steps(connection, select(RECALLS))}
    new = [step for step in steps if (step.disclosure, step.tenant_id, step.state) not in known]
    if new:
        connection.execute(insert(RECALLS), [_values(step) for step in new])
        append(connection, event, signer)
    return len(new)


def recalls(ledger: Ledger, recipient: str | None = None) -> list[Recalled]:
    """Every step, in the order in which they were recorded; of one recipient where it is named."""
    asked = select(RECALLS).order_by(RECALLS.c.id)
    asked = asked if recipient is None else asked.where(RECALLS.c.recipient == recipient)
    return ledger.read(lambda connection: _steps(connection, asked))


def _steps(connection: Connection, asked: Select[Any]) -> list[Recalled]:
    return [
        Recalled(**{name: value for name, value in row._mapping.items() if name != "id"})
        for row in connection.execute(asked)
    ]


def _values(step: Recalled) -> dict[str, Any]:
    return {name: getattr(step, name) for name in Recalled.__slots__}
