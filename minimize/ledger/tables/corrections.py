"""What people corrected about themselves. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from minimize.ledger.tables.base import METADATA, Moment

CORRECTIONS: Final = Table(
    "corrections",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
)
"""`subject` is a keyed token; `sealed` is the value, which only the keyring can open."""
