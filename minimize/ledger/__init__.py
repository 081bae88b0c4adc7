"""The ledger: one database of everything that concerns more than one output.

What someone decided or what happened is an act in one append-only log. The present state is computed from the acts.

    acts.py               acts, kinds of acts, decisions
    access.py incidents.py releases.py settings.py sharing.py subjects.py
                          the kinds of acts, each a dataclass
    act_log.py            the log of acts in the database: its chain, and removal of bodies
    act_proof.py          proof that the acts are those of which the last signed entry of the audit log names the head
    audit_event.py        audit events and entries; audit_log.py the signed chain of entries, and its checkpoints
    audit_check.py        checks both logs, alone and against receipts; entries as rows, and as NDJSON, JSON or CSV
    audit_truncation.py   removes entries older than a year
    leases.py             leases: one run at a time writes to an output
    runs.py               the index of runs, receipts and the audit log; access_log.py begun and ended reads
    subject_tokens.py     keyed tokens in place of subject ids
    clock.py              plausible times, and since when an act counts

    ledger.py             an open ledger: `find`, `record`, and `read` and `write`, each one transaction; the file of SQLite
    database.py           the address of the ledger; connections to SQLite and PostgreSQL, and their errors as LedgerError
    schema.py             the tables, their triggers, and the migration of an older ledger

Importing this package and the kinds of acts imports no driver of a database.
"""

from __future__ import annotations

from minimize.ledger.audit_event import Actor, AuditActivity, AuditEvent, PropertyChange, Resource, current_actor
from minimize.ledger.database import Address, find_ledger

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
