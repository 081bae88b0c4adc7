"""Ledgers for tests: events, keys, and a database on which anything can be done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from minimize.keys import Keyring
from minimize.ledger import Actor, Address, AuditEvent, PropertyChange, Resource, find_ledger
from minimize.ledger.audit_log import LogHead, append_event
from minimize.ledger.ledger import Ledger, open_ledger

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ANN = Actor("user", application="a test", user="ann")


def event(number: int = 0, **changes: Any) -> AuditEvent:
    """An event; every number gives another."""
    told: dict[str, Any] = {
        "component": "tests",
        "actor": ANN,
        "activity": "settings",
        "operation": "set",
        "time": NOW + timedelta(seconds=number),
        "category": "configuration",
        "correlation_id": f"c{number}",
        "resources": (Resource("location", "feature", f"feature/{number}", (PropertyChange("value", "off", "on"),)),),
    }
    return AuditEvent(**told | changes)


def opened(address: Address, **options: Any) -> Ledger:
    return open_ledger(address, **{"create": True, "patience": 2.0} | options)


def empty(folder: Path) -> None:
    """Makes an empty ledger in a folder."""
    opened(find_ledger(folder / "ledger.db")).close()


def tells(ledger: Ledger, keys: Keyring, *events: AuditEvent) -> LogHead:
    """Appends events, each in a transaction of its own; gives the head."""
    return [ledger.write(partial(append_event, event=each, signer=keys)) for each in events][-1]


def by_hand(address: Address, *statements: str) -> None:
    """Runs statements past the ledger, as somebody with the database in his hands can."""
    if address.path is not None:
        with closing(sqlite3.connect(address.path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)
        return
    with psycopg.connect((address.url or "").replace("+psycopg", ""), autocommit=True) as server:
        for statement in statements:
            server.execute(statement.encode())


def unguarded(address: Address, *statements: str) -> None:
    """The same, with the triggers out of the way."""
    if address.path is not None:
        names = ("audit_no_update", "audit_no_delete", "audit_no_gap")
        by_hand(address, *(f"DROP TRIGGER IF EXISTS {name}" for name in names), *statements)
    else:
        by_hand(address, "ALTER TABLE audit DISABLE TRIGGER ALL", *statements)
