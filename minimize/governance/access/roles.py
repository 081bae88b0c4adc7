"""Roles: the built-in roles, separation of duties, and the views that show a role coarser columns.

Built-in roles cannot be changed by a file. A view is computed from the released value alone, so it reveals no more
than that value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product
from types import MappingProxyType
from typing import Final

from minimize.governance.access.model import (
    APPROVE,
    ASSIGN,
    BREAK_GLASS,
    PERMISSIONS,
    READ,
    REQUEST,
    AccessRole,
    AccessRules,
    Permission,
    UserAccount,
    covers,
    parse_permissions,
)
from minimize.policy.fields import compare_coarseness
from minimize.techniques import Technique, TechniqueStep
from minimize.techniques.presence import Presence

_ANALYST: Final = parse_permissions("dataset/read:pseudonymized")
_OPERATOR: Final = parse_permissions(
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
_SUPPORT: Final = parse_permissions(
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
    for permission in parse_permissions(name)
) + parse_permissions(
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
_AUDITOR: Final = parse_permissions(
    "audit/read",
    "audit/export",
    "grant/read",
    "roles/read",
    "settings/read",
    "consent/read",
    "share/read",
    "incident/read",
)
_ADMINISTRATOR: Final = parse_permissions("roles/read", "roles/assign", "token/make", "token/revoke")
_DENIED_TO_AUDITOR: Final = tuple(each for name in PERMISSIONS if (each := Permission(name)).writes)


def _builtin_role(
    name: str, about: str, allow: tuple[Permission, ...], deny: tuple[Permission, ...] = ()
) -> AccessRole:
    return AccessRole(name=name, base=name, about=about, allow=allow, deny=deny)


BUILTIN_ROLES: Final[Mapping[str, AccessRole]] = MappingProxyType(
    {
        role.name: role
        for role in (
            _builtin_role("analyst", "reads what names nobody", _ANALYST),
            _builtin_role("operator", "keeps pipelines running, and reads counts", _OPERATOR),
            _builtin_role(
                "support_engineer",
                "locates lost devices, and sees data only under a grant for an incident",
                _SUPPORT,
            ),
            _builtin_role(
                "privacy_officer", "decides about consents, subjects, incidents and the access of others", _OFFICER
            ),
            _builtin_role("auditor", "sees what was done, and changes nothing", _AUDITOR, _DENIED_TO_AUDITOR),
            _builtin_role("role_administrator", "gives roles and tokens to others, and sees no data", _ADMINISTRATOR),
        )
    }
)
"""By name."""


SEPARATED_DUTIES: Final = (
    (REQUEST, APPROVE),
    (BREAK_GLASS, APPROVE),
    (BREAK_GLASS, "grant/review"),
    (ASSIGN, APPROVE),
    (ASSIGN, REQUEST),
    (ASSIGN, READ),
)
"""Who does the one does not do the other, by whichever roles."""
AUDITOR: Final = "auditor"
RolePair = tuple[str, str]


def find_conflict(roles: Iterable[AccessRole], conflicts: Sequence[RolePair] = ()) -> RolePair | None:
    """Two roles that one person cannot have together; None where all get along. A role can be in its own way.

    Takes the roles of one person, and pairs of names that the house adds.
    """
    every = list({role.name: role for role in roles}.values())
    pairs = (*((role, role) for role in every), *combinations(every, 2))
    return next(((one.name, other.name) for one, other in pairs if _are_in_conflict(one, other, conflicts)), None)


def find_account_conflict(access: AccessRules, account: UserAccount) -> RolePair | None:
    """Two such roles of the person whose account it is."""
    return find_conflict((role for _, role in access.assignments_of_person(account)), access.conflicts)


def _are_in_conflict(one: AccessRole, other: AccessRole, conflicts: Sequence[RolePair]) -> bool:
    names = {one.name, other.name}
    if len(names) == 2 and any(set(pair) == names for pair in conflicts):
        return True
    return (
        _audits_and_writes(one, other)
        or _audits_and_writes(other, one)
        or any(_holds_both_duties(one, other, *duty) for duty in SEPARATED_DUTIES)
    )


def _audits_and_writes(auditor: AccessRole, other: AccessRole) -> bool:
    return auditor.base == AUDITOR and any(permission.writes for permission in other.allow)


def _holds_both_duties(one: AccessRole, other: AccessRole, duty: str, duty_of_others: str) -> bool:
    return any(a.has(duty) and b.has(duty_of_others) for a, b in product((one, other), repeat=2))


RoleView = tuple[Technique, ...]


def is_view_step(step: TechniqueStep) -> bool:
    """Whether a step makes a coarser form of what was released: it needs nothing but the value.

    What is worked out from the released value alone tells no more than that value; a key or another column could.
    """
    return isinstance(step, Technique) and not (step.reads() or step.key_names or step.needs_time)


def views_of_column(role: AccessRole, dataset: str, column: str) -> list[RoleView]:
    """The views that a role sets on a column of a dataset."""
    found = [columns[column] for name, columns in role.views.items() if covers(name, dataset) and column in columns]
    return _distinct_views(found)


def coarsest_view(views: Iterable[RoleView]) -> RoleView | None:
    """The one of several views that shows least; None where there is no such one. Without any view: nothing to do.

    Roles add up in what they allow, and views are what they hold back: whoever has several sees the least of them.
    """
    every = _distinct_views([*views])
    return next((view for view in every if all(_is_coarser(other, view) for other in every)), None) if every else ()


def shows_less(view: RoleView, form: Sequence[TechniqueStep]) -> bool:
    """Whether a view can show less than a column that was released in a form: nothing says that it shows the same."""
    if len(view) == len(form) == 1 and view[0].name == form[0].name:
        return (
            compare_coarseness(view[0].name, form[0].model_dump(), view[0].model_dump()) == "coarser"
            and view[0] != form[0]
        )
    return bool(view)


def _is_coarser(one: RoleView, other: RoleView) -> bool:
    """Whether the second of two views shows no more than the first."""
    if one == other or isinstance(other[-1], Presence):
        return True
    if len(one) != 1 or len(other) != 1 or one[0].name != other[0].name:
        return False
    return compare_coarseness(one[0].name, one[0].model_dump(), other[0].model_dump()) == "coarser"


def _distinct_views(views: Sequence[RoleView]) -> list[RoleView]:
    """Each of them once; a technique may hold what cannot be hashed."""
    return [view for at, view in enumerate(views) if view not in views[:at]]
