"""Whether an audit log is whole: by itself, and beside what was kept elsewhere (receipts, a head)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from minimize.errors import Finding, VerificationError
from minimize.keys import Verifier
from minimize.ledger.anchor import REBUILD
from minimize.ledger.audit import PAGE, Wanted, as_entry, entries, entry_at, head, searched, told
from minimize.ledger.chain import EMPTY, Entry, Head, digest_of, is_signed
from minimize.ledger.checkpoint import check as check_checkpoint
from minimize.ledger.checkpoint import is_below, last_checkpoint
from minimize.ledger.codes import found
from minimize.ledger.event import moment_text
from minimize.ledger.tables.audit import AUDIT
from minimize.receipt import Receipt, canonical


@dataclass(frozen=True, slots=True)
class Kept:
    """A head that stands outside the log, and where."""

    head: Head
    place: str


def check_log(connection: Connection, verifier: Verifier) -> Iterator[Finding]:
    """H001 to H005, H013, H015, H016: every entry against its digest, its neighbour, its signature and its columns.

    Where the oldest entries are gone the chain goes on from the checkpoint, which is checked, too.
    """
    checkpoint = last_checkpoint(connection)
    before = EMPTY if checkpoint is None else checkpoint.head
    if checkpoint is not None:
        yield from check_checkpoint(connection, checkpoint, verifier)
    for row in _rows(connection):
        entry = as_entry(row)
        yield from _follows(entry, before)
        yield from _says(entry, row)
        if not is_signed(entry, verifier):
            yield found("H004", "is not signed by a key that is known here", file=_place(entry))
        before = entry.head


def check_kept(connection: Connection, kept: Kept) -> Iterator[Finding]:
    """H006, H007, H014: the log beside a head that was kept."""
    entry, checkpoint = entry_at(connection, kept.head.sequence), last_checkpoint(connection)
    if kept.head == EMPTY or (checkpoint is not None and kept.head == checkpoint.head):
        return
    if is_below(kept.head, checkpoint):
        yield found("H014", f"names entry {kept.head.sequence}, which is gone after its year", file=kept.place)
    elif entry is None:
        ends = head(connection).sequence
        message = f"the log has {ends} entries, and entry {kept.head.sequence} is named here"
        hint = "it was cut short, or restored from an older copy"
        yield found("H006", message, file=kept.place, hint=hint)
    elif entry.digest != kept.head.digest:
        yield found("H007", f"names another entry {kept.head.sequence} than the log has", file=kept.place)


def check_receipts(
    connection: Connection, receipts: Iterable[tuple[str, Receipt]], verifier: Verifier
) -> Iterator[Finding]:
    """H006 to H008, H010 to H012: the log beside receipts, each with its place."""
    for place, receipt in receipts:
        if not _is_ours(receipt, verifier):
            yield found("H010", "is not signed by a key that is known here", file=place)
        elif receipt.audit is None:
            yield found("H011", "names no head of an audit log", file=place)
        else:
            kept = Kept(Head(receipt.audit.sequence, receipt.audit.head), place)
            wrong = list(check_kept(connection, kept))
            yield from _accounted(connection, receipt, wrong) if wrong else _told_of(connection, receipt, place)


def unanchored() -> Finding:
    """H009: what is said where nothing outside the log was looked at."""
    hint = "--receipts DIR, or --head FILE with a head that was kept elsewhere"
    return found(
        "H009", "the log is vouched for as far as it goes: nothing says that its end was not cut off", hint=hint
    )


def published(event: dict[str, Any]) -> str | None:
    """The digest of the receipt that an event tells of."""
    changes = (change for resource in event["resources"] for change in resource["changed_properties"])
    return next((change["new"] for change in changes if change["name"] == "receipt"), None)


def _accounted(connection: Connection, receipt: Receipt, wrong: list[Finding]) -> Iterator[Finding]:
    """What is wrong; a warning where somebody has told the log of it since, with the very receipt."""
    rebuilt = Wanted(correlation=receipt.run_id, operation=REBUILD)
    for entry in entries(connection, rebuilt):
        if published(told(entry)) == receipt.digest:
            message = f"names an entry of an earlier log; entry {entry.sequence} of this one takes it over"
            yield found("H012", message, file=wrong[0].file)
            return
    yield from wrong


def _told_of(connection: Connection, receipt: Receipt, place: str) -> Iterator[Finding]:
    said = [published(told(entry)) for entry in entries(connection, Wanted(correlation=receipt.run_id))]
    digests = [digest for digest in said if digest is not None]
    if not digests:
        yield found("H008", "is not told of in the log", file=place, hint="the next run of its output tells of it")
    elif receipt.digest not in digests:
        yield found("H007", "is another receipt than the log tells of", file=place)


def _is_ours(receipt: Receipt, verifier: Verifier) -> bool:
    try:
        receipt.verify(verifier)
    except VerificationError:
        return False
    return True


def _follows(entry: Entry, before: Head) -> Iterator[Finding]:
    if entry.sequence != before.sequence + 1:
        yield found("H002", f"stands where entry {before.sequence + 1} is due", file=_place(entry))
    if entry.previous != before.digest:
        yield found("H003", "does not carry the digest of the entry before it", file=_place(entry))


def _says(entry: Entry, row: Row[Any]) -> Iterator[Finding]:
    event = _event(entry.event)
    if event is None or digest_of(entry.sequence, entry.previous, event) != entry.digest:
        yield found("H001", "is not what its digest says", file=_place(entry))
        return
    columns = {**searched(event), "time": event["time"]}
    if any(_column(row, name) != value for name, value in columns.items()):
        yield found("H005", "has a column that says something else than its event", file=_place(entry))


def _column(row: Row[Any], name: str) -> Any:
    value = row._mapping[name]
    return moment_text(value) if name == "time" else value


def _event(text: str) -> dict[str, Any] | None:
    """The event of a text that is canonical."""
    try:
        event = json.loads(text)
        return event if isinstance(event, dict) and canonical(event).decode() == text else None
    except (ValueError, RecursionError):
        return None


def _rows(connection: Connection) -> Iterator[Row[Any]]:
    after: int | None = None
    while page := _page(connection, after):
        yield from page
        after = page[-1].sequence


def _page(connection: Connection, after: int | None) -> Sequence[Row[Any]]:
    asked = select(AUDIT).order_by(AUDIT.c.sequence).limit(PAGE)
    return connection.execute(asked if after is None else asked.where(AUDIT.c.sequence > after)).all()


def _place(entry: Entry) -> str:
    return f"audit/{entry.sequence}"
