"""The tenants that the ledger names: those with settings, consents, disclosures, or something that happened."""

from __future__ import annotations

from sqlalchemy import Connection, select

from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.consents import CONSENTS
from minimize.ledger.tables.disclosures import DISCLOSED
from minimize.ledger.tables.events import EVENTS
from minimize.ledger.tables.settings import SETTINGS


def tenants_named(ledger: Ledger | None) -> frozenset[str]:
    """The tenants that settings, consents, disclosures and events name; none without a ledger. Raises LedgerError."""
    return frozenset() if ledger is None else ledger.read(_named)


def _named(connection: Connection) -> frozenset[str]:
    rows = (connection.execute(select(each.c.tenant_id).distinct()) for each in (SETTINGS, CONSENTS, DISCLOSED, EVENTS))
    return frozenset(row.tenant_id for found in rows for row in found)
