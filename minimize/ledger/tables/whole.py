"""All tables of the ledger. A new table is listed here, and gets a migration step."""

from __future__ import annotations

from minimize.ledger.tables.adoptions import ADOPTIONS
from minimize.ledger.tables.audit import AUDIT
from minimize.ledger.tables.base import METADATA, Moment
from minimize.ledger.tables.checkpoints import CHECKPOINTS
from minimize.ledger.tables.consents import CONSENTS
from minimize.ledger.tables.corrections import CORRECTIONS
from minimize.ledger.tables.disclosures import DISCLOSED, DISCLOSURES, RECALLS
from minimize.ledger.tables.events import EVENTS
from minimize.ledger.tables.grants import GRANTS
from minimize.ledger.tables.identity import IDENTITY
from minimize.ledger.tables.incidents import INCIDENTS
from minimize.ledger.tables.leases import LEASES
from minimize.ledger.tables.passes import PASSES, READINGS
from minimize.ledger.tables.requests import REQUESTS
from minimize.ledger.tables.runs import OUTPUTS, RUNS
from minimize.ledger.tables.settings import SETTINGS

__all__ = [
    "ADOPTIONS",
    "AUDIT",
    "CHECKPOINTS",
    "CONSENTS",
    "CORRECTIONS",
    "DISCLOSED",
    "DISCLOSURES",
    "EVENTS",
    "GRANTS",
    "IDENTITY",
    "INCIDENTS",
    "LEASES",
    "METADATA",
    "OUTPUTS",
    "PASSES",
    "READINGS",
    "RECALLS",
    "REQUESTS",
    "RUNS",
    "SETTINGS",
    "Moment",
]
