"""What happened to tenants and subjects, as it was recorded. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from minimize.ledger.tables.base import METADATA, Moment

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event", String(64), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("forms", Text, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("field", Text, nullable=False, server_default=""),
    Index("ix_events_event", "event"),
)
"""`event` names what a row is about: of rows with one name the last counts. `subject` is a keyed token, empty for a whole
tenant; `forms` are keyed tokens of the forms in which it stands in outputs, as JSON. `field` names the field that has such ids,
empty for the policy's subject."""
