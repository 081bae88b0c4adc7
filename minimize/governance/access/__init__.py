"""Access control: roles in a file, just-in-time grants for an incident, and the decision on each request.

model.py, roles.py     permissions, roles, scopes, people and groups; built-in roles, views, separation of duties
load.py, schema.py     the access file: validation with every fault at once, JSON Schema; lint.py: risky choices
grants.py              grants and their state at any time, from the entries in the ledger
decision.py            the decision, from the access file, the grants, the account, the request and the time
enforcement.py         the access file in force, and the permission check before a command
workflow.py            requests, approvals, break-glass access, reviews, and adoption of a changed access file
explain.py             lists of roles and assignments, and the reasons why a request is allowed or denied
"""

from __future__ import annotations

from minimize.governance.access.decision import (
    AccessDecision,
    AccessRequest,
    DatasetColumn,
    decide_access,
    decide_permission,
)
from minimize.governance.access.grants import Grant, GrantRequest, Grants
from minimize.governance.access.load import access_from_mapping, find_access_file, load_access
from minimize.governance.access.model import (
    ALL_TENANTS,
    NO_TENANTS,
    AccessRole,
    AccessRules,
    AccessScope,
    RoleAssignment,
    TenantSet,
    UserAccount,
)

__all__ = [
    "ALL_TENANTS",
    "NO_TENANTS",
    "AccessDecision",
    "AccessRequest",
    "AccessRole",
    "AccessRules",
    "AccessScope",
    "DatasetColumn",
    "Grant",
    "GrantRequest",
    "Grants",
    "RoleAssignment",
    "TenantSet",
    "UserAccount",
    "access_from_mapping",
    "decide_access",
    "decide_permission",
    "find_access_file",
    "load_access",
]
