"""Access control: roles in a file, just-in-time grants for an incident, and the decision on each request.

permissions.py         permissions by name and category, and sets of tenants
roles.py, model.py     the forms of the access file: roles with the built-in ones, assignments, people and groups
load.py, lint.py       the access file with every fault at once; risky choices
new_file.py            a first access file, with an account per built-in role
grants.py              grants and their state at any time, from the entries in the ledger
entitlements.py        what the roles and grants of an account permit at a time, and the views of its roles
decision.py            the decision, from the access file, the grants, the account, the request and the time
enforcement.py         the access file in force, and the permission check before a command
overrides.py           the permission to replace what a pipeline names
incident_grants.py     the incident that a grant needs, and grants that end with it
workflow.py            requests, approvals, break-glass access, reviews, and adoption of a changed access file
explain.py             lists of roles and assignments, and the reasons why a request is allowed or denied
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
