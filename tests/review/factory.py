"""Policies with some things changed, and the grades of the changes."""

from __future__ import annotations

from typing import Any

from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from minimize.review.changes import ChangeReport, collect_changes
from minimize.review.party_rules import form_changes

BODY: dict[str, Any] = {
    "policy": "p",
    "version": 1,
    "purposes": ["operations", "customer_support"],
    "tenant": "tenant",
    "subject": "device",
    "time": "at",
    "retention": "30d",
    "levels": ["required", "basic", "full"],
    "features": {"location": {"holders": ["admin", "developer"], "retention": "24h"}, "usage": {}},
    "never": ["/contacts", "/sms"],
    "fields": {
        "tenant": {"type": "string", "do": "keep"},
        "device": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "k", "per": "tenant"}}},
        "at": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
        "owner": {"type": "string", "do": "keep"},
        "model": {"type": "string", "role": "quasi", "do": "keep"},
    },
}


def policy(field: dict[str, Any] | None = None, **head: Any) -> Policy:
    """The policy, with a field `f` where one is given."""
    fields = {**BODY["fields"], **head.pop("fields", {})}
    given = {**BODY, **head, "fields": fields | ({} if field is None else {"f": field})}
    return policy_from_mapping({key: value for key, value in given.items() if value is not None})


def between(old: Policy, new: Policy) -> ChangeReport:
    """All changes."""
    return collect_changes(form_changes("policy", old, new, "old", "new"))


def told(old: Policy, new: Policy) -> list[tuple[str, str]]:
    """The codes and grades of all changes."""
    return [(change.code, change.grade) for change in between(old, new).changes]
