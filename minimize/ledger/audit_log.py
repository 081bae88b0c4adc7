"""Audit log in the database: appending and reading its entries, and checkpoints in place of truncated entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, insert, select

from minimize.errors import Finding, LedgerError
from minimize.failpoints import fail_point
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer, is_signed, sign_as_text
from minimize.ledger.act_log import PAGE_SIZE, ActLog
from minimize.ledger.audit_event import (
    ALL_ENTRIES,
    AUDIT_ACTIVITY,
    EMPTY_LOG,
    MINIMUM_AGE,
    TRUNCATE_OPERATION,
    AuditEvent,
    Checkpoint,
    EntryFilter,
    LogEntry,
    LogHead,
    audit_finding,
    entry_digest,
    signed_head,
)
from minimize.ledger.database import lock_ledger
from minimize.ledger.schema import AUDIT_LOG, CHECKPOINTS
from minimize.receipts import canonical_json

_ENTRY_COLUMNS: Final = tuple(
    AUDIT_LOG.c[name] for name in ("sequence", "previous", "event", "acts", "acts_digest", "digest", "key", "signature")
)


def append_event(connection: Connection, event: AuditEvent, signer: Signer) -> LogHead:
    """Appends one event, in the transaction of the change that it records: both are committed, or neither.

    Returns the new head of the log. Sequence numbers have no gaps, also with concurrent writers: appending locks the log until
    the transaction ends, so it comes last in a transaction. Raises KeyringError without a signing key.
    """
    lock_ledger(connection)
    before, acts, document = log_head(connection), ActLog(connection).head(), event.to_json()
    new = LogHead(before.sequence + 1, entry_digest(before, document, acts))
    key, signature = sign_as_text(signed_head(new), signer)
    row = {
        "sequence": new.sequence,
        "previous": before.digest,
        "digest": new.digest,
        "event": canonical_json(document).decode(),
        "acts": acts.sequence,
        "acts_digest": acts.digest,
        "key": key,
        "signature": signature,
        "time": event.time,
        **indexed_columns(document),
    }
    connection.execute(insert(AUDIT_LOG).values(**row))
    fail_point("audit.appended")
    return new


def log_head(connection: Connection) -> LogHead:
    """The head of the log; `EMPTY_LOG` if it has no entries."""
    last = connection.execute(
        select(AUDIT_LOG.c.sequence, AUDIT_LOG.c.digest).order_by(AUDIT_LOG.c.sequence.desc()).limit(1)
    ).one_or_none()
    return EMPTY_LOG if last is None else LogHead(last.sequence, last.digest)


def find_entry(connection: Connection, sequence: int) -> LogEntry | None:
    """The entry of this number."""
    row = connection.execute(select(*_ENTRY_COLUMNS).where(AUDIT_LOG.c.sequence == sequence)).one_or_none()
    return None if row is None else entry_from_row(row)


def read_entries(connection: Connection, filter_: EntryFilter = ALL_ENTRIES) -> Iterator[LogEntry]:
    """The entries that match a filter, oldest first. They are read in pages."""
    after = 0
    while page := connection.execute(_entry_query(filter_).where(AUDIT_LOG.c.sequence > after).limit(PAGE_SIZE)).all():
        yield from map(entry_from_row, page)
        after = page[-1].sequence


def latest_entries(connection: Connection, filter_: EntryFilter, count: int) -> list[LogEntry]:
    """The last `count` entries that match a filter, oldest first."""
    newest = _entry_query(filter_).order_by(None).order_by(AUDIT_LOG.c.sequence.desc()).limit(count)
    return [entry_from_row(row) for row in reversed(connection.execute(newest).all())]


def indexed_columns(event: Mapping[str, Any]) -> dict[str, str | None]:
    """The parts of an event that have columns of their own, for searching."""
    resources = event["resources"]
    return {
        "activity": event["activity"],
        "operation": event["operation"],
        "result": event["result"],
        "actor": event["actor"]["user"] or event["actor"]["application"],
        "resource": resources[0]["id"] if resources else None,
        "correlation": event["correlation_id"],
        "tenant": event.get("tenant"),
    }


def entry_from_row(row: Row[Any]) -> LogEntry:
    """The entry of a row. Raises LedgerError for a value of another type, which SQLite permits in any column."""
    texts = (row.previous, row.acts_digest, row.digest, row.key, row.signature)
    numbers = (row.sequence, row.acts)
    if any(isinstance(text, bytes) for text in texts) or not all(isinstance(number, int) for number in numbers):
        raise LedgerError("the ledger contains an audit entry that cannot be read", hint="Restore a backup.")
    return LogEntry(
        sequence=row.sequence,
        previous=row.previous,
        event=row.event,
        acts=LogHead(row.acts, row.acts_digest),
        digest=row.digest,
        key=row.key,
        signature=row.signature,
    )


def _entry_query(filter_: EntryFilter) -> Select[Any]:
    columns = AUDIT_LOG.c
    found = select(*_ENTRY_COLUMNS).order_by(columns.sequence)
    for name in ("activity", "operation", "result", "actor", "resource", "correlation", "tenant"):
        if getattr(filter_, name) is not None:
            found = found.where(columns[name] == getattr(filter_, name))
    if filter_.category is not None:
        # no other member of an event has this name, and a quotation mark within a text is escaped
        member = canonical_json({"category": filter_.category}).decode()[1:-1]
        found = found.where(columns.event.contains(member, autoescape=True))
    if filter_.tenants is not None:
        found = found.where(columns.tenant.in_(sorted(filter_.tenants)))
    if filter_.other_tenants is not None:
        found = found.where(columns.tenant.is_not(None) & columns.tenant.not_in(sorted(filter_.other_tenants)))
    if filter_.since is not None:
        found = found.where(columns.time >= filter_.since)
    return found if filter_.until is None else found.where(columns.time < filter_.until)


def last_checkpoint(connection: Connection) -> Checkpoint | None:
    """The checkpoint after which the log continues; None if no entries were removed."""
    row = connection.execute(select(CHECKPOINTS).order_by(CHECKPOINTS.c.sequence.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    head = LogHead(row.sequence, row.digest)
    return Checkpoint(
        head=head,
        entries=row.entries,
        before=row.before,
        latest=row.latest,
        recorded_at=row.recorded_at,
        key=row.key,
        signature=row.signature,
    )


def record_checkpoint(connection: Connection, checkpoint: Checkpoint, signer: Signer) -> None:
    """Signs and records a checkpoint."""
    key, signature = sign_as_text(checkpoint.signed_bytes, signer)
    values = {name: getattr(checkpoint, name) for name in ("entries", "before", "latest", "recorded_at")}
    head = {"sequence": checkpoint.head.sequence, "digest": checkpoint.head.digest}
    signed = {"key": key, "signature": signature}
    connection.execute(insert(CHECKPOINTS).values(**values, **head, **signed))


def check_checkpoint(connection: Connection, checkpoint: Checkpoint, verifier: Verifier) -> Iterator[Finding]:
    """H013, H015, H016: whether a checkpoint is signed, covers only entries older than a year, and is recorded in the log."""
    if not is_signed(checkpoint.signed_bytes, checkpoint.signature, checkpoint.key, verifier):
        yield audit_finding("H013", "is not signed by a known key", file=checkpoint.place)
    if checkpoint.latest >= checkpoint.before or checkpoint.before > checkpoint.recorded_at - MINIMUM_AGE:
        yield audit_finding("H015", "covers entries that were less than a year old", file=checkpoint.place)
    wanted = EntryFilter(activity=AUDIT_ACTIVITY, operation=TRUNCATE_OPERATION, resource=checkpoint.place)
    digest = f'"new":"{checkpoint.head.digest}"'
    if not any(digest in entry.event for entry in read_entries(connection, wanted)):
        yield audit_finding("H016", "is not recorded in the log", file=checkpoint.place)


def is_truncated(head: LogHead, checkpoint: Checkpoint | None) -> bool:
    """Whether a head belongs to removed entries and is not the head that the checkpoint names."""
    return checkpoint is not None and head.sequence < checkpoint.head.sequence
