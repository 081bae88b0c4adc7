"""Consents in the ledger: acts that are recorded with their entries in the audit log, and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select

from minimize.ledger.audit_event import AuditEvent, utc_text
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import lock_ledger
from minimize.ledger.disclosures import RecallBatch, insert_recalls
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables import CONSENTS
from minimize.receipts.receipt import Signer

_TICK: Final = timedelta(microseconds=1)
_COLUMNS: Final = tuple(column for column in CONSENTS.c if column.name not in ("id", "consent"))


@dataclass(frozen=True)
class ConsentAct:
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
        ends = "" if self.expires_at is None else utc_text(self.expires_at)
        times = (utc_text(self.valid_from), ends, utc_text(self.recorded_at))
        words = [self.tenant_id, self.recipient, self.function, self.state, self.terms, self.by, *times]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


RecallPlanner = Callable[[Ledger, Sequence[ConsentAct]], Iterable[RecallBatch]]
"""Tells what recipients are told to delete because of acts; it is written in the same transaction, all of it or nothing."""


def record_consent_acts(
    ledger: Ledger,
    acts: Sequence[ConsentAct],
    events: Sequence[AuditEvent],
    signer: Signer,
    also: RecallPlanner | None = None,
) -> list[ConsentAct]:
    """Records acts and tells the audit log of them, an event each, and what else follows from them: all or none.

    Gives them as they were recorded. Which came first is told by their order in the ledger, whatever their clocks said.
    """

    def work(connection: Connection) -> list[ConsentAct]:
        lock_ledger(connection)
        done = [_insert_act(connection, act) for act in acts]
        for event in events:
            append_event(connection, event, signer)
        for recalling in () if also is None else also(ledger, done):
            insert_recalls(connection, recalling.steps, recalling.event, signer)
        return done

    return ledger.write(work)


def read_consent_acts(
    ledger: Ledger, *, tenant: str | None = None, recipient: str | None = None, function: str | None = None
) -> list[ConsentAct]:
    """Every act, in the order in which they were recorded; those of one tenant, recipient or function where it is named."""
    asked: Select[Any] = select(*_COLUMNS).order_by(CONSENTS.c.id)
    for column, wanted in (
        (CONSENTS.c.tenant_id, tenant),
        (CONSENTS.c.recipient, recipient),
        (CONSENTS.c.function, function),
    ):
        asked = asked if wanted is None else asked.where(column == wanted)
    return ledger.read(lambda connection: [ConsentAct(*row) for row in connection.execute(asked)])


def _insert_act(connection: Connection, act: ConsentAct) -> ConsentAct:
    """Two acts never have one name: what is said again in the same microsecond is told of as one later."""
    told = act
    while connection.scalar(select(CONSENTS.c.id).where(CONSENTS.c.consent == told.id)) is not None:
        told = replace(told, recorded_at=told.recorded_at + _TICK)
    values = {column.name: getattr(told, column.name) for column in _COLUMNS}
    connection.execute(insert(CONSENTS).values(consent=told.id, **values))
    return told
