"""Where the audit log begins once its oldest entries are gone. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Table, Text

from minimize.ledger.tables.base import DIGEST, METADATA, Moment

CHECKPOINTS: Final = Table(
    "checkpoints",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", DIGEST, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("before", Moment, nullable=False),
    Column("latest", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
"""`sequence` and `digest` are of the last entry that went, `latest` is the latest time of those, `before` what all are before."""
