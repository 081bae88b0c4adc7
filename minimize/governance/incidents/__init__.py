"""Incidents: what was exposed, whom it affects, and who is told of it by when.

exposed.py    what was exposed, as people name it
incident.py   an incident as its steps in the ledger make it; acting.py the steps
reached.py    which files it reached, reads.py by which reads, copies.py at which recipients
counting.py   what those hold of each tenant, with persons.py, columns.py and heads.py; scoping.py `scope`
unmatched.py  what it names and nothing matches, by what ground.py finds without reading files
noticing.py   `notice`, with wording.py, pages.py and contacts.py
"""

from __future__ import annotations

from minimize.governance.incidents.acting import (
    Case,
    agree,
    close,
    declare,
    exempt,
    measure,
    named,
    open_incident,
    recorded,
)
from minimize.governance.incidents.contacts import Contacts, find_contacts, lint_contacts, load_contacts
from minimize.governance.incidents.exposed import Exposed, Exposure
from minimize.governance.incidents.incident import Incident
from minimize.governance.incidents.noticing import Drafted, draft, sent
from minimize.governance.incidents.scoping import Scope, scope, scope_of
from minimize.governance.incidents.unmatched import nothing_matches

__all__ = [
    "Case",
    "Contacts",
    "Drafted",
    "Exposed",
    "Exposure",
    "Incident",
    "Scope",
    "agree",
    "close",
    "declare",
    "draft",
    "exempt",
    "find_contacts",
    "lint_contacts",
    "load_contacts",
    "measure",
    "named",
    "nothing_matches",
    "open_incident",
    "recorded",
    "scope",
    "scope_of",
    "sent",
]
