"""The roles that every house has, and that no file changes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from minimize.governance.access.model import Role
from minimize.governance.access.permissions import PERMISSIONS, Permission, permissions

_ANALYST: Final = permissions("dataset/read:pseudonymized")
_OPERATOR: Final = permissions(
    "dataset/read:aggregated",
    "settings/read",
    "settings/set",
    "event/record",
    "output/expire",
    "output/retract",
    "keys/add",
    "keys/rotate",
    "incident/read",
    "incident/open",
    "token/revoke",
)
_SUPPORT: Final = permissions(
    "grant/request",
    "grant/break_glass",
    "grant/read",
    "dataset/reidentify",
    "remote_tasks/locate",
    "incident/read",
    "incident/open",
)
_OFFICER: Final = tuple(
    permission
    for name in PERMISSIONS
    if name.partition("/")[0] in ("subject", "settings", "consent", "share", "incident", "audit")
    for permission in permissions(name)
) + permissions(
    "dataset/read:aggregated",
    "grant/approve",
    "grant/revoke",
    "grant/review",
    "grant/read",
    "roles/read",
    "event/record",
    "output/expire",
    "output/retract",
    "output/adopt",
    "policy/approve",
    "keys/shred",
)
_AUDITOR: Final = permissions(
    "audit/read",
    "audit/export",
    "grant/read",
    "roles/read",
    "settings/read",
    "consent/read",
    "share/read",
    "incident/read",
)
_ADMINISTRATOR: Final = permissions("roles/read", "roles/assign", "token/make", "token/revoke")
_NOT_THE_AUDITOR: Final = tuple(each for name in PERMISSIONS if (each := Permission(name)).writes)


def _role(name: str, about: str, allow: tuple[Permission, ...], deny: tuple[Permission, ...] = ()) -> Role:
    return Role(name=name, base=name, about=about, allow=allow, deny=deny)


BUILTIN: Final[Mapping[str, Role]] = MappingProxyType(
    {
        role.name: role
        for role in (
            _role("analyst", "reads what names nobody", _ANALYST),
            _role("operator", "keeps pipelines running, and reads counts", _OPERATOR),
            _role(
                "support_engineer",
                "locates lost devices, and sees data only under a grant for an incident",
                _SUPPORT,
            ),
            _role("privacy_officer", "decides about consents, subjects, incidents and the access of others", _OFFICER),
            _role("auditor", "sees what was done, and changes nothing", _AUDITOR, _NOT_THE_AUDITOR),
            _role("role_administrator", "gives roles and tokens to others, and sees no data", _ADMINISTRATOR),
        )
    }
)
"""By name."""
