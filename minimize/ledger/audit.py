"""The audit log: entries are appended, each signed and chained to the one before, and read in order."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Row, Select, insert, select

from minimize.failpoints import fail_point
from minimize.ledger.chain import EMPTY, Entry, Head, digest_of, signed_bytes
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event
from minimize.ledger.tables.audit import AUDIT
from minimize.receipt import canonical

PAGE: Final = 1000
_ENTRY: Final = tuple(AUDIT.c[name] for name in ("sequence", "previous", "event", "digest", "key", "signature"))


class Signer(Protocol):
    """Who signs: a keyring."""

    def sign(self, content: bytes) -> tuple[str, bytes]:
        """The id of the signing key, and its signature over the content."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are wanted; what is None is not asked."""

    activity: str | None = None
    operation: str | None = None
    result: str | None = None
    actor: str | None = None
    resource: str | None = None
    correlation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING: Final = Wanted()


def append(connection: Connection, event: Event, signer: Signer) -> Head:
    """Appends one event, in the transaction of what it tells of: both are kept, or neither.

    Gives the log's new head. Numbers are gapless, however many write at once; whoever appends is alone until the transaction
    ends, so it is the last thing a transaction does. Raises KeyringError without a signing key.
    """
    exclusive(connection)
    before = head(connection)
    said = event.as_json()
    new = Head(before.sequence + 1, digest_of(before.sequence + 1, before.digest, said))
    key, signature = signer.sign(signed_bytes(new))
    row = {
        "sequence": new.sequence,
        "previous": before.digest,
        "digest": new.digest,
        "event": canonical(said).decode(),
        "key": key,
        "signature": base64.b64encode(signature).decode("ascii"),
        "time": event.time,
        **searched(said),
    }
    connection.execute(insert(AUDIT).values(**row))
    fail_point("audit.appended")
    return new


def head(connection: Connection) -> Head:
    """The log's head; `EMPTY` where nothing was told yet."""
    last = connection.execute(
        select(AUDIT.c.sequence, AUDIT.c.digest).order_by(AUDIT.c.sequence.desc()).limit(1)
    ).one_or_none()
    return EMPTY if last is None else Head(last.sequence, last.digest)


def entry_at(connection: Connection, sequence: int) -> Entry | None:
    """The entry of this number."""
    row = connection.execute(select(*_ENTRY).where(AUDIT.c.sequence == sequence)).one_or_none()
    return None if row is None else as_entry(row)


def entries(connection: Connection, wanted: Wanted = EVERYTHING) -> Iterator[Entry]:
    """The entries that are wanted, oldest first, a page at a time."""
    after = 0
    while page := connection.execute(_asked(wanted).where(AUDIT.c.sequence > after).limit(PAGE)).all():
        yield from map(as_entry, page)
        after = page[-1].sequence


def latest(connection: Connection, wanted: Wanted, count: int) -> list[Entry]:
    """The last so many of the entries that are wanted, oldest first."""
    newest = _asked(wanted).order_by(None).order_by(AUDIT.c.sequence.desc()).limit(count)
    return [as_entry(row) for row in reversed(connection.execute(newest).all())]


def searched(event: Mapping[str, Any]) -> dict[str, str | None]:
    """The parts of an event that stand in columns of their own, for searching."""
    resources = event["resources"]
    return {
        "activity": event["activity"],
        "operation": event["operation"],
        "result": event["result"],
        "actor": event["actor"]["user"] or event["actor"]["application"],
        "resource": resources[0]["id"] if resources else None,
        "correlation": event["correlation_id"],
    }


def told(entry: Entry) -> dict[str, Any]:
    """The event of an entry, as the JSON object that it is."""
    event: dict[str, Any] = json.loads(entry.event)
    return event


def as_entry(row: Row[Any]) -> Entry:
    """The entry of a row."""
    return Entry(row.sequence, row.previous, row.event, row.digest, row.key, row.signature)


def _asked(wanted: Wanted) -> Select[Any]:
    found = select(*_ENTRY).order_by(AUDIT.c.sequence)
    for name in ("activity", "operation", "result", "actor", "resource", "correlation"):
        if getattr(wanted, name) is not None:
            found = found.where(AUDIT.c[name] == getattr(wanted, name))
    if wanted.since is not None:
        found = found.where(AUDIT.c.time >= wanted.since)
    return found if wanted.until is None else found.where(AUDIT.c.time < wanted.until)
