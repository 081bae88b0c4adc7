"""Reads in the ledger: begun before the first row leaves, ended with their entry in the audit log, whatever happens between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from minimize.ledger.audit import append
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Actor, Change, Event, Resource
from minimize.ledger.ledger import Ledger
from minimize.ledger.process import Process
from minimize.ledger.tables.passes import READINGS
from minimize.receipt import canonical
from minimize.receipt.receipt import Signer

LONGEST: Final = timedelta(days=1)
"""No read goes on for longer; whoever began an older one on another machine is gone."""


def begin(ledger: Ledger, unended: Event, now: datetime) -> None:
    """Records that a read begins, and what the log is told of it if its process does not live to say how it ended.

    The event's id names the read.
    """
    ledger.write(lambda connection: _record(connection, unended, "begun", now))


def finish(ledger: Ledger, ended: Event, now: datetime, signer: Signer) -> None:
    """Records that a read ended, and tells the audit log how."""

    def work(connection: Connection) -> None:
        exclusive(connection)
        _record(connection, ended, "ended", now)
        append(connection, ended, signer)

    ledger.write(work)


def tell(ledger: Ledger, event: Event, signer: Signer) -> None:
    """Tells the audit log of a read that was refused, or that is told of at once."""

    def work(connection: Connection) -> None:
        append(connection, event, signer)

    ledger.write(work)


@dataclass(frozen=True, slots=True)
class Begun:
    """A read that was begun: when, what is told of it should it never end, and whether it did."""

    at: datetime
    event: Mapping[str, Any]
    ended: bool


def begun(ledger: Ledger) -> dict[str, Begun]:
    """Every read that was begun, by its name, which is its event's id, too."""

    def work(connection: Connection) -> dict[str, Begun]:
        ended = _states(connection, "ended")
        every = _states(connection, "begun").items()
        return {name: Begun(at, json.loads(event), name in ended) for name, (event, _, at) in every}

    return ledger.read(work)


def settle(ledger: Ledger, now: datetime, signer: Signer) -> int:
    """Tells the audit log of reads whose process ended before they did; gives how many."""
    lost = ledger.read(lambda connection: [*_lost(connection, now)])
    return sum(_settled(ledger, each, now, signer) for each in lost)


def _settled(ledger: Ledger, lost: Event, now: datetime, signer: Signer) -> bool:
    """Another process may have been faster."""

    def work(connection: Connection) -> bool:
        exclusive(connection)
        if lost.id in _states(connection, "ended"):
            return False
        _record(connection, lost, "ended", now)
        append(connection, lost, signer)
        return True

    return ledger.write(work)


def _lost(connection: Connection, now: datetime) -> Iterator[Event]:
    """What is to be told of reads that nobody can end any more."""
    ended = _states(connection, "ended")
    for reading, (event, process, begun) in _states(connection, "begun").items():
        if reading not in ended and (Process(**json.loads(process)).is_dead() or now - begun > LONGEST):
            yield _event(json.loads(event))


def _states(connection: Connection, state: str) -> dict[str, tuple[str, str, datetime]]:
    asked = select(READINGS.c.reading, READINGS.c.event, READINGS.c.process, READINGS.c.recorded_at)
    rows = connection.execute(asked.where(READINGS.c.state == state).order_by(READINGS.c.id))
    return {row.reading: (row.event, row.process, row.recorded_at) for row in rows}


def _record(connection: Connection, event: Event, state: str, now: datetime) -> None:
    told = canonical(event.as_json()).decode() if state == "begun" else ""
    process = json.dumps(asdict(Process.ours())) if state == "begun" else ""
    row = {"reading": event.id, "state": state, "event": told, "process": process, "recorded_at": now}
    connection.execute(insert(READINGS).values(**row))


def _event(said: Mapping[str, Any]) -> Event:
    """The event of its JSON object."""
    parts = {**said, "time": datetime.fromisoformat(said["time"])}
    parts["actor"] = Actor(**{**said["actor"], "permissions": tuple(said["actor"]["permissions"])})
    parts["resources"] = tuple(_resource(each) for each in said["resources"])
    return Event(**parts)


def _resource(said: Mapping[str, Any]) -> Resource:
    changes = tuple(Change(**each) for each in said["changed_properties"])
    return Resource(said["name"], said["type"], said["id"], changes)
