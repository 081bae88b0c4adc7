"""The ledger: one database of what belongs to the house, with an audit log that only grows.

    address.py     where it is: a flag, MINIMIZE_LEDGER, minimize.yaml, else `ledger.db` in the output folder
    ledger.py      one opened: `read(work)` and `write(work)`, each a transaction; errors of ours in place of the database's
    tables/        one file a concern; migrations.py creates them and upgrades an older ledger
    event.py       what the audit log tells of one act; chain.py how entries hang together; audit.py appends and reads them
    checking.py    whether a log is whole, by itself and beside receipts or a head that is kept elsewhere

SQLAlchemy is imported where a ledger is opened, and nowhere before.
"""

from __future__ import annotations

from minimize.ledger.address import Address, find_ledger
from minimize.ledger.event import Actor, Change, Event, Resource, actor_of

__all__ = ["Actor", "Address", "Change", "Event", "Resource", "actor_of", "find_ledger"]
