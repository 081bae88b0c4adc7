"""Collection settings as they were recorded. The database refuses to change or remove a row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from minimize.ledger.tables.base import METADATA, Moment

SETTINGS: Final = Table(
    "settings",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("setting", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("valid_from", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Index("ix_settings_tenant_id", "tenant_id", "setting"),
)
"""`subject` is a keyed token, empty for a whole tenant; `digest` tells a row that is there already."""
