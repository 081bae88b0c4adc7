"""Incidents in the ledger: steps recorded, each with its entry in the audit log, and read back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from minimize.ledger.audit import append
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.incidents import INCIDENTS
from minimize.receipt.receipt import Signer

_COLUMNS: Final = tuple(INCIDENTS.c[name] for name in ("incident", "step", "by", "body", "recorded_at"))


@dataclass(frozen=True, slots=True)
class Step:
    """One step about an incident: what was done, by whom, what it says (JSON), recorded when."""

    incident: str
    step: str
    by: str
    body: str
    recorded_at: datetime


Meant = Callable[[Sequence[Step]], tuple[Step, Event]]
"""From all steps that there are to the one that is to be recorded, and what the audit log is told. It may raise."""


def record(ledger: Ledger, meant: Meant, signer: Signer) -> list[Step]:
    """Records a step and tells the audit log of it, both or neither; nobody else records between the look and the act.

    Gives all steps that there are then. Raises what `meant` raises.
    """

    def work(connection: Connection) -> list[Step]:
        exclusive(connection)
        before = _read(connection)
        step, event = meant(before)
        connection.execute(insert(INCIDENTS).values(**{column.name: getattr(step, column.name) for column in _COLUMNS}))
        append(connection, event, signer)
        return [*before, step]

    return ledger.write(work)


def recorded(ledger: Ledger) -> list[Step]:
    """Every step, in the order in which they were recorded."""
    return ledger.read(_read)


def _read(connection: Connection) -> list[Step]:
    return [Step(*row) for row in connection.execute(select(*_COLUMNS).order_by(INCIDENTS.c.id))]
