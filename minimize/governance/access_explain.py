"""Explain access: columns of a dataset by its plan, permissions of roles, grants, and each step to a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from minimize.access.decision import AccessDecision, AccessRequest, DatasetColumn, decide_access, decide_permission
from minimize.access.entitlements import AccessOperation, Grant, Grants, load_grants, view_steps
from minimize.access.model import AccessRules, RoleAssignment, UserAccount, account_of_actor
from minimize.access.permissions import PERMISSIONS
from minimize.access.roles import AccessRole
from minimize.datasets.pipelines import find_pipeline
from minimize.datasets.reader import load_receipts
from minimize.errors import MinimizeError, PolicyError
from minimize.ledger import current_actor
from minimize.ledger.runs import output_locations
from minimize.plan import Plan
from minimize.plan.model import FieldPlan, highest_category
from minimize.policy.pipeline import Pipeline
from minimize.records import RECORDS
from minimize.results import JsonResult, Line, json_member
from minimize.runs.inspection import make_plan
from minimize.stores import parse_output_location
from minimize.text import did_you_mean, did_you_mean_any, similar_words
from minimize.times import seconds_text
from minimize.workspace import Workspace

NO_COMMON_PURPOSE: Final = ""
"""Placeholder for purposes without a common element. No request can name it."""


def dataset_columns(plan: Plan, output: str = RECORDS) -> tuple[DatasetColumn, ...]:
    """The columns of an output, each with its category and the purposes that all of its fields permit.

    Raises PolicyError for an unknown output.
    """
    table = plan.outputs.get(output)
    if table is None:
        raise PolicyError(f"unknown output `{output}`", hint=did_you_mean(output, plan.outputs))
    if output != RECORDS:
        return tuple(DatasetColumn(name, table.category) for name in table.schema.names)
    return tuple(
        _dataset_column(name, [each for each in plan.fields.values() if _is_within_column(each, name)])
        for name in table.schema.names
    )


def plan_access_request(
    plan: Plan,
    dataset: str,
    columns: Sequence[str] | None = None,
    *,
    purpose: str | None = None,
    incident: str | None = None,
    operation: AccessOperation = "read",
) -> AccessRequest:
    """Builds an access request for columns of a dataset. Without columns, requests all permitted ones.

    Raises PolicyError for an unknown output or column.
    """
    output = dataset.partition("/")[2] or RECORDS
    known_columns = {column.name: column for column in dataset_columns(plan, output)}
    for name in columns or ():
        if name not in known_columns:
            raise PolicyError(f"`{dataset}` has no column `{name}`", hint=did_you_mean(name, known_columns))
    named = (
        tuple(known_columns.values())
        if columns is None
        else tuple(known_columns[name] for name in dict.fromkeys(columns))
    )
    purposes, tenant = tuple(plan.policy.purposes), plan.policy.tenant
    keys = set(known_columns) if output == RECORDS else _released_group_fields(plan, output)
    return AccessRequest(
        dataset=dataset,
        columns=named,
        purpose=purpose,
        incident=incident,
        operation=operation,
        whole=columns is None,
        purposes=purposes,
        by_tenant=tenant is not None and tenant in keys,
    )


def _dataset_column(name: str, fields: Sequence[FieldPlan]) -> DatasetColumn:
    """Combines nested fields into one column, with the highest category and the common purposes of the fields."""
    category = highest_category(each.category or "identified" for each in fields) if fields else "identified"
    limited = [each.field.purposes for each in fields if each.field.purposes]
    common = tuple(word for word in limited[0] if all(word in each for each in limited)) if limited else ()
    return DatasetColumn(name, category, common or ((NO_COMMON_PURPOSE,) if limited else ()))


def _is_within_column(field: FieldPlan, column: str) -> bool:
    return field.gives is not None and field.pointer.top == column


def _released_group_fields(plan: Plan, output: str) -> set[str]:
    """The released fields that an aggregate shows unchanged, under their own name."""
    return {name for name, key in plan.aggregates[output].model.group_by.items() if name == key.field}


@dataclass(frozen=True, slots=True)
class DecisionStep:
    """One step of an access decision."""

    what: str
    found: str

    def __str__(self) -> str:
        return f"{self.what}: {self.found}"


@dataclass(frozen=True, slots=True)
class AccessExplanation(JsonResult):
    """An access decision with the steps that led to it."""

    decision: AccessDecision = field(metadata=json_member(merge=True))
    steps: tuple[DecisionStep, ...]

    @property
    def exit_code(self) -> int:
        """3 if access is denied."""
        return 0 if self.decision.allowed else 3

    def lines(self) -> Iterator[str]:
        """The steps."""
        return map(str, self.steps)


def recorded_grants(workspace: Workspace) -> Grants:
    """Reads all grants of the configured ledger. Raises LedgerError, KeyringError."""
    with workspace.open_ledger(signs=True) as ledger:
        return load_grants(ledger)


def list_grants(workspace: Workspace, at: datetime, *, incident: str | None = None, over: bool = False) -> list[Grant]:
    """The grants that the current actor may see, as of a time: their own, and those of tenants in their scope.

    `over` includes grants that have ended. Break-glass access that awaits its review has not ended. Raises PolicyError,
    LedgerError, KeyringError.
    """
    access, account = workspace.required_access, account_of_actor(current_actor())
    scope = decide_permission(access, account, "grant/read", at).tenants
    return [
        each
        for each in recorded_grants(workspace).all_grants
        if (each.requester == account.user or each.tenants <= scope)
        and incident in (None, each.request.incident)
        and (each.state(at) in ("requested", "active") or over or each.review(at) in ("due", "overdue"))
        and each.state(at) is not None
    ]


def explain_access(
    workspace: Workspace,
    account: UserAccount,
    dataset: str,
    columns: Sequence[str] | None,
    at: datetime,
    *,
    tenant: str | None = None,
    purpose: str | None = None,
    incident: str | None = None,
    operation: AccessOperation = "read",
) -> AccessExplanation:
    """Explains whether an account may read columns of a dataset at a time, by the plan of the configured pipeline.

    If `dataset` is a permission, explains whether the account has it for one or all tenants. Raises PolicyError for an unknown
    dataset or column, LedgerError, KeyringError.
    """
    if dataset in PERMISSIONS:
        return explain_permission(workspace, account, dataset, at, tenant=tenant)
    access, job = workspace.required_access, workspace.loaded_pipeline
    pipeline = dataset.partition("/")[0]
    if job is None or job.pipeline != pipeline:
        close = similar_words(dataset, PERMISSIONS)
        if close:
            raise PolicyError(f"unknown permission `{dataset}`", hint=did_you_mean_any(close))
        raise PolicyError(f"unknown pipeline `{pipeline}`", hint="Pass --pipeline.")
    names = {"purpose": purpose, "incident": incident}
    request = plan_access_request(make_plan(job), dataset, columns, **names, operation=operation)
    return explain_decision(access, Grants() if incident is None else recorded_grants(workspace), account, request, at)


def explain_permission(
    workspace: Workspace, account: UserAccount, permission: str, at: datetime, *, tenant: str | None = None
) -> AccessExplanation:
    """Explains whether an account may perform an operation that shows no data, for one or all tenants. Raises PolicyError."""
    access = workspace.required_access
    decision = decide_permission(access, account, permission, at, tenant=tenant)
    return AccessExplanation(decision, tuple(_decision_steps(access, Grants(), account, decision)))


def explain_decision(
    access: AccessRules, grants: Grants, account: UserAccount, request: AccessRequest, at: datetime
) -> AccessExplanation:
    """Decides a request and lists the steps of the decision."""
    decision = decide_access(access, grants, account, request, at)
    return AccessExplanation(decision, tuple(_decision_steps(access, grants, account, decision)))


def role_lines(access: AccessRules) -> list[str]:
    """The custom roles as text."""
    return [_describe_role(role) for role in access.roles.values() if not role.is_builtin]


def assignment_lines(access: AccessRules) -> list[str]:
    """The assignments as text."""
    return [f"{each.role}: {', '.join(member_names(each))} ({scope_text(each)})" for each in access.assignments]


def _describe_role(role: AccessRole) -> str:
    shown = {
        dataset: {name: list(map(repr, view)) for name, view in each.items()} for dataset, each in role.views.items()
    }
    parts = [
        f"allow {', '.join(map(str, role.allow)) or 'nothing'}",
        *([f"deny {', '.join(map(str, role.deny))}"] if role.deny else []),
        *([f"views {shown}"] if shown else []),
    ]
    copied = "" if role.base is None else f", a copy of {role.base}"
    return f"role {role.name}{', built in' if role.is_builtin else copied}: {'; '.join(parts)}"


@dataclass(frozen=True, slots=True)
class AccessOverview:
    """The roles, permissions and assignments of an access file."""

    access: AccessRules

    def to_json(self) -> dict[str, Any]:
        """The output of `access show --json`."""
        access = self.access
        return {
            "file": None if access.path is None else str(access.path),
            "digest": access.digest,
            "roles": [_role_json(access, role) for role in access.roles.values()],
            "assignments": [_assignment_json(each) for each in access.assignments],
        }

    def lines(self) -> Iterator[Line]:
        """The permissions of each role, and the assignments."""
        yield from map(_describe_role, self.access.roles.values())
        yield from assignment_lines(self.access) or ["no account has a role"]


def show_access(workspace: Workspace) -> AccessOverview:
    """Reads the access file in force. Raises PolicyError, LedgerError, KeyringError."""
    return AccessOverview(workspace.required_access)


def _role_json(access: AccessRules, role: AccessRole) -> dict[str, Any]:
    return {
        "role": role.name,
        "copy": role.base,
        "about": role.about,
        "allow": [str(each) for each in role.allow],
        "deny": [str(each) for each in role.deny],
        "views": {dataset: view_steps(columns) for dataset, columns in role.views.items()},
        "members": sorted(
            {name for each in access.assignments if each.role == role.name for name in member_names(each)}
        ),
    }


def _assignment_json(assignment: RoleAssignment) -> dict[str, Any]:
    scope = assignment.scope
    return {
        "role": assignment.role,
        "users": list(assignment.members.users),
        "groups": list(assignment.members.groups),
        "tenants": str(scope.tenants),
        "datasets": None if scope.datasets is None else list(scope.datasets),
        "purposes": None if scope.purposes is None else list(scope.purposes),
    }


def member_names(assignment: RoleAssignment) -> Iterator[str]:
    """Yields users, and groups with a leading `@`."""
    yield from assignment.members.users
    yield from (f"@{group}" for group in assignment.members.groups)


def scope_text(assignment: RoleAssignment) -> str:
    """The scope of an assignment as text."""
    scope = assignment.scope
    parts = [f"tenants {scope.tenants}", f"datasets {', '.join(scope.datasets or ('all',))}"]
    return "; ".join([*parts, *([f"purposes {', '.join(scope.purposes)}"] if scope.purposes else [])])


def _decision_steps(
    access: AccessRules, grants: Grants, account: UserAccount, decision: AccessDecision
) -> Iterator[DecisionStep]:
    person, groups = access.person(account.user), sorted(access.groups_of(account))
    yield DecisionStep("account", account.user + (f", of {person}" if person != account.user else ""))
    yield DecisionStep("groups", ", ".join(groups) or "none")
    for assignment, role in access.assignments_of(account):
        inside = "in scope" if assignment.scope.has_dataset(decision.dataset) else "out of scope: other datasets"
        yield DecisionStep(f"role {role.name}", f"{scope_text(assignment)} ({inside})")
        if role.deny:
            yield DecisionStep(f"role {role.name} denies", ", ".join(map(str, role.deny)))
    if decision.incident is not None:
        incident_grants = list(grants.for_incident(account.user, decision.incident))
        for grant in incident_grants:
            state = grant.state(decision.decided_at) or "not requested yet"
            yield DecisionStep(f"grant {grant.id}", f"{state}, {grant.request.dataset}")
        if not incident_grants:
            yield DecisionStep("grants", f"none for {decision.incident}")
    yield from (
        DecisionStep(each.code, str(each) + (f" ({', '.join(each.fields)})" if each.fields else ""))
        for each in decision.reasons
    )
    yield DecisionStep("decision", _decision_text(decision))


def _decision_text(decision: AccessDecision) -> str:
    if not decision.allowed:
        return "denied"
    until = "" if decision.until is None else f", until {seconds_text(decision.until)}"
    if not decision.columns:
        return f"allowed; tenants {decision.tenants}"
    views = f", {', '.join(decision.views)} in a coarser form" if decision.views else ""
    return f"allowed: {', '.join(decision.columns)}{views}; tenants {decision.tenants}{until}"


def unknown_columns(dataset: str, columns: Sequence[str], workspace: Workspace) -> dict[str, str]:
    """The columns that a dataset lacks, by the plan of its pipeline, each with a hint.

    Uses the configured pipeline, else pipelines of this name in outputs that the ledger knows; then a column counts as known if
    one of them has it. Empty if no pipeline is found. Raises nothing.
    """
    name, _, output = dataset.partition("/")
    every: set[str] = set()
    with suppress(MinimizeError, OSError):
        for job in _pipelines_named(name, workspace):
            with suppress(MinimizeError, OSError):
                every |= {column.name for column in dataset_columns(make_plan(job), output or RECORDS)}
    return {each: did_you_mean(each, every) for each in columns if each not in every} if every else {}


def _pipelines_named(name: str, workspace: Workspace) -> Iterator[Pipeline]:
    """Yields the known pipelines with this name."""
    job = workspace.loaded_pipeline
    if job is not None and job.pipeline == name:
        yield job
        return
    with workspace.open_ledger() as ledger:
        locations = [each for each in ledger.read(output_locations) if each.pipeline == name and each.is_here]
    for location in locations:
        folder = parse_output_location(location.folder)
        chain = load_receipts(folder)
        if chain:
            yield find_pipeline(folder, chain[-1], None)
