"""The ledger: one database of everything that concerns more than one output, with an append-only audit log.

    address.py            address of the ledger: a flag, MINIMIZE_LEDGER, minimize.yaml, else `ledger.db` in the output folder
    ledger.py             an open ledger: `read(work)` and `write(work)`, each one transaction
    database.py           connections to SQLite and PostgreSQL, their errors as LedgerError, the file of SQLite
    tables.py             the tables; migrations.py creates them, with their triggers, and upgrades an older ledger
    audit_event.py        audit events; audit_log.py the signed chain of events, and its checkpoints
    audit_check.py        checks the log, alone and against receipts; audit_truncation.py removes entries older than a year
    leases.py             leases: one run at a time writes to an output; runs.py the index of runs, receipts and the log
    subject_tokens.py     keyed tokens in place of subject ids
    access.py incidents.py settings.py sharing.py subjects.py
                          rows recorded with their entry in the audit log, and read back

    api.py                the modules above that use the database, each imported when it is first used

Importing this package does not import SQLAlchemy. Modules that also run without a ledger use `api`.
"""

from __future__ import annotations

from minimize.ledger.address import Address, find_ledger
from minimize.ledger.audit_event import Actor, AuditActivity, AuditEvent, PropertyChange, Resource, current_actor

__all__ = [
    "Actor",
    "Address",
    "AuditActivity",
    "AuditEvent",
    "PropertyChange",
    "Resource",
    "current_actor",
    "find_ledger",
]
