"""The identity of a ledger: a random id, made with it. The database refuses to change or remove it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, String, Table

from minimize.ledger.tables.base import METADATA

IDENTITY: Final = Table("identity", METADATA, Column("ledger", String(32), primary_key=True))
"""One row."""
