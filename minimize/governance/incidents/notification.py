"""Notification of tenants.

Stable codes, the file of contacts (CSV or YAML, read with every fault at once), drafts of notices by version, and the record
that they were sent.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from minimize.config import load_config
from minimize.errors import ConfigurationError, Finding, OutputError, PolicyError
from minimize.governance.incidents.incident import Incident, load_incident, record_step, require_open
from minimize.governance.incidents.notice import Notice, article33, notice_markdown, notice_page
from minimize.governance.workspace import Workspace
from minimize.identifiers import canonical_text
from minimize.output.working_folder import write_new_folder
from minimize.policy.faults import FaultList
from minimize.policy.yaml_nodes import parse_yaml
from minimize.stores.durable_files import write_private_file
from minimize.text import json_text

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "K001": "contacts that cannot be read",
        "K002": "a contact of no tenant, or with a word that is not known",
        "K003": "a role that contacts do not have",
        "K004": "an address to which nothing can be sent",
        "K005": "contacts that stand twice",
        "K006": "tenants that name nobody for privacy",
        "K021": "who asked or declared would decide alone: it takes a second person",
        "K022": "tenants that are to be told, and were not",
    }
)


ContactRole = Literal["privacy", "security", "administrator"]
CONTACT_ROLES: Final[tuple[ContactRole, ...]] = get_args(ContactRole)
_COLUMNS: Final = ("tenant_id", "role", "name", "address")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_Row = tuple[int | None, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody whom a tenant named."""

    tenant_id: str
    role: ContactRole
    name: str = field(repr=False)
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Contacts:
    """The contacts of all tenants."""

    entries: tuple[Contact, ...] = field(default=(), repr=False)

    def for_tenant(self, tenant: str) -> tuple[Contact, ...]:
        """Who is told: the contacts for privacy, else those for security, else the administrators; nobody where none is named."""
        for role in CONTACT_ROLES:
            found = tuple(each for each in self.entries if each.tenant_id == tenant and each.role == role)
            if found:
                return found
        return ()


def load_contacts(path: Path) -> Contacts:
    """The contacts of a file: CSV with a header, or YAML (`contacts:`, a list). Raises PolicyError with every fault, by line."""
    made, findings = _read_contacts(path)
    if findings:
        raise PolicyError(f"the contacts {path} have {len(findings)} faults", findings=findings)
    return Contacts(tuple(made))


def find_contacts(path: str | Path | None, start: Path) -> Contacts:
    """The contacts of a file that was given, else of the one that `contacts:` of the house's file names; else there are none.

    Raises PolicyError.
    """
    if path is not None:
        return load_contacts(Path(path))
    config = load_config(start).checked("contacts", PolicyError)
    return Contacts() if config.contacts is None else load_contacts(config.folder / config.contacts)


def lint_contacts(path: Path) -> tuple[Finding, ...]:
    """What is wrong with a file of contacts, and what is risky in it."""
    made, findings = _read_contacts(path)
    named = {each.tenant_id for each in made if each.role == "privacy"}
    lacking = len({each.tenant_id for each in made} - named)
    if lacking:
        message = f"{lacking:,} tenants name nobody for privacy: others are told"
        findings.append(Finding("K006", message, "warning", file=str(path), hint="add a contact with `role: privacy`"))
    return tuple(findings)


def _read_contacts(path: Path) -> tuple[list[Contact], list[Finding]]:
    rows = _read_rows(path)
    if rows is None:
        hint = "CSV with tenant_id,role,name,address, or YAML with a list `contacts`"
        return [], [Finding("K001", "contacts that cannot be read", file=str(path), hint=hint)]
    made = [_parse_contact(line, row, str(path)) for line, row in rows]
    findings = [fault for each in made if not isinstance(each, Contact) for fault in each]
    found = [each for each in made if isinstance(each, Contact)]
    twice = [each for each, count in Counter(found).items() if count > 1]
    if twice:
        findings.append(Finding("K005", f"contacts that stand twice: {len(twice)}", file=str(path)))
    return found, findings


def _parse_contact(line: int | None, row: Mapping[str, Any], file: str) -> Contact | list[Finding]:
    said = {word: str(row.get(word) or "").strip() for word in _COLUMNS}
    said["tenant_id"] = canonical_text(said["tenant_id"])
    role = next((each for each in CONTACT_ROLES if each == said["role"]), None)
    faults = []
    if not said["tenant_id"] or set(row) - set(_COLUMNS):
        faults.append(Finding("K002", "a contact of no tenant, or with a word that is not known", file=file, line=line))
    if role is None:
        hint = f"one of {', '.join(CONTACT_ROLES)}"
        faults.append(Finding("K003", "a role that contacts do not have", file=file, line=line, hint=hint))
    if not _ADDRESS.fullmatch(said["address"]):
        faults.append(Finding("K004", "an address to which nothing can be sent", file=file, line=line))
    return Contact(said["tenant_id"], role, said["name"], said["address"]) if role and not faults else faults


def _read_rows(path: Path) -> Sequence[_Row] | None:
    """The rows, each with its line; None where the file cannot be read."""
    try:
        return list(_csv_rows(path) if path.suffix.lower() == ".csv" else _yaml_rows(path))
    except (OSError, ValueError, csv.Error):
        return None


