"""Contacts of tenants, whom a notice of an incident addresses: the contacts file, with every fault at once, and its model.

The contacts file is CSV or YAML.

Administrators of tenants as contacts, from the records of the pipeline that `administrators:` of the configuration names.

Each tenant of these records uses the service and counts as a customer of the suite, unless a contacts file says otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, get_args

import pyarrow as pa
from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

from minimize.config import Config
from minimize.datasets.lifecycle_events import read_rows
from minimize.datasets.pipelines import pipeline_from
from minimize.datasets.reader import DATE_COLUMN, read_output
from minimize.errors import Finding, PolicyError
from minimize.forms import UNKNOWN_KEY, Expected, Form, Reading, read_form
from minimize.forms.yaml_nodes import FaultList, YamlNode, parse_yaml, read_utf8
from minimize.governance.incidents.notice import ADDRESS_PATTERN
from minimize.identifiers import canonical_text
from minimize.keys import find_kms
from minimize.output.folder import has_runs
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import EMAIL_KIND, contact_kind
from minimize.sources.csv import CSV
from minimize.stores import PathText
from minimize.text import count_noun
from minimize.workspace import Workspace

ContactRole = Literal["privacy", "security", "administrator"]
CONTACT_ROLES: Final[tuple[ContactRole, ...]] = get_args(ContactRole)
_READING_HINT: Final = "Use CSV with the columns tenant_id,role,name,address,suite, or YAML with a list `contacts`."


class Contact(Form):
    """A contact that a tenant named."""

    noun = "a contact"
    hides_unknown_keys = True  # a key in the wrong place may be an address
    codes = MappingProxyType(
        {UNKNOWN_KEY: "K002", "tenant_id": "K002", "suite": "K002", "role": "K003", "address": "K004"}
    )

    tenant_id: Annotated[str, Field(pattern=r"\S"), AfterValidator(canonical_text), Expected("must not be empty")] = (
        Field(description="The tenant.")
    )
    role: ContactRole = Field(
        description="The task of the contact. Those for privacy are notified, else those for security, else administrators."
    )
    name: str = Field(default="", repr=False, description="The name of the contact.")
    address: Annotated[str, Field(pattern=rf"^{ADDRESS_PATTERN}$"), Expected("must be an email address")] = Field(
        repr=False, description="The email address, in ASCII.", examples=["privacy@example.com"]
    )
    suite: bool = Field(
        default=False,
        description="Whether the tenant also uses the suite. One contact of the tenant with `true` is enough.",
    )
    line: SkipJsonSchema[int | None] = None


class Contacts(Form):
    """The contacts of all tenants."""

    noun = "a contacts file"
    hides_unknown_keys = True  # a key in the wrong place may be a tenant
    codes = MappingProxyType({"contacts": "K001"})
    stand_ins = MappingProxyType({"contacts": ()})

    entries: tuple[Contact, ...] = Field(
        validation_alias="contacts", repr=False, description="The contacts, in any order."
    )

    def check(self, reading: Reading) -> None:
        """Records contacts that are listed more than once."""
        counts = Counter((each.tenant_id, each.role, each.name, each.address) for each in self.entries)
        duplicates = sum(count > 1 for count in counts.values())
        if duplicates:
            reading.faults.add("K005", f"contacts are listed more than once: {duplicates}")

    def for_tenant(self, tenant: str) -> tuple[Contact, ...]:
        """The contacts to notify: those for privacy, else for security, else the administrators. Empty if the tenant has none."""
        for role in CONTACT_ROLES:
            contacts = tuple(each for each in self.entries if each.tenant_id == tenant and each.role == role)
            if contacts:
                return contacts
        return ()

    def uses_suite(self, tenant: str) -> bool:
        """Whether a contact of the tenant is marked with `suite: true`."""
        return any(each.suite for each in self.entries if each.tenant_id == tenant)

    def completed_by(self, others: Contacts) -> Contacts:
        """These contacts, and those of tenants that only `others` names."""
        named = {each.tenant_id for each in self.entries}
        return Contacts(entries=(*self.entries, *(each for each in others.entries if each.tenant_id not in named)))

    @property
    def suite_tenants(self) -> list[str]:
        """The tenants that use the suite."""
        return sorted({each.tenant_id for each in self.entries if each.suite})


NO_CONTACTS: Final = Contacts(entries=())


def load_contacts(path: Path) -> Contacts:
    """Reads a contacts file: CSV with a header, or YAML with a list `contacts`. Raises PolicyError with every fault, by line."""
    contacts, findings = _read_contacts(path)
    if findings:
        raise PolicyError(f"the contacts file {path} has {len(findings)} faults", findings=findings)
    return contacts


def find_contacts(path: PathText | None, config: Config) -> Contacts:
    """Reads the contacts of `path`, else of the file that `contacts:` in the configuration names; otherwise none.

    Raises PolicyError.
    """
    if path is not None:
        return load_contacts(Path(path))
    config.checked("contacts", PolicyError)
    return NO_CONTACTS if config.contacts is None else load_contacts(config.folder / config.contacts)


def lint_contacts(path: PathText) -> tuple[Finding, ...]:
    """Checks a contacts file for faults and for tenants without a privacy contact."""
    contacts, findings = _read_contacts(Path(path))
    named = {each.tenant_id for each in contacts.entries if each.role == "privacy"}
    lacking = len({each.tenant_id for each in contacts.entries} - named)
    if lacking:
        message = f"no contact with the role privacy: {count_noun(lacking, 'tenant')}; other contacts are notified"
        findings.append(Finding("K006", message, "warning", file=str(path), hint="Add a contact with `role: privacy`."))
    return tuple(findings)


def _read_contacts(path: Path) -> tuple[Contacts, list[Finding]]:
    """The contacts as far as they can be read, and every fault."""
    faults = FaultList(str(path))
    root = _csv_node(path) if path.suffix.lower() in CSV.suffixes else _yaml_node(path)
    if root is None:
        faults.add("K001", "the contacts file cannot be read", hint=_READING_HINT)
        return NO_CONTACTS, faults.found
    return read_form(Contacts, root, Reading(faults)) or NO_CONTACTS, faults.found


def _csv_node(path: Path) -> YamlNode | None:
    """The rows of a CSV file as the nodes of a list `contacts`. None if the file cannot be read, or lacks a column."""
    rows = read_rows(path, {"tenant_id", "role", "address"})
    if rows is None:
        return None
    items = [
        YamlNode({str(column): YamlNode(_csv_value(value), line) for column, value in row.items() if value}, line)
        for line, row in rows
    ]
    return YamlNode({"contacts": YamlNode(tuple(items), 1)}, 1)


def _csv_value(value: object) -> str | bool:
    """The value of a cell as YAML has it: `true` and `false` are no texts."""
    text = str(value).strip()
    return {"true": True, "false": False}.get(text.lower(), text)


def _yaml_node(path: Path) -> YamlNode | None:
    faults = FaultList()
    content = read_utf8(path, faults)
    root = None if content is None else parse_yaml(content.decode("utf-8-sig"), faults)
    return None if faults.found else root


def administrator_contacts(workspace: Workspace) -> Contacts:
    """The administrators of each tenant, by its newest records. None without `administrators:`, or before the first run.

    Raises PolicyError for a pipeline without tenant or without e-mail addresses, KeyringError, OutputError.
    """
    config = workspace.config.checked("administrators", PolicyError)
    if config.administrators is None:
        return NO_CONTACTS
    job = pipeline_from(config.folder / config.administrators)
    tenant, addresses = job.policy.tenant, list(_address_columns(job))
    if tenant is None or not addresses:
        hint = "Name a pipeline in minimize.yaml whose records have the tenant, and e-mail addresses of its administrators."
        raise PolicyError(f"the records of {job.pipeline} do not show how to reach administrators", hint=hint)
    if not has_runs(job.target()):
        return NO_CONTACTS
    kms = find_kms(workspace.keyring(), job.config)
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
    tenant_addresses = {
        (str(name), address)
        for column in columns
        for name, day, address in zip(tenants, dates, column, strict=True)
        if name and address and day == newest[name] and re.fullmatch(ADDRESS_PATTERN, str(address))
    }
    for name, address in sorted(tenant_addresses):
        yield Contact(tenant_id=name, role="administrator", address=address, suite=True)
