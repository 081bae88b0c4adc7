"""The identity of a ledger, by which a receipt says to which ledger its change was recorded."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, insert, select

from minimize.ledger.tables.identity import IDENTITY


def make_identity(connection: Connection) -> None:
    """Gives a new ledger its identity."""
    connection.execute(insert(IDENTITY).values(ledger=secrets.token_hex(16)))


def identity(connection: Connection) -> str:
    """The identity of a ledger."""
    return str(connection.execute(select(IDENTITY.c.ledger)).scalar_one())
