"""Lint of the access file.

Stable codes of its faults and of decisions (all begin with `U`), faults, risky choices, and scopes or views that do not fit
the pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from minimize.errors import Finding, PolicyError, Severity
from minimize.governance.access.load import examine_access, find_access_file
from minimize.governance.access.model import APPROVE, ASSIGN, BREAK_GLASS, READ, REQUEST, AccessRole, AccessRules
from minimize.governance.access.roles import RoleView, shows_less
from minimize.governance.workspace import Workspace
from minimize.output.folder import RECORDS
from minimize.plan import Plan
from minimize.runs.inspection import plan_for
from minimize.stores import PathText
from minimize.techniques import UnsupportedType
from minimize.text import did_you_mean

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "U001": "a permission that is not known",
        "U002": "a permission of data that does not say up to which category",
        "U003": "a role that is not there",
        "U004": "a built-in role that a file would change, or a role that copies no built-in one",
        "U005": "a group that is not declared",
        "U006": "a permission that a copy of this role cannot have",
        "U007": "conflicting roles in one person",
        "U008": "an account of two people, or a group of no use",
        "U009": "a view that is no coarser form: it needs more than the value that was released",
        "U010": "lengths of time that do not fit each other",
        "U011": "an assignment to nobody",
        "U020": "a scope or a view that names a dataset which is not there",
        "U021": "a view of a column that the output does not have, or not in a type that it takes",
        "U022": "a view that shows no less than the output holds",
        "U024": "data that names people, always open to a role",
        "U025": "nobody who could approve, or review, what others may ask for",
        "U026": "nobody who may assign roles",
        "U100": "nobody: no role of this account allows it",
        "U101": "denied by a role, whatever others allow",
        "U102": "a dataset, tenant or purpose outside the scope of what is allowed",
        "U103": "a column of a category above what is allowed",
        "U104": "a purpose that was not named, or that the data is not for",
        "U105": "a column that is not for this purpose",
        "U106": "no grant for this incident, dataset and operation",
        "U107": "a grant that nobody has answered yet, or that was denied",
        "U108": "a grant that has expired, or a request that nobody answered in time",
        "U109": "a grant that was revoked",
        "U110": "a grant whose holder may not ask for it any more, or that was approved by the same person",
        "U111": "a column that the grant does not cover",
        "U112": "columns of which no tenant has all in scope",
        "U113": "views of a column of which neither is the coarser",
        "U114": "an output that does not tell tenants apart, and a scope that does",
        "U115": "an incident that was not named",
        "U116": "conflicting roles, so that none of them counts",
        "U117": "an act that needs another account than the one which asked, of another person in other groups",
        "U118": "an act that does not follow: what it answers is answered, or over",
        "U119": "access for longer than it may last",
        "U120": "break-glass access by somebody whose last one was not reviewed in time",
        "U200": "allowed by a role",
        "U201": "allowed by a grant",
        "U202": "allowed, since no access file is configured",
    }
)


_ASSIGNMENTS_KEY: Final = re.compile(rb'^\s?"?assignments"?\s*:', re.MULTILINE)
_WARNINGS: Final = frozenset({"U020", "U022", "U024", "U025", "U026"})


def lint_access(file: PathText | None, workspace: Workspace) -> list[Finding]:
    """All faults and risky choices of an access file, else of the one that counts; worst first.

    With the house's pipeline its datasets, and the views on them, are held against its plan. Raises PolicyError where there is
    no file, or the pipeline has faults.
    """
    place = Path(file) if file is not None else find_access_file(workspace.folder)
    if place is None:
        raise PolicyError("no access file is configured", hint="name a file, or say `access:` in minimize.yaml")
    access, faults = examine_access(place)
    if access is None:
        return faults
    judged = _AccessLint(access)
    found = [*judged.unanswered_duties(), *judged.identified_access()]
    if workspace.loaded_pipeline is not None:
        found += judged.misfits_of_plan(workspace.loaded_pipeline.pipeline, plan_for(workspace.loaded_pipeline))
    return sorted((*faults, *found), key=lambda one: (one.severity, one.line or 0, one.code))


def is_access_file(path: PathText) -> bool:
    """Whether this lint judges a path: a file that says `assignments:`."""
    place = Path(path)
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return _ASSIGNMENTS_KEY.search(file.read(65_536)) is not None


@dataclass(frozen=True, slots=True)
class _AccessLint:
    """A file under judgement."""

    access: AccessRules

    def finding(
        self, code: str, message: str, role: AccessRole | None = None, line: int | None = None, hint: str = ""
    ) -> Finding:
        severity: Severity = "warning" if code in _WARNINGS else "error"
        file = None if self.access.path is None else str(self.access.path)
        name = None if role is None else role.name
        return Finding(code, message, severity, hint, file, line or (role.line if role else None), name)

    def unanswered_duties(self) -> Iterator[Finding]:
        """Whether somebody is there for what others wait for."""
        held = {each.role for each in self.access.assignments}
        can = {each.name for name in held for each in self.access.roles[name].allow}
        for asks, answers in ((REQUEST, APPROVE), (BREAK_GLASS, "grant/review")):
            if asks in can and answers not in can:
                yield self.finding("U025", f"some have `{asks}`, and nobody has `{answers}`")
        if self.access.assignments and ASSIGN not in can:
            yield self.finding("U026", "nobody may assign roles", hint="somebody is `role_administrator`")

    def identified_access(self) -> Iterator[Finding]:
        """Roles that show people's names with no grant."""
        for role in self.access.roles.values():
            if any(each.allows(READ, "identified") for each in role.allow):
                hint = "a grant opens it for an incident"
                yield self.finding("U024", f"`{role.name}` always sees what names people", role, hint=hint)

    def misfits_of_plan(self, pipeline: str, plan: Plan) -> Iterator[Finding]:
        """Scopes and views on a pipeline's outputs, against its plan."""
        for each in self.access.assignments:
            for name in each.scope.datasets or ():
                if self.is_unknown(name, pipeline, plan):
                    yield self.finding(
                        "U020", f"there is no dataset `{name}`", line=each.line, hint=_dataset_hint(name, plan)
                    )
        for role in self.access.roles.values():
            for dataset, columns in role.views.items():
                if self.is_unknown(dataset, pipeline, plan):
                    yield self.finding(
                        "U020", f"there is no dataset `{dataset}`", role, hint=_dataset_hint(dataset, plan)
                    )
                elif dataset.partition("/")[0] == pipeline:
                    for column, view in columns.items():
                        yield from self.misfits_of_view(role, dataset, column, view, plan)

    def is_unknown(self, name: str, pipeline: str, plan: Plan) -> bool:
        """Whether a name is of this pipeline, and of no output that it has."""
        of, _, output = name.partition("/")
        return of == pipeline and output not in ("", *plan.outputs)

    def misfits_of_view(
        self, role: AccessRole, dataset: str, column: str, view: RoleView, plan: Plan
    ) -> Iterator[Finding]:
        """A view against the column as it is released."""
        output = dataset.partition("/")[2]
        having = [name for name in ((output,) if output else plan.outputs) if column in plan.outputs[name].schema.names]
        if not having:
            known = {name for each in plan.outputs.values() for name in each.schema.names}
            message = f"`{dataset}` has no column `{column}`"
            yield self.finding("U021", message, role, hint=did_you_mean(column, known))
        for name in having:
            if not _view_takes_type(view, plan.outputs[name].schema.field(column).type):
                yield self.finding("U021", f"the view on `{column}` does not take its type", role)
            elif name == RECORDS and column in plan.fields and not shows_less(view, plan.fields[column].steps):
                yield self.finding("U022", f"the view on `{column}` shows no less than the output holds", role)


def _view_takes_type(view: RoleView, type_: pa.DataType) -> bool:
    try:
        for step in view:
            type_ = step.output_type(type_)
    except UnsupportedType:
        return False
    return True


def _dataset_hint(name: str, plan: Plan) -> str:
    return did_you_mean(name.partition("/")[2], plan.outputs)
