"""Whom a request is about: a device, a user, a whole tenant; many at once from a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from minimize.canonical import canonical_id, canonical_text
from minimize.errors import ConfigurationError, Finding, PolicyError
from minimize.governance.retention.given import rows_of


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Somebody, as he comes in.

    id      the identifier, as records have it before they are minimized; None for a whole tenant
    tenant  the tenant; None where it is not known, and every tenant that is known is tried
    field   the policy's field that holds such identifiers; None for the policy's `subject`
    is_form  whether the id is a form in which outputs have him: a pseudonym, or a token
    """

    id: str | None = field(default=None, repr=False)
    tenant: str | None = field(default=None, repr=False)
    field: str | None = None
    is_form: bool = False

    @property
    def is_tenant(self) -> bool:
        """Whether it is a whole tenant."""
        return self.id is None


def subjects_of(
    ids: Iterable[str],
    tenant: str | None = None,
    field: str | None = None,
    file: str | Path | None = None,
    *,
    forms: bool = False,
) -> tuple[Subject, ...]:
    """The subjects that are named and those of a file, each once; a tenant without ids is a whole tenant.

    `forms` says that the ids are forms in which outputs have them.

    Raises ConfigurationError where nobody is named, PolicyError with every fault of the file, by line and never by value.
    """
    tenant, ids = canonical_id(tenant), [each if forms else canonical_text(each) for each in ids]
    if tenant == "" or "" in ids:
        raise ConfigurationError("an id or a tenant is blank", hint="name it as records have it")
    named = [Subject(each, tenant, field) for each in ids]
    found = [*named, *([] if file is None else load_subjects(Path(file), tenant, field))]
    found = [replace(each, is_form=forms and not each.is_tenant) for each in found]
    if not found and tenant is not None:
        found = [Subject(None, tenant)]
    if not found:
        raise ConfigurationError("nobody is named", hint="give an ID, --file FILE, or --tenant T for a whole tenant")
    return tuple(dict.fromkeys(found))


def load_subjects(path: Path, tenant: str | None = None, field: str | None = None) -> tuple[Subject, ...]:
    """The subjects of a file: CSV with a header, NDJSON (`.ndjson`, `.jsonl`) or Parquet: `subject`, `tenant_id`, `field`.

    What a row does not say is what was given. Raises PolicyError with every fault, by line.
    """
    found = (rows_of(path, {name}) for name in ("subject", "tenant_id"))
    rows = next((each for each in found if each is not None), None)
    if rows is None:
        finding = Finding(
            "Q001", "subjects that cannot be read", file=str(path), hint="CSV, NDJSON or Parquet, in UTF-8"
        )
        raise PolicyError(f"cannot read the subjects {path}", findings=[finding])
    made = [_subject(line, row, tenant, field, str(path)) for line, row in rows]
    faults = [each for each in made if isinstance(each, Finding)]
    if faults:
        raise PolicyError(f"the subjects {path} have {len(faults)} faults", findings=faults)
    return tuple(each for each in made if isinstance(each, Subject))


def _subject(line: int, row: Mapping[str, Any], tenant: str | None, field: str | None, file: str) -> Subject | Finding:
    said = {name: _text(row.get(name)) for name in ("subject", "tenant_id", "field")}
    id_, of = canonical_id(said["subject"]), canonical_id(said["tenant_id"])
    if "" in (id_, of):
        return Finding("Q002", "a row whose subject or tenant is blank", file=file, line=line)
    found = Subject(id_, of or tenant, said["field"] or field)
    if found.id is None and found.tenant is None:
        return Finding("Q002", "a row that names neither a subject nor a tenant", file=file, line=line)
    return found


def _text(value: Any) -> str | None:
    return None if value is None or str(value) == "" else str(value)
