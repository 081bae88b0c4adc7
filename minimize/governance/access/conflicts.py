"""Separation of duties: which roles one person cannot have together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Final

from minimize.governance.access.model import Access, Account, Role
from minimize.governance.access.permissions import APPROVE, ASSIGN, BREAK_GLASS, READ, REQUEST

DUTIES: Final = (
    (REQUEST, APPROVE),
    (BREAK_GLASS, APPROVE),
    (BREAK_GLASS, "grant/review"),
    (ASSIGN, APPROVE),
    (ASSIGN, REQUEST),
    (ASSIGN, READ),
)
"""Who does the one does not do the other, by whichever roles."""
AUDITOR: Final = "auditor"
Pair = tuple[str, str]


def clash(roles: Iterable[Role], conflicts: Sequence[Pair] = ()) -> Pair | None:
    """Two roles that one person cannot have together; None where all get along. A role can be in its own way.

    Takes the roles of one person, and pairs of names that the house adds.
    """
    every = list({role.name: role for role in roles}.values())
    pairs = (*((role, role) for role in every), *combinations(every, 2))
    return next(((one.name, other.name) for one, other in pairs if _clash(one, other, conflicts)), None)


def clash_of(access: Access, account: Account) -> Pair | None:
    """Two such roles of the person whose account it is."""
    return clash((role for _, role in access.held_by_person(account)), access.conflicts)


def _clash(one: Role, other: Role, conflicts: Sequence[Pair]) -> bool:
    names = {one.name, other.name}
    if len(names) == 2 and any(set(pair) == names for pair in conflicts):
        return True
    return _watches(one, other) or _watches(other, one) or any(_split(one, other, *duty) for duty in DUTIES)


def _watches(auditor: Role, other: Role) -> bool:
    return auditor.base == AUDITOR and any(permission.writes for permission in other.allow)


def _split(one: Role, other: Role, duty: str, duty_of_others: str) -> bool:
    return any(a.has(duty) and b.has(duty_of_others) for a, b in product((one, other), repeat=2))
