"""What tenants were asked and answered about sharing. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from minimize.ledger.tables.base import METADATA, Moment

CONSENTS: Final = Table(
    "consents",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("consent", String(64), nullable=False, unique=True),
    Column("tenant_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("terms", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("valid_from", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("recorded_at", Moment, nullable=False),
    Index("ix_consents_recipient", "recipient", "function", "tenant_id"),
)
"""`consent` names the row, by a digest of what it says; `terms` is what was asked or agreed to, as JSON."""
