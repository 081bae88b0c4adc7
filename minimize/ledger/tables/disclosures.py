"""Acts of sharing, and what recipients were told to delete. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from minimize.ledger.tables.base import DIGEST, METADATA, Moment

DISCLOSURES: Final = Table(
    "disclosures",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("disclosure", String(36), nullable=False, unique=True),
    Column("recorded_at", Moment, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("retention_due", Moment),
    Column("body", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Index("ix_disclosures_recipient", "recipient", "recorded_at"),
)
"""What stands before `body` repeats parts of it, for searching; the body is what counts, and what is signed."""

DISCLOSED: Final = Table(
    "disclosed",
    METADATA,
    Column("disclosure", String(36), primary_key=True),
    Column("tenant_id", Text, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("consent", Text, nullable=False),
    Column("key_version", BigInteger),
    Column("tokens", LargeBinary, nullable=False),
    Index("ix_disclosed_tenant_id", "tenant_id"),
)
"""One row a tenant. `tokens` are those of its subjects, 16 bytes each, ascending; `key_version` is of their key."""

RECALLS: Final = Table(
    "recalls",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("disclosure", String(36), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Index("uq_recalls_state", "disclosure", "tenant_id", "state", unique=True),
    Index("ix_recalls_recipient", "recipient"),
)
"""`state` is `requested`, then `confirmed`, each once for what was sent of a tenant."""
