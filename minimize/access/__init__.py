"""Access control: roles in a file, just-in-time grants for an incident, and the decision on each request.

permissions.py   permissions by name and category, sets of tenants, and the entries of both logs in their scope
roles.py         roles, with the built-in ones
model.py         the access file, with every fault at once: roles, assignments, people and groups
entitlements.py  grants and their state at any time; what the roles and grants of an account permit at a time
decision.py      the decision, from the access file, the grants, the account, the request and the time; its audit event
enforcement.py   the rules in force of a configuration and its ledger, and the permission check by them

An operation asks for its permission by `Workspace.require`, which finds out whose rules decide.
"""

from __future__ import annotations

from minimize.access.decision import AccessDecision, AccessRequest, DatasetColumn, decide_access, decide_permission
from minimize.access.model import AccessRules, AccessScope, RoleAssignment, UserAccount
from minimize.access.permissions import ALL_TENANTS, NO_TENANTS, TenantSet
from minimize.access.roles import AccessRole

__all__ = [
    "ALL_TENANTS",
    "NO_TENANTS",
    "AccessDecision",
    "AccessRequest",
    "AccessRole",
    "AccessRules",
    "AccessScope",
    "DatasetColumn",
    "RoleAssignment",
    "TenantSet",
    "UserAccount",
    "decide_access",
    "decide_permission",
]
