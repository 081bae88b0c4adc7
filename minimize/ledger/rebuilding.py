"""The index of an output's runs made anew from its receipts; what the audit log does not tell of, it tells then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from minimize.ledger.anchor import REBUILD, RECOVER, is_of_this_log, standing, told_events
from minimize.ledger.audit import Signer, Wanted, append, entries
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Actor
from minimize.ledger.runs import forget, index, place_output
from minimize.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Output:
    """An output: its identity, and where it lies."""

    identity: str
    folder: str


def rebuilt(
    connection: Connection, output: Output, chain: Sequence[Receipt], signer: Signer, actor: Actor, now: datetime
) -> int:
    """Indexes a chain of receipts. Gives how many the log was told of.

    These are: receipts that it did not know; those that name entries of another log; the last, where later ones were cut off.
    """
    exclusive(connection)
    forget(connection, output.identity)
    if not chain:
        return 0
    place_output(connection, output.identity, chain[-1].pipeline, output.folder)
    index(connection, output.identity, chain)
    found = standing(connection, output.identity, chain)
    untold = chain[-1:] if found.state == "cut" else found.untold
    events = [(RECOVER, receipt) for receipt in untold if found.state != "cut" and is_of_this_log(connection, receipt)]
    events += [(REBUILD, receipt) for receipt in chain if _is_astray(connection, receipt)]
    events += [(REBUILD, receipt) for receipt in untold if found.state == "cut"]
    for operation, receipt in events:
        for event in told_events(operation, output.identity, receipt, actor=actor, now=now):
            append(connection, event, signer)
    return len(events)


def _is_astray(connection: Connection, receipt: Receipt) -> bool:
    """Whether a receipt names an entry of another log, and this one does not say yet that it took it over."""
    said = entries(connection, Wanted(correlation=receipt.run_id, operation=REBUILD))
    return not is_of_this_log(connection, receipt) and not any(True for _ in said)
