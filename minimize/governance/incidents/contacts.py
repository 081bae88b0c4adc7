"""Contacts of tenants for incidents: a CSV or YAML file, read with every fault at once."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from minimize.config import load_config
from minimize.errors import Finding, PolicyError
from minimize.identifiers import canonical_text
from minimize.policy.faults import FaultList
from minimize.policy.yaml_nodes import parse_yaml

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
