"""What happened about incidents, step by step. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from minimize.ledger.tables.base import METADATA, Moment

INCIDENTS: Final = Table(
    "incidents",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("incident", Text, nullable=False),
    Column("step", String(16), nullable=False),
    Column("by", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Index("ix_incidents_incident", "incident"),
)
"""Several rows are of one `incident`; `body` is what the step says, as JSON: names, counts and words; no value of a record."""
