"""Audit log in the database: appending and reading its entries, and checkpoints in place of truncated entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from minimize.checkpoints import checkpoint
from minimize.errors import Finding
from minimize.identifiers import canonical_account
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer, is_signed, sign_as_text
from minimize.ledger.act_log import PAGE_SIZE, check_head
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
from minimize.ledger.database import Connection, Row, like_pattern
from minimize.receipts import canonical_json

_ENTRY_COLUMNS: Final = "sequence, previous, event, acts, acts_digest, digest, key, signature"
_CONDITIONS: Final[Mapping[str, str]] = {
    **{
        name: f"{name} || '' = :{name}"
        for name in ("activity", "operation", "result", "resource", "correlation", "tenant")
    },
    "actor": "actor || '' IN :actor",
    "category": "event LIKE :member ESCAPE '/'",
    "tenants": "tenant || '' IN :tenants",
    "other_tenants": "tenant || '' NOT IN :other_tenants",
    "since": "time || '' >= :since",
    "until": "time || '' < :until",
}
"""The condition of each field of `EntryFilter`: an expression of the column in place of the column, so that an entry that was
left out of an index is found in the table. 100,000 entries take 0.1 s."""


def append_event(connection: Connection, event: AuditEvent, signer: Signer, *, acts: LogHead | None = None) -> LogHead:
    """Appends one event, in the transaction of the change that it records: both are committed, or neither.

    Takes the head of the acts if this transaction appended some, after `check_head`. Otherwise it must be the one that the last
    entry names: raises UntrustedActError.

    Returns the new head of the log. Sequence numbers have no gaps, also with concurrent writers: appending locks the log until
    the transaction ends, so it comes last in a transaction. Raises KeyringError without a signing key.
    """
    connection.lock()
    if acts is None:
        acts = check_head(connection, signer)
    before, document = log_head(connection), event.to_json()
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
    connection.insert("audit", row)
    checkpoint("audit.appended")
    return new


def log_head(connection: Connection) -> LogHead:
    """The head of the log; `EMPTY_LOG` if it has no entries."""
    last = connection.row("SELECT sequence, digest FROM audit ORDER BY sequence DESC LIMIT 1")
    return EMPTY_LOG if last is None else LogHead(**last)


def find_entry(connection: Connection, sequence: int) -> LogEntry | None:
    """The entry of this number."""
    query = f"SELECT {_ENTRY_COLUMNS} FROM audit WHERE sequence = :sequence"  # noqa: S608
    row = connection.row(query, sequence=sequence)
    return None if row is None else LogEntry.from_row(row)


def read_entries(connection: Connection, filter_: EntryFilter = ALL_ENTRIES) -> Iterator[LogEntry]:
    """The entries that match a filter, oldest first. They are read in pages."""
    after, (query, values) = 0, _entry_query(filter_)
    page_query = f"{query} AND sequence > :after ORDER BY sequence LIMIT :count"
    while page := connection.rows(page_query, after=after, count=PAGE_SIZE, **values):
        yield from map(LogEntry.from_row, page)
        after = page[-1]["sequence"]


def entries_of_run(connection: Connection, run_id: str) -> list[LogEntry]:
    """The entries of a run, oldest first: by an index, because a check asks for the entries of every receipt.

    An entry that was left out of the index is missing. The receipt then counts as not recorded.
    """
    query = f"SELECT {_ENTRY_COLUMNS} FROM audit WHERE correlation = :run_id ORDER BY sequence"  # noqa: S608
    return [LogEntry.from_row(row) for row in connection.rows(query, run_id=run_id)]


def latest_entries(connection: Connection, filter_: EntryFilter, count: int) -> list[LogEntry]:
    """The last `count` entries that match a filter, oldest first."""
    query, values = _entry_query(filter_)
    newest = connection.rows(f"{query} ORDER BY sequence DESC LIMIT :count", count=count, **values)
    return [LogEntry.from_row(row) for row in reversed(newest)]


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


def _entry_query(filter_: EntryFilter) -> tuple[str, Row]:
    """The query for the entries of a filter, without an order, and its values."""
    values = {name: getattr(filter_, name) for name in _CONDITIONS if getattr(filter_, name) is not None}
    where = " AND ".join(("1 = 1", *map(_CONDITIONS.__getitem__, values)))
    if "actor" in values:  # earlier versions recorded accounts as they were written
        values["actor"] = sorted({values["actor"], canonical_account(values["actor"])})
    if "category" in values:
        # no other member of an event has this name, and a quotation mark within a text is escaped
        member = canonical_json({"category": values["category"]}).decode()[1:-1]
        values["member"] = f"%{like_pattern(member)}%"
    return f"SELECT {_ENTRY_COLUMNS} FROM audit WHERE {where}", values  # noqa: S608


def last_checkpoint(connection: Connection) -> Checkpoint | None:
    """The checkpoint after which the log continues; None if no entries were removed."""
    row = connection.row("SELECT * FROM checkpoints ORDER BY sequence DESC LIMIT 1")
    return None if row is None else Checkpoint(head=LogHead(row.pop("sequence"), row.pop("digest")), **row)


def record_checkpoint(connection: Connection, checkpoint: Checkpoint, signer: Signer) -> None:
    """Signs and records a checkpoint."""
    key, signature = sign_as_text(checkpoint.signed_bytes, signer)
    values = {name: getattr(checkpoint, name) for name in ("entries", "before", "latest", "recorded_at")}
    head = {"sequence": checkpoint.head.sequence, "digest": checkpoint.head.digest}
    signed = {"key": key, "signature": signature}
    connection.insert("checkpoints", {**values, **head, **signed})


def check_checkpoint(connection: Connection, checkpoint: Checkpoint, verifier: Verifier) -> Iterator[Finding]:
    """H013, H015, H016: whether a checkpoint is signed, covers only entries older than a year, and is recorded in the log."""
    if not is_signed(checkpoint.signed_bytes, checkpoint.signature, checkpoint.key, verifier):
        yield audit_finding("H013", "is not signed by a known key", file=checkpoint.place)
    if checkpoint.latest >= checkpoint.before or checkpoint.before > checkpoint.recorded_at - MINIMUM_AGE:
        yield audit_finding("H015", "covers entries that were less than a year old", file=checkpoint.place)
    checkpoint_filter = EntryFilter(activity=AUDIT_ACTIVITY, operation=TRUNCATE_OPERATION, resource=checkpoint.place)
    digest = f'"new":"{checkpoint.head.digest}"'
    if not any(digest in entry.event for entry in read_entries(connection, checkpoint_filter)):
        yield audit_finding("H016", "is not recorded in the log", file=checkpoint.place)


def proven_checkpoint(connection: Connection, verifier: Verifier | None) -> Checkpoint | None:
    """The last checkpoint, if a known key signed it and the oldest entry of the log follows it.

    Only such a checkpoint shows that earlier entries were removed after their year. Without a verifier, none does.
    """
    checkpoint = last_checkpoint(connection)
    if checkpoint is None or verifier is None:
        return None
    if not is_signed(checkpoint.signed_bytes, checkpoint.signature, checkpoint.key, verifier):
        return None
    oldest = connection.value("SELECT min(sequence) FROM audit")
    entry = None if oldest is None else find_entry(connection, oldest)
    is_next = entry is not None and LogHead(entry.sequence - 1, entry.previous) == checkpoint.head
    return checkpoint if is_next else None


def is_truncated(head: LogHead, checkpoint: Checkpoint | None) -> bool:
    """Whether a head belongs to removed entries and is not the head that the checkpoint names."""
    return checkpoint is not None and head.sequence < checkpoint.head.sequence
