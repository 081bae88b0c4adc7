"""Tokens for the door, and the reads that were begun. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table, Text, UniqueConstraint

from minimize.ledger.tables.base import METADATA, Moment

PASSES: Final = Table(
    "passes",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("token", String(16), nullable=False),
    Column("state", String(8), nullable=False),
    Column("user", Text, nullable=False),
    Column("once", Boolean, nullable=False),
    Column("digest", Text, nullable=False),
    Column("issued_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    UniqueConstraint("token", "state"),
)
"""`token` names it and opens nothing; `digest` is of its secret and of all that is said of it, under a key of the keyring;
`state` is issued, spent or revoked, each once."""

READINGS: Final = Table(
    "readings",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("reading", String(36), nullable=False),
    Column("state", String(8), nullable=False),
    Column("event", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    UniqueConstraint("reading", "state"),
)
"""`state` is begun or ended; `event` is what the audit log is to be told of a read that never ended, as JSON."""
