"""Consents in the ledger: acts recorded, and read back; each with its entry in the audit log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select

from minimize.ledger.audit import append
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event, moment_text
from minimize.ledger.ledger import Ledger
from minimize.ledger.recalls import Recalling, write_recalls
from minimize.ledger.tables.consents import CONSENTS
from minimize.receipt.receipt import Signer

_TICK: Final = timedelta(microseconds=1)
_COLUMNS: Final = tuple(column for column in CONSENTS.c if column.name not in ("id", "consent"))


@dataclass(frozen=True)
class Act:
    """One act about a consent: whose, about what, which state it brings, by whom, from when, until when, recorded when.

    state  requested, given, renewed, refused, withdrawn or expired
    terms  what was asked or agreed to, as JSON
    """

    tenant_id: str
    recipient: str
    function: str
    state: str
    terms: str
    by: str
    valid_from: datetime
    expires_at: datetime | None
    recorded_at: datetime

    @cached_property
    def id(self) -> str:
        """What names the act: a digest of all that it says."""
        ends = "" if self.expires_at is None else moment_text(self.expires_at)
        times = (moment_text(self.valid_from), ends, moment_text(self.recorded_at))
        words = [self.tenant_id, self.recipient, self.function, self.state, self.terms, self.by, *times]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


Also = Callable[[Ledger, Sequence[Act]], Iterable[Recalling]]
"""Tells what recipients are told to delete because of acts; it is written in the same transaction, all of it or nothing."""


def record(
    ledger: Ledger, acts: Sequence[Act], events: Sequence[Event], signer: Signer, also: Also | None = None
) -> list[Act]:
    """Records acts and tells the audit log of them, an event each, and what else follows from them: all or none.

    Gives them as they were recorded. Which came first is told by their order in the ledger, whatever their clocks said.
    """

    def work(connection: Connection) -> list[Act]:
        exclusive(connection)
        done = [_inserted(connection, act) for act in acts]
        for event in events:
            append(connection, event, signer)
        for recalling in () if also is None else also(ledger, done):
            write_recalls(connection, recalling.steps, recalling.event, signer)
        return done

    return ledger.write(work)


def recorded(
    ledger: Ledger, *, tenant: str | None = None, recipient: str | None = None, function: str | None = None
) -> list[Act]:
    """Every act, in the order in which they were recorded; those of one tenant, recipient or function where it is named."""
    asked: Select[Any] = select(*_COLUMNS).order_by(CONSENTS.c.id)
    for column, wanted in (
        (CONSENTS.c.tenant_id, tenant),
        (CONSENTS.c.recipient, recipient),
        (CONSENTS.c.function, function),
    ):
        asked = asked if wanted is None else asked.where(column == wanted)
    return ledger.read(lambda connection: [Act(*row) for row in connection.execute(asked)])


def _inserted(connection: Connection, act: Act) -> Act:
    """Two acts never have one name: what is said again in the same microsecond is told of as one later."""
    told = act
    while connection.scalar(select(CONSENTS.c.id).where(CONSENTS.c.consent == told.id)) is not None:
        told = replace(told, recorded_at=told.recorded_at + _TICK)
    values = {column.name: getattr(told, column.name) for column in _COLUMNS}
    connection.execute(insert(CONSENTS).values(consent=told.id, **values))
    return told
