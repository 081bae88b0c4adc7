"""Administrators of tenants as contacts, from the records of the pipeline that `administrators:` of the configuration names.

Each tenant of these records uses the service and counts as a customer of the suite, unless a contacts file says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date

import pyarrow as pa

from minimize.config import load_config
from minimize.datasets.pipelines import pipeline_from
from minimize.errors import PolicyError
from minimize.governance.incidents.contacts import NO_CONTACTS, Contact, Contacts
from minimize.governance.incidents.message import ADDRESS_PATTERN
from minimize.keys import find_kms
from minimize.output.folder import has_runs
from minimize.output.reader import DATE_COLUMN, read_output
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import EMAIL_KIND, contact_kind
from minimize.workspace import Workspace


def administrator_contacts(workspace: Workspace) -> Contacts:
    """The administrators of each tenant, by its newest records. None without `administrators:`, or before the first run.

    Raises PolicyError for a pipeline without tenant or without e-mail addresses, KeyringError, OutputError.
    """
    config = load_config(workspace.folder).checked("administrators", PolicyError)
    if config.administrators is None:
        return NO_CONTACTS
    job = pipeline_from(config.folder / config.administrators)
    tenant, addresses = job.policy.tenant, list(_address_columns(job))
    if tenant is None or not addresses:
        hint = "Name a pipeline in minimize.yaml whose records have the tenant, and e-mail addresses of its administrators."
        raise PolicyError(f"the records of {job.pipeline} do not show how to reach administrators", hint=hint)
    if not has_runs(job.target()):
        return NO_CONTACTS
    kms = find_kms(workspace.keyring(), job.folder)
    rows = read_output(job.target(), mixed_keys=True, kms=kms, without_destroyed=True)
    return Contacts(entries=tuple(_contacts(rows, tenant, addresses)))


def _address_columns(job: Pipeline) -> Iterator[str]:
    """The fields with e-mail addresses, judged by their names, that the pipeline may release."""
    for field in job.policy.fields.values():
        is_for_purpose = not field.purposes or job.purpose in field.purposes
        if is_for_purpose and field.pointer.is_flat and contact_kind(field.pointer) == EMAIL_KIND:
            yield field.key


def _contacts(rows: pa.Table, tenant: str, addresses: Iterable[str]) -> Iterator[Contact]:
    """One contact for each address in the newest records of each tenant. Values that are not addresses are skipped."""
    is_dated, tenants = DATE_COLUMN in rows.column_names, rows[tenant].to_pylist()
    dates: list[date] = rows[DATE_COLUMN].to_pylist() if is_dated else [date.min] * rows.num_rows
    newest: dict[str, date] = {}
    for name, day in zip(tenants, dates, strict=True):
        newest[name] = max(newest.get(name, day), day)
    columns = [rows[name].to_pylist() for name in addresses if name in rows.column_names]
    found = {
        (str(name), address)
        for column in columns
        for name, day, address in zip(tenants, dates, column, strict=True)
        if name and address and day == newest[name] and re.fullmatch(ADDRESS_PATTERN, str(address))
    }
    for name, address in sorted(found):
        yield Contact(tenant_id=name, role="administrator", address=address, suite=True)
