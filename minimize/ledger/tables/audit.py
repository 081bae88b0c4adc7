"""The audit log. The database refuses to change or remove a row, or to skip a number."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from minimize.ledger.tables.base import DIGEST, METADATA, Moment

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("previous", DIGEST),
    Column("digest", DIGEST, nullable=False, unique=True),
    Column("event", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("time", Moment, nullable=False, index=True),
    Column("activity", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("result", String(16), nullable=False),
    Column("actor", Text),
    Column("resource", Text),
    Column("correlation", Text, index=True),
    Index("ix_audit_resource", "resource", "activity", "sequence"),
)
"""What stands behind `signature` repeats parts of the event, for searching; the event is what counts."""
