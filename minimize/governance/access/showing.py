"""Roles and grants shown: who may do what, what was asked for, and why somebody may see something or not, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from minimize.errors import PolicyError
from minimize.governance.access.asking import account_of, load_grants, required_access
from minimize.governance.access.deciding import decide, permit
from minimize.governance.access.grants import Grant, Grants, Operation
from minimize.governance.access.model import Access, Account, Assignment, Role
from minimize.governance.access.permissions import PERMISSIONS, highest
from minimize.governance.access.planned import wanted_of
from minimize.governance.access.wanted import Decision, Wanted
from minimize.inspection import plan_for
from minimize.ledger import actor_of
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


def listed(house: House, at: datetime, *, incident: str | None = None, over: bool = False) -> list[Grant]:
    """The grants that whoever acts here may see, as they stood at a time: their own, and those of tenants in their scope.

    Takes the incident, and whether those that are over are wanted, too; access that waits for its review is never over.
    Raises PolicyError, LedgerError, KeyringError.
    """
    access, account = required_access(house), account_of(actor_of())
    scope = permit(access, account, "grant/read", at).tenants
    return [
        each
        for each in grants_of(house).every
        if (each.requester == account.user or each.tenants <= scope)
        and incident in (None, each.asked.incident)
        and (each.state(at) in ("requested", "active") or over or each.review(at) in ("due", "overdue"))
        and each.state(at) is not None
    ]


def why(
    house: House,
    account: Account,
    dataset: str,
    columns: Sequence[str] | None,
    at: datetime,
    *,
    purpose: str | None = None,
    incident: str | None = None,
    operation: Operation = "read",
) -> Why:
    """Why an account may see columns of a dataset at a time, or not, by the plan of the house's pipeline.

    Raises PolicyError for a dataset or column that is not there, LedgerError, KeyringError.
    """
    access, job = required_access(house), house.job
    pipeline = dataset.partition("/")[0]
    if job is None or job.pipeline != pipeline:
        raise PolicyError(f"there is no pipeline `{pipeline}` here", hint="say --pipeline")
    names = {"purpose": purpose, "incident": incident}
    wanted = wanted_of(plan_for(job), dataset, columns, **names, operation=operation)
    return explained(access, Grants() if incident is None else grants_of(house), account, wanted, at)


def why_act(house: House, account: Account, permission: str, at: datetime, *, tenant: str | None = None) -> Why:
    """Why an account may do something that shows no data, about a tenant or all of them, or not. Raises PolicyError."""
    access = required_access(house)
    decision = permit(access, account, permission, at, tenant=tenant)
    return Why(decision, tuple(_steps(access, Grants(), account, decision)))


def explained(access: Access, grants: Grants, account: Account, wanted: Wanted, at: datetime) -> Why:
    """The decision, and the steps to it."""
    decision = decide(access, grants, account, wanted, at)
    return Why(decision, tuple(_steps(access, grants, account, decision)))


def grid(access: Access) -> list[tuple[str, list[str]]]:
    """By permission, what each role has of it: `yes` or the category up to which, `no` where it denies."""
    return [(name, [_cell(role, name) for role in access.roles.values()]) for name in PERMISSIONS]


def role_lines(access: Access) -> list[str]:
    """The roles of the house, as people read them."""
    return [_role_line(role) for role in access.roles.values() if not role.is_builtin]


def assignment_lines(access: Access) -> list[str]:
    """Who has which role where, as people read it."""
    return [f"{each.role}: {', '.join(members(each))} ({scope_text(each)})" for each in access.assignments]


def _role_line(role: Role) -> str:
    shown = {
        dataset: {name: list(map(repr, view)) for name, view in each.items()} for dataset, each in role.views.items()
    }
    parts = [
        f"allow {', '.join(map(str, role.allow)) or 'nothing'}",
        *([f"deny {', '.join(map(str, role.deny))}"] if role.deny else []),
        *([f"views {shown}"] if shown else []),
    ]
    return f"role {role.name}, a copy of {role.base}: {'; '.join(parts)}"


def _cell(role: Role, name: str) -> str:
    denied = [each.category for each in role.deny if each.name == name]
    allowed = [each.category for each in role.allow if each.name == name]
    if denied and (None in denied or not allowed):
        return "no"
    word = "" if not allowed else "yes" if None in allowed else str(highest(each for each in allowed if each))
    return f"{word}, not {denied[0]}" if denied else word


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
    if not decision.columns:
        return f"allowed; tenants {decision.tenants}"
    views = f", {', '.join(decision.views)} in a coarser form" if decision.views else ""
    return f"allowed: {', '.join(decision.columns)}{views}; tenants {decision.tenants}{until}"
