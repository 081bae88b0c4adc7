"""What people asked about themselves, and how far each request is. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from minimize.ledger.tables.base import METADATA, Moment

REQUESTS: Final = Table(
    "requests",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Index("ix_requests_request", "request"),
)
"""`request` names what a row is about: of rows with one name the last counts. `subject` is a keyed token, empty for a whole
tenant; `body` is counts, ids of receipts and of disclosures, as JSON."""
