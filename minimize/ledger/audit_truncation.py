"""Truncation of the audit log: entries older than a year are removed up to a signed checkpoint.

The last publication of each output that is anchored in removed entries is first recorded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TextIO
from uuid import uuid4

from minimize.keys.cryptography import Signer
from minimize.ledger.act_log import PAGE_SIZE
from minimize.ledger.audit_event import (
    AUDIT_ACTIVITY,
    PUBLICATION_OPERATIONS,
    REBUILD,
    TRUNCATE_OPERATION,
    Actor,
    AuditActivity,
    AuditEvent,
    Checkpoint,
    LogEntry,
    LogHead,
    entry_event,
    utc_text,
)
from minimize.ledger.audit_log import append_event, find_entry, log_head, record_checkpoint
from minimize.ledger.database import Connection
from minimize.ledger.ledger import Ledger
from minimize.results import UNCHANGED, JsonResult, json_member
from minimize.text import count_noun
from minimize.times import seconds_text


@dataclass(frozen=True, slots=True)
class Truncation(JsonResult):
    """Plan of a truncation: the number of entries to remove, the last of them, and the number of outputs recorded again.

    If there is nothing to remove, there is no last entry. `done` is whether the entries were removed.
    """

    entries: int
    before: datetime = field(metadata=json_member(convert=utc_text))
    last: LogHead | None = None
    latest: datetime | None = field(default=None, metadata=json_member(convert=utc_text))
    outputs: int = field(default=0, metadata=json_member(earlier="outputs_told_anew"))
    done: bool = False

    def lines(self) -> Iterator[str]:
        """The entries that were or would be removed."""
        if self.last is None:
            yield f"nothing to do: no entry is older than {seconds_text(self.before)}"
            return
        entries = count_noun(self.entries, "entry", "entries")
        verb = "removed" if self.done else "would remove"
        yield f"{verb} {entries} older than {seconds_text(self.before)}, up to entry {self.last.sequence:,}"
        if not self.done:
            yield f"{UNCHANGED} Pass --to FILE to keep a copy."


def year_before(at: datetime) -> datetime:
    """The same day of the year before; 28 February for 29 February.

    >>> year_before(datetime(2028, 2, 29)).date().isoformat()
    '2027-02-28'
    """
    day = 28 if (at.month, at.day) == (2, 29) else at.day
    return at.replace(year=at.year - 1, day=day)


def plan_truncation(ledger: Ledger, at: datetime) -> Truncation:
    """The plan of a truncation at a time. Nothing is changed."""
    return ledger.read(lambda connection: _plan(connection, year_before(at)))


def export_truncated_entries(ledger: Ledger, plan: Truncation, out: TextIO) -> int:
    """Writes the entries that would be removed as JSON Lines. Returns their number."""

    def work(connection: Connection) -> int:
        return sum(1 for entry in _entries_until(connection, plan) if out.write(entry.json_line()))

    return ledger.read(work)


def truncate_log(ledger: Ledger, plan: Truncation, actor: Actor, at: datetime, signer: Signer) -> Truncation:
    """Removes the entries of a plan and records it in the log, in one transaction.

    Returns the executed plan, which is empty if the log has changed since.
    """

    def work(connection: Connection) -> Truncation:
        connection.lock()
        truncation = _plan(connection, plan.before)
        if truncation.last is None or truncation.latest is None or truncation.last != plan.last:
            return Truncation(0, plan.before)
        checkpoint = Checkpoint(truncation.last, truncation.entries, truncation.before, truncation.latest, at)
        for event in _repeated_events(connection, truncation.last, actor, at):
            append_event(connection, event, signer)
        append_event(connection, _truncation_event(checkpoint, actor), signer)
        record_checkpoint(connection, checkpoint, signer)
        connection.execute("DELETE FROM audit WHERE sequence <= :last", last=truncation.last.sequence)
        return replace(truncation, done=True)

    executed = ledger.write(work)
    ledger.empty_journal()
    return executed


def _plan(connection: Connection, before: datetime) -> Truncation:
    """Removes from the oldest entry up to the first one that must stay."""
    stays = connection.value("SELECT min(sequence) FROM audit WHERE time >= :before", before=before)
    end = log_head(connection).sequence if stays is None else stays - 1
    removed = connection.row(
        "SELECT count(*) AS entries, max(time) AS latest FROM audit WHERE sequence <= :last", last=end
    )
    entry = find_entry(connection, end)
    if removed is None or entry is None:
        return Truncation(0, before)
    outputs = len(_last_publications(connection, entry.head))
    return Truncation(before=before, last=entry.head, outputs=outputs, **removed)


def _last_publications(connection: Connection, last: LogHead) -> list[int]:
    """The last publication entry of each output that has no later entries."""
    return connection.column(
        "SELECT max(sequence) FROM audit WHERE operation IN :operations GROUP BY resource"
        " HAVING max(sequence) <= :last ORDER BY max(sequence)",
        operations=PUBLICATION_OPERATIONS,
        last=last.sequence,
    )


def _repeated_events(connection: Connection, last: LogHead, actor: Actor, at: datetime) -> Iterator[AuditEvent]:
    for sequence in _last_publications(connection, last):
        entry = find_entry(connection, sequence)
        if entry is not None:
            yield _repeat_event(AuditEvent.from_json(entry_event(entry)), actor, at)


def _repeat_event(event: AuditEvent, actor: Actor, at: datetime) -> AuditEvent:
    """The same event, recorded again by the actor of the truncation."""
    return replace(event, id=str(uuid4()), operation=REBUILD, result="success", actor=actor, time=at)


def _truncation_event(checkpoint: Checkpoint, actor: Actor) -> AuditEvent:
    activity = AuditActivity(AUDIT_ACTIVITY, component="ledger", category="configuration")
    return activity.event(TRUNCATE_OPERATION, actor, checkpoint.recorded_at, checkpoint.resource)


def _entries_until(connection: Connection, plan: Truncation) -> Iterator[LogEntry]:
    after, last = 0, 0 if plan.last is None else plan.last.sequence
    query = "SELECT * FROM audit WHERE sequence > :after AND sequence <= :last ORDER BY sequence LIMIT :count"
    while page := connection.rows(query, after=after, last=last, count=PAGE_SIZE):
        yield from map(LogEntry.from_row, page)
        after = page[-1]["sequence"]
