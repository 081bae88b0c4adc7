"""Entries of the audit log that are past their year go, up to a checkpoint; what outputs are anchored by is told anew before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from sqlalchemy import Connection, delete, func, select

from minimize.ledger.anchor import REBUILD, TELLING
from minimize.ledger.asked import as_json as entry_json
from minimize.ledger.audit import PAGE, Signer, append, as_entry, entry_at, head, told
from minimize.ledger.chain import Entry, Head
from minimize.ledger.checkpoint import AUDIT as ACTIVITY
from minimize.ledger.checkpoint import TRUNCATE, Checkpoint, keep
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Actor, Change, Event, Resource, moment_text
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.audit import AUDIT


@dataclass(frozen=True, slots=True)
class Truncation:
    """What would go: so many entries, up to this one; and how many outputs are told of anew.

    Where nothing would go, there is no last entry.
    """

    entries: int
    before: datetime
    last: Head | None = None
    latest: datetime | None = None
    outputs: int = 0

    def as_json(self) -> dict[str, Any]:
        """The plan as `audit truncate --json` prints it."""
        last = None if self.last is None else {"sequence": self.last.sequence, "digest": self.last.digest}
        latest = None if self.latest is None else moment_text(self.latest)
        return {
            "entries": self.entries,
            "before": moment_text(self.before),
            "last": last,
            "latest": latest,
            "outputs_told_anew": self.outputs,
        }


def year_before(at: datetime) -> datetime:
    """The same day of the year before; the last of February for a day that it did not have.

    >>> year_before(datetime(2028, 2, 29)).date().isoformat()
    '2027-02-28'
    """
    day = 28 if (at.month, at.day) == (2, 29) else at.day
    return at.replace(year=at.year - 1, day=day)


def truncation(ledger: Ledger, at: datetime) -> Truncation:
    """What would go at a time. Nothing is changed."""
    return ledger.read(lambda connection: _planned(connection, year_before(at)))


def going(ledger: Ledger, plan: Truncation, out: TextIO) -> int:
    """Writes the entries that would go, one JSON object a line; gives how many."""

    def work(connection: Connection) -> int:
        return sum(1 for entry in _until(connection, plan) if out.write(_line(entry)))

    return ledger.read(work)


def truncate(ledger: Ledger, plan: Truncation, actor: Actor, at: datetime, signer: Signer) -> Truncation:
    """Lets the entries of a plan go, and tells the log of it: all in one transaction.

    Gives what went: nothing, where others were faster.
    """

    def work(connection: Connection) -> Truncation:
        exclusive(connection)
        found = _planned(connection, plan.before)
        if found.last is None or found.latest is None or found.last != plan.last:
            return Truncation(0, plan.before)
        checkpoint = Checkpoint(found.last, found.entries, found.before, found.latest, at)
        for event in _told_anew(connection, found.last, actor, at):
            append(connection, event, signer)
        append(connection, _event(checkpoint, actor), signer)
        keep(connection, checkpoint, signer)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        connection.execute(delete(AUDIT).where(AUDIT.c.sequence <= found.last.sequence))
        return found

    return ledger.write(work)


def _planned(connection: Connection, before: datetime) -> Truncation:
    """Entries go from the oldest on, up to the first that is to stay."""
    stays = connection.scalar(select(func.min(AUDIT.c.sequence)).where(AUDIT.c.time >= before))
    end = head(connection).sequence if stays is None else stays - 1
    gone = select(func.count(), func.max(AUDIT.c.time)).where(AUDIT.c.sequence <= end)
    count, latest = connection.execute(gone).one()
    entry = entry_at(connection, end)
    if not count or entry is None:
        return Truncation(0, before)
    return Truncation(count, before, entry.head, latest, len(_last_told(connection, entry.head)))


def _last_told(connection: Connection, last: Head) -> list[int]:
    """Of each output of which nothing is told later: the last entry that tells of it."""
    newest = func.max(AUDIT.c.sequence)
    found = select(newest).where(AUDIT.c.operation.in_(TELLING)).group_by(AUDIT.c.resource)
    return list(connection.scalars(found.having(newest <= last.sequence).order_by(newest)))


def _told_anew(connection: Connection, last: Head, actor: Actor, at: datetime) -> Iterator[Event]:
    for sequence in _last_told(connection, last):
        entry = entry_at(connection, sequence)
        if entry is not None:
            yield _again(told(entry), actor, at)


def _again(said: dict[str, Any], actor: Actor, at: datetime) -> Event:
    """The same told once more, by whoever truncates."""
    resources = tuple(
        Resource(each["name"], each["type"], each["id"], tuple(Change(**one) for one in each["changed_properties"]))
        for each in said["resources"]
    )
    return Event(
        component=said["component"],
        category=said["category"],
        activity=said["activity"],
        operation=REBUILD,
        actor=actor,
        time=at,
        correlation_id=said["correlation_id"],
        resources=resources,
    )


def _event(checkpoint: Checkpoint, actor: Actor) -> Event:
    return Event(
        component="ledger",
        category="configuration",
        activity=ACTIVITY,
        operation=TRUNCATE,
        actor=actor,
        time=checkpoint.recorded_at,
        resources=(checkpoint.resource,),
    )


def _until(connection: Connection, plan: Truncation) -> Iterator[Entry]:
    after, last = 0, 0 if plan.last is None else plan.last.sequence
    asked = select(AUDIT).where(AUDIT.c.sequence <= last).order_by(AUDIT.c.sequence).limit(PAGE)
    while page := connection.execute(asked.where(AUDIT.c.sequence > after)).all():
        yield from map(as_entry, page)
        after = page[-1].sequence


def _line(entry: Entry) -> str:
    return json.dumps(entry_json(entry), ensure_ascii=False) + "\n"
