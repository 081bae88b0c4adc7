"""Lint of the access file: faults, risky choices, and scopes or views that do not match the pipeline.

Also the stable codes of faults and access decisions. All of them begin with `U`.

A first access file: one account per built-in role, as a start for your own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from minimize.access.entitlements import shows_less
from minimize.access.model import AccessRules, examine_access, find_access_file
from minimize.access.permissions import APPROVE, ASSIGN, BREAK_GLASS, READ, REQUEST
from minimize.access.roles import BUILTIN_ROLES, TENANT_ROLES, AccessRole, RoleView
from minimize.errors import ConfigurationError, Finding, PolicyError, Severity, describe_os_error
from minimize.plan import Plan
from minimize.records import RECORDS
from minimize.results import JsonResult
from minimize.runs.inspection import plan_for
from minimize.stores import PathText
from minimize.techniques import UnsupportedType
from minimize.text import did_you_mean
from minimize.workspace import Workspace

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "U001": "unknown permission",
        "U002": "a permission for data lacks its category",
        "U003": "unknown role",
        "U004": "the file redefines a built-in role",
        "U005": "undeclared group",
        "U006": "a role cannot have this permission, or cannot combine it with another one",
        "U007": "one person has conflicting roles",
        "U008": "an account belongs to two people",
        "U009": "a view needs more than the released value, so it is not a coarser form",
        "U010": "durations contradict each other",
        "U011": "an assignment has no members",
        "U012": "a role of a tenant's staff is assigned for all tenants",
        "U013": "a role copies itself",
        "U020": "a scope or view names an unknown dataset",
        "U021": "a view names a column that the output lacks, or whose type it does not accept",
        "U022": "a view shows as much as the output contains",
        "U024": "a role can always read identified data",
        "U025": "no role can approve requests, or review break-glass access",
        "U026": "no assigned role can assign roles",
        "U100": "no role of this account allows it",
        "U101": "denied by a role, regardless of other roles",
        "U102": "a dataset, tenant or purpose is out of scope",
        "U103": "the category of a column exceeds the permission",
        "U104": "no purpose was named, or the data is not for this purpose",
        "U105": "a column is not for this purpose",
        "U106": "no grant for this incident, dataset and operation",
        "U107": "the request for a grant was not answered yet, or was denied",
        "U108": "the grant has expired, or the request was not answered in time",
        "U109": "the grant was revoked",
        "U110": "the holder may no longer request this grant, or its approver is not a separate person",
        "U111": "the grant does not cover a column",
        "U112": "no tenant in scope permits all of these columns",
        "U113": "none of the views of a column is the coarsest",
        "U114": "the output has no tenant column, but the scope is limited to tenants",
        "U115": "no incident was named",
        "U116": "the person has conflicting roles, so none of them applies",
        "U117": "only another person, in other groups than the requester, may perform this operation",
        "U118": "the current state of the request does not permit the operation",
        "U119": "the requested duration exceeds the maximum",
        "U120": "break-glass access was refused, because an earlier one was not reviewed in time",
        "U130": "a request for a grant names an incident that the ledger does not have",
        "U131": "a request for a grant names a closed incident",
        "U132": "a request for a grant names an incident that does not concern all of its tenants",
        "U200": "allowed by a role",
        "U201": "allowed by a grant",
        "U202": "allowed, because no access file is configured",
        "U210": "one account is written in two ways",
        "U211": "an account is empty, or has control or invisible characters",
        "U212": "only another person than the requester may confirm an API token",
        "U213": "the roles of an account conflict with those of the person who would see its API token",
        "U214": "an API token that its own account made does not show what a tenant decided",
    }
)


_ASSIGNMENTS_KEY: Final = re.compile(rb'^\s?"?assignments"?\s*:', re.MULTILINE)
_WARNINGS: Final = frozenset({"U020", "U022", "U024", "U025", "U026"})


def lint_access(file: PathText | None, workspace: Workspace) -> list[Finding]:
    """Finds faults and risky choices of an access file, or of the configured one; worst first.

    With a configured pipeline, its datasets and the views on them are checked against its plan. Raises PolicyError without an
    access file, or if the pipeline has faults.
    """
    place = Path(file) if file is not None else find_access_file(workspace.config)
    if place is None:
        raise PolicyError("no access file is configured", hint="Pass a file, or set `access:` in minimize.yaml.")
    access, faults = examine_access(place)
    if access is None:
        return faults
    lint = _AccessLint(access)
    findings = [*lint.unanswered_duties(), *lint.identified_access()]
    if workspace.loaded_pipeline is not None:
        findings += lint.misfits_of_plan(workspace.loaded_pipeline.pipeline, plan_for(workspace.loaded_pipeline))
    return sorted((*faults, *findings), key=lambda finding: (finding.severity, finding.line or 0, finding.code))


def is_access_file(path: PathText) -> bool:
    """Whether a path is an access file: a file with the key `assignments:`."""
    place = Path(path)
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return _ASSIGNMENTS_KEY.search(file.read(65_536)) is not None


@dataclass(frozen=True, slots=True)
class _AccessLint:
    """Checks of one access file."""

    access: AccessRules

    def finding(
        self, code: str, message: str, role: AccessRole | None = None, line: int | None = None, hint: str = ""
    ) -> Finding:
        severity: Severity = "warning" if code in _WARNINGS else "error"
        file = None if self.access.path is None else str(self.access.path)
        name = None if role is None else role.name
        return Finding(
            code=code,
            message=message,
            severity=severity,
            hint=hint,
            file=file,
            line=line or (role.line if role else None),
            field=name,
        )

    def unanswered_duties(self) -> Iterator[Finding]:
        """Finds duties without a role: approval, review, assignment of roles."""
        assigned = {each.role for each in self.access.assignments}
        can = {each.name for name in assigned for each in self.access.roles[name].allow}
        for asks, answers in ((REQUEST, APPROVE), (BREAK_GLASS, "grant/review")):
            if asks in can and answers not in can:
                yield self.finding("U025", f"assigned roles have `{asks}`, but none has `{answers}`")
        if self.access.assignments and ASSIGN not in can:
            yield self.finding("U026", "no assigned role can assign roles", hint="Assign `role_administrator`.")

    def identified_access(self) -> Iterator[Finding]:
        """Finds roles that can read identified data without a grant."""
        for role in self.access.roles.values():
            if any(each.allows(READ, "identified") for each in role.allow):
                hint = "Remove the permission, and request a grant for each incident."
                yield self.finding("U024", f"the role `{role.name}` can always read identified data", role, hint=hint)

    def misfits_of_plan(self, pipeline: str, plan: Plan) -> Iterator[Finding]:
        """Finds scopes and views that do not match the outputs of a pipeline."""
        for assignment in self.access.assignments:
            for name in assignment.scope.datasets or ():
                if self.is_unknown(name, pipeline, plan):
                    yield self.finding(
                        "U020", f"unknown dataset `{name}`", line=assignment.line, hint=_dataset_hint(name, plan)
                    )
        for role in self.access.roles.values():
            for dataset, columns in role.views.items():
                if self.is_unknown(dataset, pipeline, plan):
                    yield self.finding("U020", f"unknown dataset `{dataset}`", role, hint=_dataset_hint(dataset, plan))
                elif dataset.partition("/")[0] == pipeline:
                    for column, view in columns.items():
                        yield from self.misfits_of_view(role, dataset, column, view, plan)

    def is_unknown(self, name: str, pipeline: str, plan: Plan) -> bool:
        """Whether a name belongs to this pipeline, but to none of its outputs."""
        named_pipeline, _, output = name.partition("/")
        return named_pipeline == pipeline and output not in ("", *plan.outputs)

    def misfits_of_view(
        self, role: AccessRole, dataset: str, column: str, view: RoleView, plan: Plan
    ) -> Iterator[Finding]:
        """Finds views that do not match the released column."""
        output = dataset.partition("/")[2]
        outputs = [
            name for name in ((output,) if output else plan.outputs) if column in plan.outputs[name].schema.names
        ]
        if not outputs:
            known = {name for each in plan.outputs.values() for name in each.schema.names}
            message = f"`{dataset}` has no column `{column}`"
            yield self.finding("U021", message, role, hint=did_you_mean(column, known))
        for name in outputs:
            if not _view_takes_type(view, plan.outputs[name].schema.field(column).type):
                yield self.finding("U021", f"the view on `{column}` does not accept the type of the column", role)
            elif name == RECORDS and column in plan.fields and not shows_less(view, plan.fields[column].steps):
                yield self.finding("U022", f"the view on `{column}` shows as much as the output contains", role)


def _view_takes_type(view: RoleView, type_: pa.DataType) -> bool:
    try:
        for step in view:
            type_ = step.output_type(type_)
    except UnsupportedType:
        return False
    return True


def _dataset_hint(name: str, plan: Plan) -> str:
    return did_you_mean(name.partition("/")[2], plan.outputs)


_HEAD: Final = """\
# Roles and the accounts that have them. `minimize access show` prints this file, and `minimize access lint` checks it.
# Replace the example accounts by your own. One person must not have roles that are in conflict.
version: 1
assignments:
"""


@dataclass(frozen=True, slots=True)
class NewAccessFile(JsonResult):
    """An access file that was created, and the account that each role was assigned to."""

    file: str
    accounts: dict[str, tuple[str, ...]]

    def lines(self) -> Iterator[str]:
        """The file, each role with its accounts, and the line that puts the file in force."""
        yield f"created {self.file}. Replace the example accounts by your own."
        yield from (f"  {role}: {', '.join(accounts)}" for role, accounts in self.accounts.items())
        yield f"next: write `access: {self.file}` in minimize.yaml, with the path relative to it"


def create_access_file(file: PathText, operator: str, tenants: Sequence[str] = ()) -> NewAccessFile:
    """Creates an access file in which each built-in role has an example account, and `operator` is an operator, too.

    A role of a tenant is assigned once for each of `tenants`. Raises ConfigurationError if the file exists.
    """
    assignments = [each for role in BUILTIN_ROLES.values() for each in _example_assignments(role, operator, tenants)]
    failure = ""
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(opened, "w", encoding="utf-8") as target:
            target.write(_HEAD + "".join(map(str, assignments)))
    except FileExistsError:
        failure = "it exists, and an existing access file is not overwritten"
    except OSError as error:
        failure = describe_os_error(error)[0]
    if failure:
        raise ConfigurationError(f"the access file {file} was not created: {failure}", hint="Pass another path.")
    accounts: dict[str, tuple[str, ...]] = {}
    for assignment in assignments:
        role = assignment.role.name
        accounts[role] = (*accounts.get(role, ()), *assignment.users)
    return NewAccessFile(str(file), accounts)


@dataclass(frozen=True, slots=True)
class _ExampleAssignment:
    """A role, the accounts that have it, and the tenants that it is limited to, if any."""

    role: AccessRole
    users: tuple[str, ...]
    tenant: str | None = None

    def __str__(self) -> str:
        users, tenants = json.dumps(self.users), "all" if self.tenant is None else json.dumps([self.tenant])
        scope = f"{{tenants: {tenants}, datasets: all}}"
        return f"  # {self.role.about}\n  - {{role: {self.role.name}, members: {{users: {users}}}, scope: {scope}}}\n"


def _example_assignments(role: AccessRole, operator: str, tenants: Sequence[str]) -> Iterator[_ExampleAssignment]:
    name = role.name.replace("_", "-")
    if role.name in TENANT_ROLES:
        for number, tenant in enumerate(tenants, start=1):
            account = name if number == 1 else f"{name}-{number}"
            yield _ExampleAssignment(role, (f"{account}@example.com",), tenant)
        return
    example = f"{name}@example.com"
    yield _ExampleAssignment(role, tuple(dict.fromkeys((example, operator))) if role.name == "operator" else (example,))
