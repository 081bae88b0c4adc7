"""What may be asked for: a wish, and the role by which somebody may have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from minimize.canonical import canonical_text
from minimize.errors import AccessDenied, PolicyError
from minimize.governance.access.conflicts import clash_of
from minimize.governance.access.grants import Asked, Operation
from minimize.governance.access.holding import Holding
from minimize.governance.access.model import Assignment, Role
from minimize.governance.access.permissions import BREAK_GLASS, REIDENTIFY, REQUEST
from minimize.governance.access.reasons import reason
from minimize.governance.access.tenants import Tenants
from minimize.plan.model import Category
from minimize.techniques.redact import Redact

_SECOND: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """Access that somebody wants: for which incident, why, to what, of whom, for how long.

    columns   these, or, in their place, all up to a category
    duration  what the access file says where nothing is said here
    """

    incident: str
    justification: str
    dataset: str
    tenants: tuple[str, ...]
    columns: tuple[str, ...] | None = None
    category: Category | None = None
    duration: timedelta | None = None
    operation: Operation = "read"


def check_wish(wish: Wish) -> None:
    """Raises PolicyError for a wish that says too little, or more than it needs."""
    wrong = {
        "the incident that it is for": not wish.incident.strip(),
        "why it is needed": not wish.justification.strip(),
        "the dataset": not wish.dataset.strip("/ "),
        "the tenants, by name": not all(map(canonical_text, wish.tenants)) or not wish.tenants or "all" in wish.tenants,
        "columns, or the category up to which": (not wish.columns) == (wish.category is None),
        "how long, in whole seconds": wish.duration is not None
        and (wish.duration < _SECOND or wish.duration % _SECOND != timedelta(0)),
    }
    missing = [what for what, is_so in wrong.items() if is_so]
    if missing:
        raise PolicyError("the request must say " + "; ".join(missing), hint="as little as the incident needs")


def asked_by(holding: Holding, wish: Wish, *, break_glass: bool) -> Asked:
    """What an account asks for, by the role that lets it. Raises AccessDenied where none does, or for so long."""
    rules = holding.access.grants
    longest = rules.break_glass.maximum if break_glass else rules.maximum
    duration = wish.duration or min(rules.default, longest)
    if duration > longest:
        raise _denied("too_long", hint=f"at most {longest / _HOUR:g}h")
    if clash_of(holding.access, holding.account) is not None:
        raise _denied("conflict")
    name = BREAK_GLASS if break_glass else REQUEST
    found = next(_letting(holding, wish, name), None)
    if found is None:
        held = any(role.has(name) for _, role in holding.access.held(holding.account))
        raise _denied("out_of_scope" if held else "nobody")
    assignment, role = found
    groups = set() if holding.account.user in assignment.users else holding.access.groups_of(holding.account)
    return as_asked(wish, duration, role.name, tuple(sorted(groups & set(assignment.groups))))


def as_asked(wish: Wish, duration: timedelta, role: str = "", groups: tuple[str, ...] = ()) -> Asked:
    """The wish as the ledger keeps it: each name once, and marks in place of what looks like somebody's in its words."""
    return Asked(
        wish.incident,
        marked(wish.justification),
        wish.dataset,
        tuple(dict.fromkeys(map(canonical_text, wish.tenants))),
        wish.duration or duration,
        None if wish.columns is None else tuple(dict.fromkeys(wish.columns)),
        wish.category,
        wish.operation,
        role,
        groups,
    )


def marked(text: str) -> str:
    """A text with marks in place of addresses, numbers and the like. Names of people stay: nobody should write them.

    >>> marked("ann@example.com called from 203.0.113.7")
    '[email] called from [ip]'
    """
    return Redact().redacted(text)


def _letting(holding: Holding, wish: Wish, name: str) -> Iterator[tuple[Assignment, Role]]:
    """The assignments by which all of the wish may be asked for."""
    whose = Tenants.of(*wish.tenants)
    refused = holding.denied(name, wish.dataset, None, wish.category)
    reversing = wish.operation == "read" or whose <= holding.may(REIDENTIFY, wish.dataset)
    for assignment, role, _ in holding.allowing(name, wish.dataset, None, wish.category):
        if reversing and whose <= assignment.scope.tenants - refused:
            yield assignment, role


def _denied(rule: str, hint: str = "") -> AccessDenied:
    return AccessDenied("the request is refused", reasons=[reason(rule, hint=hint)])
