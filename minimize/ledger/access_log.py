"""Access log: the start and end of reads, so that a read whose process ended is logged, too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from minimize.ledger.audit_event import AuditEvent
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import Connection
from minimize.ledger.ledger import Ledger
from minimize.receipts import canonical_json
from minimize.stores.durable_files import ProcessIdentity

LONGEST_READ: Final = timedelta(days=1)
"""The longest duration of a read. An older read of another machine counts as lost."""


def begin_read(ledger: Ledger, unended: AuditEvent, now: datetime) -> None:
    """Records the start of a read, with the event to log if its process ends without recording the end of the read.

    The id of the event is the id of the read.
    """
    ledger.write(lambda connection: _insert_read_state(connection, unended, "begun", now))


def finish_read(ledger: Ledger, ended: AuditEvent, now: datetime) -> None:
    """Records the end of a read and its audit event."""

    def work(connection: Connection) -> None:
        connection.lock()
        _insert_read_state(connection, ended, "ended", now)
        append_event(connection, ended, ledger.keyring)

    ledger.write(work)


@dataclass(frozen=True, slots=True)
class BegunRead:
    """A started read: the time, the event to log if it never ends, and whether it has ended."""

    at: datetime
    event: Mapping[str, Any]
    ended: bool


def read_begun_reads(ledger: Ledger) -> dict[str, BegunRead]:
    """All started reads by id, which is also the id of their event."""

    def work(connection: Connection) -> dict[str, BegunRead]:
        ended = _reads_in_state(connection, "ended")
        reads = _reads_in_state(connection, "begun").items()
        return {name: BegunRead(at, json.loads(event), name in ended) for name, (event, _, at) in reads}

    return ledger.read(work)


def end_lost_reads(ledger: Ledger, now: datetime) -> int:
    """Logs the reads whose process ended before they did. Returns their number."""
    lost = ledger.read(lambda connection: [*_lost_reads(connection, now)])
    return sum(_end_lost_read(ledger, each, now) for each in lost)


def _end_lost_read(ledger: Ledger, lost: AuditEvent, now: datetime) -> bool:
    """Returns False if another process has already recorded the end."""

    def work(connection: Connection) -> bool:
        connection.lock()
        if lost.id in _reads_in_state(connection, "ended"):
            return False
        _insert_read_state(connection, lost, "ended", now)
        append_event(connection, lost, ledger.keyring)
        return True

    return ledger.write(work)


def _lost_reads(connection: Connection, now: datetime) -> Iterator[AuditEvent]:
    """The events to log for reads that no process can end any more."""
    ended = _reads_in_state(connection, "ended")
    for read, (event, process, begun) in _reads_in_state(connection, "begun").items():
        if read not in ended and (ProcessIdentity(**json.loads(process)).is_dead() or now - begun > LONGEST_READ):
            yield AuditEvent.from_json(json.loads(event))


def _reads_in_state(connection: Connection, state: str) -> dict[str, tuple[str, str, datetime]]:
    rows = connection.rows("SELECT * FROM reads WHERE state = :state ORDER BY id", state=state)
    return {row["read"]: (row["event"], row["process"], row["recorded_at"]) for row in rows}


def _insert_read_state(connection: Connection, event: AuditEvent, state: str, now: datetime) -> None:
    content = canonical_json(event.to_json()).decode() if state == "begun" else ""
    process = json.dumps(asdict(ProcessIdentity.current())) if state == "begun" else ""
    row = {"read": event.id, "state": state, "event": content, "process": process, "recorded_at": now}
    connection.insert("reads", row)