def _csv_rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if not {"tenant_id", "role", "address"} <= set(reader.fieldnames or ()):
            raise ValueError("no contacts")
        yield from ((reader.line_num, row) for row in reader)


def _yaml_rows(path: Path) -> Iterator[_Row]:
    faults = FaultList()
    root = parse_yaml(path.read_text("utf-8-sig"), faults)
    listed = None if root is None else root.get("contacts")
    if listed is None or not listed.is_list or faults.found:
        raise ValueError("no contacts")
    for node in listed.items:
        plain = node.to_data()
        yield node.line, plain if isinstance(plain, dict) else {}


_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ADDRESSES_FILE: Final = "addressed.json"


@dataclass(frozen=True, slots=True)
class DraftedNotices:
    """Notices that were drafted.

    without_contact  tenants of whom no contact is known
    """

    incident: Incident
    folder: Path
    version: int
    tenants: tuple[str, ...]
    without_contact: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """What `incident notice --json` prints."""
        return {
            "incident": self.incident.id,
            "version": self.version,
            "folder": str(self.folder),
            "tenants": list(self.tenants),
            "without_contact": list(self.without_contact),
        }


def draft_notices(
    name: str,
    to: Path,
    contact: str,
    contacts: Contacts,
    workspace: Workspace,
    now: datetime,
    *,
    only: Sequence[str] = (),
) -> DraftedNotices:
    """Drafts the next version of notices: for the tenants that have to be told, or for those of them that are named.

    Takes a folder (a new one is made in it for each version), whom tenants may ask, and their contacts. Raises
    ConfigurationError where nobody is to be told, OutputError, LedgerError, KeyringError.
    """
    this = load_incident(name, workspace)
    tenants = _tenants_to_notify(require_open(this), only)
    version = this.draft_count + 1
    folder = to / f"{_file_name(name)}-v{version}"
    notices = {tenant["tenant_id"]: Notice(this, tenant, version, contact) for tenant in tenants}
    listed = {tenant: contacts.for_tenant(tenant) for tenant in notices}
    digests = _write_drafts(folder, notices, listed)

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        if require_open(found).draft_count + 1 != version:
            raise ConfigurationError("somebody else drafted notices meanwhile", hint="do it again")
        told = {tenant: {"digest": digest, "to": _contact_role(listed[tenant])} for tenant, digest in digests.items()}
        return {"version": version, "tenants": told}

    done = record_step(name, "drafted", body_of, workspace, now)
    return DraftedNotices(done, folder, version, tuple(notices), tuple(each for each in listed if not listed[each]))


def record_notices_sent(name: str, workspace: Workspace, now: datetime, *, only: Sequence[str] = ()) -> Incident:
    """Takes down that the last notices were sent. Raises ConfigurationError where none was drafted for one of the tenants."""

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        this = require_open(found)
        drafted = {each: this.notices(each) for each in only or this.affected}
        last = {each: notices[-1]["version"] for each, notices in drafted.items() if notices}
        if not last or (only and set(only) - set(last)):
            raise ConfigurationError("nothing was drafted yet", hint=f"minimize incident notice {name} --to DIR")
        return {"tenants": last}

    return record_step(name, "given", body_of, workspace, now)


def _tenants_to_notify(incident: Incident, only: Sequence[str]) -> list[Mapping[str, Any]]:
    if incident.scope is None:
        raise ConfigurationError("nobody knows yet who is affected", hint=f"minimize incident scope {incident.id}")
    concerned = [
        each for each in incident.tenants_to_notify if each not in incident.exempt and (not only or each in only)
    ]
    if not concerned or set(only) - set(concerned):
        raise ConfigurationError("no notice is needed", hint=f"minimize incident show {incident.id}")
    return [each for each in incident.scope["tenants"] if each["tenant_id"] in concerned]


def _write_drafts(
    folder: Path, notices: Mapping[str, Notice], listed: Mapping[str, Sequence[Contact]]
) -> dict[str, str]:
    """Writes the drafts, for their owner's eyes alone; gives the digest of what each says."""
    told: dict[str, str] | None = None
    to = {
        tenant: [{"role": each.role, "name": each.name, "address": each.address} for each in some]
        for tenant, some in listed.items()
    }
    with suppress(OSError):
        with write_new_folder(folder, "notice") as work:
            drafts = {tenant: _write_draft(work, notice) for tenant, notice in notices.items()}
            _write_private(work / ADDRESSES_FILE, json_text(to))
        told = drafts
    if told is None:
        raise OutputError("the notices cannot be written there", hint="name a folder in which you may make one")
    return told


def _write_draft(folder: Path, notice: Notice) -> str:
    place = _file_name(str(notice.tenant["tenant_id"]))
    said = json_text(article33(notice))
    _write_private(folder / f"{place}.md", notice_markdown(notice))
    _write_private(folder / f"{place}.html", notice_page(notice))
    _write_private(folder / f"{place}.json", said)
    return f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"


def _write_private(path: Path, text: str) -> None:
    write_private_file(path, lambda out: out.write(text))


def _file_name(text: str) -> str:
    """A name as a file can have it; hashed where it cannot."""
    return text if _SAFE_NAME.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:32]


def _contact_role(contacts: Sequence[Contact]) -> str | None:
    return contacts[0].role if contacts else None
