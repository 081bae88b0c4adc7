"""Who may do what: roles as a file, grants for a limited time, and the one function that decides.

model.py, builtin.py   roles, scopes, people and groups, typed; the roles that no file changes
load.py, read.py       the file, with every fault at once; checks.py, conflicts.py what must hold between its parts
grants.py              what was asked for, and what became of it at any time, from the ledger's acts
deciding.py            the decision, from the file, the grants, the account, what it wants, and the time
"""

from __future__ import annotations

from minimize.governance.access.deciding import decide, permit
from minimize.governance.access.grants import Asked, Grant, Grants
from minimize.governance.access.load import access_from, find_access, load_access
from minimize.governance.access.model import Access, Account, Assignment, Role, Scope
from minimize.governance.access.tenants import EVERYBODY, NOBODY, Tenants
from minimize.governance.access.wanted import Column, Decision, Wanted

__all__ = [
    "EVERYBODY",
    "NOBODY",
    "Access",
    "Account",
    "Asked",
    "Assignment",
    "Column",
    "Decision",
    "Grant",
    "Grants",
    "Role",
    "Scope",
    "Tenants",
    "Wanted",
    "access_from",
    "decide",
    "find_access",
    "load_access",
    "permit",
]
