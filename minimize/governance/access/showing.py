"""Roles and grants shown: who may do what, what was asked for, and why somebody may see something or not, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from minimize.governance.access.asking import load_grants
from minimize.governance.access.deciding import decide
from minimize.governance.access.grants import Grant, Grants
from minimize.governance.access.model import Access, Account, Assignment, Role
from minimize.governance.access.wanted import Decision, Wanted
from minimize.switching import House


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at on the way to a decision."""

    what: str
    found: str

    def __str__(self) -> str:
        return f"{self.what}: {self.found}"


@dataclass(frozen=True, slots=True)
class Why:
    """A decision, and the steps to it."""

    decision: Decision
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, Any]:
        """What `access why --json` prints."""
        return {**self.decision.as_json(), "steps": [{"what": each.what, "found": each.found} for each in self.steps]}


def grants_of(house: House) -> Grants:
    """All grants of a house's ledger. Raises LedgerError, KeyringError."""
    keys = house.keyring()
    with house.opened() as ledger:
        return load_grants(ledger, keys)


def why(access: Access, grants: Grants, account: Account, wanted: Wanted, at: datetime) -> Why:
    """Why an account may see what it wants at a time, or not."""
    decision = decide(access, grants, account, wanted, at)
    return Why(decision, tuple(_steps(access, grants, account, decision)))


def unreviewed(grants: Grants, at: datetime) -> list[Grant]:
    """Access that nobody approved, and nobody has reviewed yet."""
    return [each for each in grants.every if each.review(at) in ("due", "overdue")]


def as_json(access: Access) -> dict[str, Any]:
    """Who may do what, as `access show --json` prints it."""
    return {
        "file": None if access.path is None else str(access.path),
        "digest": access.digest,
        "roles": [_role(access, role) for role in access.roles.values()],
        "assignments": [_assignment(each) for each in access.assignments],
    }


def _role(access: Access, role: Role) -> dict[str, Any]:
    return {
        "role": role.name,
        "copy": None if role.is_builtin else role.base,
        "about": role.about,
        "allow": [str(each) for each in role.allow],
        "deny": [str(each) for each in role.deny],
        "views": {
            dataset: {name: [step.name for step in view] for name, view in columns.items()}
            for dataset, columns in role.views.items()
        },
        "members": sorted({name for each in access.assignments if each.role == role.name for name in members(each)}),
    }


def _assignment(each: Assignment) -> dict[str, Any]:
    scope = each.scope
    return {
        "role": each.role,
        "users": list(each.users),
        "groups": list(each.groups),
        "tenants": str(scope.tenants),
        "datasets": None if scope.datasets is None else list(scope.datasets),
        "purposes": None if scope.purposes is None else list(scope.purposes),
    }


def members(each: Assignment) -> Iterator[str]:
    """Users, and groups marked as such."""
    yield from each.users
    yield from (f"@{group}" for group in each.groups)


def scope_text(each: Assignment) -> str:
    """The scope of an assignment, as people read it."""
    scope = each.scope
    parts = [f"tenants {scope.tenants}", f"datasets {', '.join(scope.datasets or ('all',))}"]
    return "; ".join([*parts, *([f"purposes {', '.join(scope.purposes)}"] if scope.purposes else [])])


def _steps(access: Access, grants: Grants, account: Account, decision: Decision) -> Iterator[Step]:
    person, groups = access.person(account.user), sorted(access.groups_of(account))
    yield Step("account", account.user + (f", of {person}" if person != account.user else ""))
    yield Step("groups", ", ".join(groups) or "none")
    for assignment, role in access.held(account):
        inside = "in scope" if assignment.scope.has_dataset(decision.dataset) else "of other datasets"
        yield Step(f"role {role.name}", f"{scope_text(assignment)} ({inside})")
        if role.deny:
            yield Step(f"role {role.name} denies", ", ".join(map(str, role.deny)))
    if decision.incident is not None:
        found = list(grants.of(account.user, decision.incident))
        for each in found:
            yield Step(f"grant {each.id}", f"{each.state(decision.at) or 'not asked for yet'}, {each.asked.dataset}")
        if not found:
            yield Step("grants", f"none for {decision.incident}")
    yield from (
        Step(each.code, str(each) + (f" ({', '.join(each.fields)})" if each.fields else ""))
        for each in decision.reasons
    )
    yield Step("decision", _told(decision))


def _told(decision: Decision) -> str:
    if not decision.allowed:
        return "denied"
    until = "" if decision.until is None else f", until {decision.until:%Y-%m-%dT%H:%M:%SZ}"
    views = f", {', '.join(decision.views)} in a coarser form" if decision.views else ""
    return f"allowed: {', '.join(decision.columns)}{views}; tenants {decision.tenants}{until}"
