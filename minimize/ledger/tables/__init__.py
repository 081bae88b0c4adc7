"""The ledger's tables, one file a concern. A new one stands here, and gets a migration."""

from __future__ import annotations

from minimize.ledger.tables.audit import AUDIT
from minimize.ledger.tables.base import METADATA, Moment

__all__ = ["AUDIT", "METADATA", "Moment"]
