"""Subjects of a request: named one by one, in a file, or a whole tenant."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from minimize.datasets.lifecycle_events import read_rows
from minimize.errors import ConfigurationError, Finding, PolicyError, RefusedError, unreadable_file
from minimize.identifiers import canonical_id, canonical_text
from minimize.sources import format_suffixes
from minimize.text import count_noun, text_or_none
from minimize.workspace import Workspace


@dataclass(frozen=True, slots=True, order=True)
class DataSubject:
    """A data subject, by its original identifier."""

    id: str | None = field(default=None, repr=False)
    """The identifier in the records before minimization; None for a whole tenant."""
    tenant: str | None = field(default=None, repr=False)
    """The tenant; None if unknown, then every known tenant is tried."""
    field: str | None = None
    """What the id identifies: an identity or a field; None if any field that identifies may hold it."""
    is_form: bool = False
    """Whether the id is a form from an output: a pseudonym or a token."""
    place: tuple[str, int] | None = dataclasses.field(default=None, repr=False, compare=False)
    """The file and line that name the subject; None if it was passed itself."""

    @property
    def is_tenant(self) -> bool:
        """Whether it is a whole tenant."""
        return self.id is None


def collect_subjects(
    ids: Iterable[str],
    tenant: str | None = None,
    field: str | None = None,
    file: str | Path | None = None,
    *,
    forms: bool = False,
    whole_tenant: bool = False,
) -> tuple[DataSubject, ...]:
    """The given subjects and those of a file, without duplicates.

    With `forms`, the ids are forms from outputs. With `whole_tenant`, a tenant without ids and file means the whole tenant, and
    so does a row of the file with a tenant alone. An empty list of ids never does.

    Raises ConfigurationError without a subject, or for a whole tenant without `whole_tenant`; PolicyError with every fault of the
    file, by line and without values.
    """
    ids = list(ids)
    if whole_tenant and (ids or (tenant is None and file is None)):
        raise ConfigurationError(
            "a whole tenant has no ids", hint="Pass `--whole-tenant` with `--tenant T` or `--file FILE`, and no ID."
        )
    tenant, ids = canonical_id(tenant), [each if forms else canonical_text(each) for each in ids]
    if tenant == "" or "" in ids:
        raise ConfigurationError("an id or a tenant is blank", hint="Pass it as the records have it.")
    named = [DataSubject(each, tenant, field) for each in ids]
    subjects = [*named, *([] if file is None else load_subjects(Path(file), tenant, field))]
    subjects = [replace(each, is_form=forms and not each.is_tenant) for each in subjects]
    if not subjects and whole_tenant and file is None:
        subjects = [DataSubject(None, tenant)]
    if not subjects:
        raise ConfigurationError(
            "no subject was given", hint="Pass an ID, --file FILE, or --tenant T --whole-tenant for a whole tenant."
        )
    tenants = [each for each in subjects if each.is_tenant]
    if tenants and not whole_tenant:
        findings = subject_findings("Q002", "the row names a whole tenant", tenants)
        message = "the subject file names a whole tenant"
        raise ConfigurationError(message, findings=findings, hint="Pass `--whole-tenant` if this is intended.")
    return tuple(dict.fromkeys(subjects))


@dataclass(frozen=True, slots=True)
class RequestedSubjects:
    """The arguments of `collect_subjects`. The subjects are collected once the permission for them is certain."""

    ids: Sequence[str]
    tenant: str | None = None
    field: str | None = None
    file: str | Path | None = None
    forms: bool = False
    whole_tenant: bool = False

    def collect(self) -> tuple[DataSubject, ...]:
        """The subjects. Raises the errors of `collect_subjects`."""
        return collect_subjects(
            self.ids, self.tenant, self.field, self.file, forms=self.forms, whole_tenant=self.whole_tenant
        )


Subjects = RequestedSubjects | Sequence[DataSubject]


def permitted_subjects(subjects: Subjects, workspace: Workspace, *permissions: str) -> Sequence[DataSubject]:
    """The subjects, if the current actor has the permissions for their tenant: for all tenants if none or several are named."""
    tenants = {subjects.tenant} if isinstance(subjects, RequestedSubjects) else {each.tenant for each in subjects}
    for permission in permissions:
        workspace.require(permission, tenant=next(iter(tenants)) if len(tenants) == 1 else None)
    return subjects.collect() if isinstance(subjects, RequestedSubjects) else subjects


def check_records(planned: int, expected: int | None, processed: int = 0) -> None:
    """Raises RefusedError (E325) if the plan has another number of records than the one that was confirmed.

    Of requests that are resumed, the number together with the records that were `processed` before is accepted, too: the number
    that the first plan printed.
    """
    if expected not in (None, planned, planned + processed):
        before = f", and {count_noun(processed, 'record')} were processed before" if processed else ""
        raise RefusedError(
            f"the plan has {count_noun(planned, 'record')}, not {expected:,}{before}; nothing was changed",
            code="E325",
            hint="Run the command without --yes, check its plan, and pass its number of records with --records.",
        )


_COLUMNS: Final = ("subject", "tenant_id", "field")


def load_subjects(path: Path, tenant: str | None = None, field: str | None = None) -> tuple[DataSubject, ...]:
    """The subjects of a file in a source format: `subject`, `tenant_id`, `field`.

    A header with another spelling of a column is refused. A missing value in a row is taken from the arguments. A row means a
    whole tenant only if it names the tenant and has no value in any other column. A row must not name another tenant than
    `tenant`, for which the caller has the permission. Raises PolicyError with every fault, by line.
    """
    tenant = canonical_id(tenant)
    row_sets = (read_rows(path, {name}, columns=_COLUMNS, code="Q002") for name in ("subject", "tenant_id"))
    rows = next((each for each in row_sets if each is not None), None)
    if rows is None:
        finding = unreadable_file("Q001", "the subject file", path, f"Use UTF-8 and one of {format_suffixes()}.")
        if read_rows(path, frozenset()) is not None:
            message = "the subject file has neither a column subject nor a column tenant_id"
            hint = "The columns are subject, tenant_id and field. One of the first two is required."
            finding = Finding("Q001", message, file=str(path), hint=hint)
        raise PolicyError(f"cannot read the subject file {path}", findings=[finding])
    parsed_rows = [_parse_subject(line, row, tenant, field, str(path)) for line, row in rows]
    faults = [each for each in parsed_rows if isinstance(each, Finding)]
    if faults:
        raise PolicyError(f"the subject file {path} has {count_noun(len(faults), 'fault')}", findings=faults)
    return tuple(each for each in parsed_rows if isinstance(each, DataSubject))


def _parse_subject(
    line: int, row: Mapping[str, Any], tenant: str | None, field: str | None, file: str
) -> DataSubject | Finding:
    values = {name: text_or_none(row.get(name)) for name in _COLUMNS}
    id_, row_tenant = canonical_id(values["subject"]), canonical_id(values["tenant_id"])
    if "" in (id_, row_tenant):
        return Finding("Q002", "the subject or tenant of the row is blank", file=file, line=line)
    if tenant is not None and row_tenant not in (None, tenant):
        message = "the row names another tenant than `--tenant`"
        hint = "Leave out `--tenant`, or pass the rows of each tenant in a file of their own."
        return Finding("Q002", message, file=file, line=line, hint=hint)
    if id_ is None and row_tenant is None:
        return Finding("Q002", "the row has neither a subject nor a tenant", file=file, line=line)
    if id_ is None and any(text_or_none(value) is not None for name, value in row.items() if name != "tenant_id"):
        message = "the row has no subject, but a value in another column"
        hint = "Name the column of the ids `subject`. A row with `tenant_id` alone means the whole tenant."
        return Finding("Q002", message, file=file, line=line, hint=hint)
    return DataSubject(id_, row_tenant or tenant, values["field"] or field, place=(file, line))


def subject_findings(code: str, message: str, subjects: Iterable[DataSubject]) -> list[Finding]:
    """A finding for the line of each of these subjects that a file names."""
    places = (each.place for each in subjects if each.place is not None)
    return [Finding(code, message, file=file, line=line) for file, line in places]
