"""What the audit log is told of master keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from minimize.keys import Master
from minimize.ledger import Change, Event, Resource, actor_of
from minimize.switching import House


def tell(house: House, operation: str, masters: Iterable[Master], now: datetime, *changes: Change) -> None:
    """Tells the log what is done with versions of master keys. Raises LedgerError, KeyringError."""
    from minimize.ledger.audit import append

    event = Event(
        component="keys",
        category="configuration",
        activity="keys",
        operation=operation,
        actor=actor_of(),
        time=now,
        resources=tuple(Resource(each.id, "master key", f"keys/{each.id}", changes) for each in masters),
    )
    keys = house.keyring()
    with house.opened(create=True) as ledger:
        ledger.write(lambda connection: append(connection, event, keys))
