"""Audit log: its chain of signed entries, appending and reading them, and checkpoints in place of truncated entries.

digest     sha256 of the canonical JSON (RFC 8785) of {"event", "previous", "sequence"}
signature  Ed25519 over the canonical JSON of {"audit": 1, "head", "sequence"}: every entry was once the head of the log
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, Select, insert, select

from minimize.errors import Finding
from minimize.failpoints import fail_point
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer, is_signed, sign_as_text
from minimize.ledger.audit_event import AuditEvent, PropertyChange, Resource, audit_finding, utc_text
from minimize.ledger.database import lock_ledger
from minimize.ledger.tables import AUDIT_LOG, CHECKPOINTS
from minimize.receipts import canonical_json, sha256_text

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

ENTRY_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class LogHead:
    """The end of a log: its number of entries, and the digest of the last one."""

    sequence: int
    digest: str | None = None


EMPTY_LOG: Final = LogHead(0)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the log. `event` is the canonical text; `key` is the id of the key that signed (`signing/1`)."""

    sequence: int
    previous: str | None
    event: str
    digest: str
    key: str
    signature: str

    @property
    def head(self) -> LogHead:
        """The head of the log while this was its last entry."""
        return LogHead(self.sequence, self.digest)

    def to_json(self) -> dict[str, Any]:
        """The entry as `audit log --json` and `audit export` print it."""
        return {
            "sequence": self.sequence,
            "previous": self.previous,
            "digest": self.digest,
            "event": json.loads(self.event),
            "signature": {"algorithm": "ed25519", "key": self.key, "value": self.signature},
        }

    def json_line(self) -> str:
        """The entry as a line of an exported file."""
        return json.dumps(self.to_json(), ensure_ascii=False) + "\n"

    def lines(self) -> Iterator[str]:
        """The number, time, actor, operation, result and resources."""
        event: dict[str, Any] = json.loads(self.event)
        who = event["actor"]["user"] or event["actor"]["application"]
        did = f"{event['activity']} {event['operation']}: {event['result']}"
        what = ", ".join(f"{each['type']} {each['name']}" for each in event["resources"])
        yield f"{self.sequence:>6}  {event['time'][:19]}Z  {who}  {did}  {what}".rstrip()


def entry_digest(sequence: int, previous: str | None, event: Mapping[str, Any]) -> str:
    """The digest of an entry."""
    return sha256_text(canonical_json({"event": event, "previous": previous, "sequence": sequence}))


def signed_head(head: LogHead) -> bytes:
    """The bytes of a head that are signed."""
    return canonical_json({"audit": ENTRY_FORMAT, "head": head.digest, "sequence": head.sequence})


def is_entry_signed(entry: LogEntry, verifier: Verifier) -> bool:
    """Whether a known key signed this entry as the head."""
    return is_signed(signed_head(entry.head), entry.signature, entry.key, verifier)


PAGE_SIZE: Final = 1000
_ENTRY_COLUMNS: Final = tuple(
    AUDIT_LOG.c[name] for name in ("sequence", "previous", "event", "digest", "key", "signature")
)


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """A filter for entries. A field that is None matches every entry."""

    activity: str | None = None
    operation: str | None = None
    result: str | None = None
    actor: str | None = None
    resource: str | None = None
    correlation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL_ENTRIES: Final = EntryFilter()


def record_audit_event(ledger: Ledger, event: AuditEvent, signer: Signer) -> None:
    """Appends one event, in a transaction of its own. Raises KeyringError without a signing key, LedgerError."""
    ledger.write(partial(append_event, event=event, signer=signer))


def append_event(connection: Connection, event: AuditEvent, signer: Signer) -> LogHead:
    """Appends one event, in the transaction of the change that it records: both are committed, or neither.

    Returns the new head of the log. Sequence numbers have no gaps, also with concurrent writers: appending locks the log until
    the transaction ends, so it comes last in a transaction. Raises KeyringError without a signing key.
    """
    lock_ledger(connection)
    before = log_head(connection)
    document = event.to_json()
    new = LogHead(before.sequence + 1, entry_digest(before.sequence + 1, before.digest, document))
    key, signature = sign_as_text(signed_head(new), signer)
    row = {
        "sequence": new.sequence,
        "previous": before.digest,
        "digest": new.digest,
        "event": canonical_json(document).decode(),
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
    }


def entry_event(entry: LogEntry) -> dict[str, Any]:
    """The event of an entry as a JSON object."""
    event: dict[str, Any] = json.loads(entry.event)
    return event


def entry_from_row(row: Row[Any]) -> LogEntry:
    """The entry of a row."""
    return LogEntry(
        sequence=row.sequence,
        previous=row.previous,
        event=row.event,
        digest=row.digest,
        key=row.key,
        signature=row.signature,
    )


def _entry_query(filter_: EntryFilter) -> Select[Any]:
    found = select(*_ENTRY_COLUMNS).order_by(AUDIT_LOG.c.sequence)
    for name in ("activity", "operation", "result", "actor", "resource", "correlation"):
        if getattr(filter_, name) is not None:
            found = found.where(AUDIT_LOG.c[name] == getattr(filter_, name))
    if filter_.since is not None:
        found = found.where(AUDIT_LOG.c.time >= filter_.since)
    return found if filter_.until is None else found.where(AUDIT_LOG.c.time < filter_.until)


CHECKPOINT_FORMAT: Final = 1
AUDIT_ACTIVITY: Final = "audit"
TRUNCATE_OPERATION: Final = "truncate"
MINIMUM_AGE: Final = timedelta(days=365)
"""Younger entries are not removed. The database enforces this by its own clock."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the removed entries.

    entries  the number of removed entries
    before   the time before which all of them were recorded; `latest` is the latest time among them
    """

    head: LogHead
    entries: int
    before: datetime
    latest: datetime
    recorded_at: datetime
    key: str = ""
    signature: str = ""

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that are signed."""
        times = {name: utc_text(getattr(self, name)) for name in ("before", "latest", "recorded_at")}
        head = {"sequence": self.head.sequence, "head": self.head.digest}
        return canonical_json({"checkpoint": CHECKPOINT_FORMAT, "entries": self.entries, **head, **times})

    @property
    def resource(self) -> Resource:
        """The checkpoint as a resource of an audit event."""
        changes = (PropertyChange("digest", None, self.head.digest), PropertyChange("entries", None, self.entries))
        return Resource(f"entry {self.head.sequence}", "checkpoint", self.place, changes)

    @property
    def place(self) -> str:
        """The id of the checkpoint as a resource."""
        return f"audit/checkpoint/{self.head.sequence}"


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
