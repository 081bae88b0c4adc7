"""Access files that were adopted, by who may assign roles. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from minimize.ledger.tables.base import DIGEST, METADATA, Moment

ADOPTIONS: Final = Table(
    "adoptions",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("digest", DIGEST, nullable=False),
    Column("content", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
"""`content` is the file as it was adopted; the last row is the one that counts."""
