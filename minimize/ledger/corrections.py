"""Corrections in the ledger: recorded with their entry in the audit log, and read back. Values are sealed before they come."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select

from minimize.ledger.audit import append
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.corrections import CORRECTIONS
from minimize.receipt.receipt import Signer

_COLUMNS: Final = tuple(column for column in CORRECTIONS.c if column.name != "id")


@dataclass(frozen=True, slots=True)
class Corrected:
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


def record(ledger: Ledger, rows: Sequence[Corrected], event: Event, signer: Signer) -> None:
    """Records rows and tells the audit log of them, all or none."""

    def work(connection: Any) -> None:
        exclusive(connection)
        connection.execute(insert(CORRECTIONS), [_values(row) for row in rows])
        append(connection, event, signer)

    ledger.write(work)


def recorded(ledger: Ledger) -> list[Corrected]:
    """Every row, in the order in which they were recorded."""
    asked = select(*_COLUMNS).order_by(CORRECTIONS.c.id)
    return ledger.read(lambda connection: [Corrected(**row._mapping) for row in connection.execute(asked)])


def _values(row: Corrected) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in _COLUMNS}
