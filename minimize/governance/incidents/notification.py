"""Notification of tenants: the contacts file, drafts of notices by version, and the list for the partner team.

The contacts file is CSV or YAML. All of its faults are reported at once, with stable codes.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, Field
from pydantic.json_schema import SkipJsonSchema

from minimize.config import load_config
from minimize.errors import ConfigurationError, Finding, OutputError, PolicyError
from minimize.governance.incidents.incident import Incident, load_incident, require_open_privacy
from minimize.governance.incidents.message import ADDRESS_PATTERN, NOTICE_LANGUAGE, message_digest, notice_message
from minimize.governance.incidents.notice import Notice, article33
from minimize.governance.incidents.workflow import record_step
from minimize.governance.lifecycle_events import read_rows
from minimize.governance.workspace import Workspace
from minimize.identifiers import canonical_text
from minimize.json_form import JsonResult, json_member
from minimize.output.working_folder import write_new_folder
from minimize.pages import html_page, markdown_page
from minimize.policy.faults import FaultList
from minimize.policy.forms import UNKNOWN_KEY, Expected, Form, Reading, read_form
from minimize.policy.yaml_nodes import YamlNode, parse_yaml, read_utf8
from minimize.receipts.canonical import sha256_text
from minimize.sources.csv import CSV
from minimize.stores import PathText
from minimize.stores.durable_files import write_private_file
from minimize.text import count_noun, json_text

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "K001": "the contacts file cannot be read",
        "K002": "a contact has no tenant_id, or has an unknown key",
        "K003": "a contact has an unknown role",
        "K004": "the address of a contact is not an email address",
        "K005": "contacts are listed more than once",
        "K006": "tenants have no contact with the role privacy",
        "K021": "the account that requested the exemption, declared the incident or made it reportable cannot decide alone",
        "K022": "tenants that must be notified have not been notified",
        "K023": "the incident was declared with another class than the one it is closed with",
        "K024": "a message in the outbox is missing, or differs from the notice that was drafted",
    }
)


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
            found = tuple(each for each in self.entries if each.tenant_id == tenant and each.role == role)
            if found:
                return found
        return ()

    def uses_suite(self, tenant: str) -> bool:
        """Whether a contact of the tenant is marked with `suite: true`."""
        return any(each.suite for each in self.entries if each.tenant_id == tenant)


NO_CONTACTS: Final = Contacts(entries=())


def load_contacts(path: Path) -> Contacts:
    """Reads a contacts file: CSV with a header, or YAML with a list `contacts`. Raises PolicyError with every fault, by line."""
    contacts, findings = _read_contacts(path)
    if findings:
        raise PolicyError(f"the contacts file {path} has {len(findings)} faults", findings=findings)
    return contacts


def find_contacts(path: PathText | None, start: Path) -> Contacts:
    """Reads the contacts of `path`, else of the file that `contacts:` in the configuration names; otherwise none.

    Raises PolicyError.
    """
    if path is not None:
        return load_contacts(Path(path))
    config = load_config(start).checked("contacts", PolicyError)
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


_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ADDRESSES_FILE: Final = "addressed.json"
PARTNER_FILE: Final = "partner_team.json"
"""The tenants concerned that also use the suite, for the team of the suite."""


@dataclass(frozen=True, slots=True)
class DraftedNotices(JsonResult):
    """Drafted notices.

    without_contact  tenants without a contact, for which no message was written
    suite            tenants that also use the suite; the list for the partner team names them
    """

    incident: Incident = field(metadata=json_member(convert=attrgetter("id")))
    version: int
    folder: Path
    tenants: tuple[str, ...]
    without_contact: tuple[str, ...]
    suite: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The version and its folder, the tenants without a contact, and the list for the partner team."""
        yield f"version {self.version} for {count_noun(len(self.tenants), 'tenant')}: {self.folder}"
        yield from (f"  no contact for {tenant}" for tenant in self.without_contact)
        if self.suite:
            yield f"  {count_noun(len(self.suite), 'tenant')} of the suite: {self.folder / PARTNER_FILE}"


def draft_notices(
    name: str,
    to: PathText | None,
    contact: str | None,
    contacts: Contacts | PathText | None,
    workspace: Workspace,
    now: datetime,
    *,
    only: Sequence[str] = (),
) -> DraftedNotices:
    """Drafts the next version of the notices for the tenants that must be notified, or for those of them in `only`.

    to        outbox, in which a new folder is made for each version
    contact   the contact point that the notice names for questions
    contacts  the contacts of tenants or their file; None for the configured file

    Raises ConfigurationError without `to` or `contact`, or if no tenant needs a notice; PolicyError, OutputError, LedgerError,
    KeyringError.
    """
    if to is None or not contact:
        raise ConfigurationError(
            "a notice needs a folder and a contact for questions", hint="Pass --to DIR and --contact WHOM, or --sent."
        )
    known = contacts if isinstance(contacts, Contacts) else find_contacts(contacts, workspace.folder)
    this = load_incident(name, workspace)
    tenants = _tenants_to_notify(require_open_privacy(this), only)
    version = this.draft_count + 1
    folder = version_folder(Path(to), name, version)
    drafts = [
        NoticeDraft(Notice(this, each, version, contact), known.for_tenant(tenant), known.uses_suite(tenant))
        for each in tenants
        for tenant in [str(each["tenant_id"])]
    ]
    digests = _write_drafts(folder, drafts)

    def body_of(found: Incident | None) -> Mapping[str, Any]:
        if require_open_privacy(found).draft_count + 1 != version:
            raise ConfigurationError("another command drafted notices at the same time", hint="Run the command again.")
        recorded = {
            each.tenant: {**digests[each.tenant], "to": _contact_role(each.contacts), "suite": each.suite}
            for each in drafts
        }
        return {"version": version, "tenants": recorded}

    done = record_step(name, "drafted", body_of, workspace, now)
    return DraftedNotices(
        done,
        version,
        folder,
        tuple(each.tenant for each in drafts),
        tuple(each.tenant for each in drafts if not each.contacts),
        tuple(each.tenant for each in drafts if each.suite),
    )


def version_folder(outbox: Path, incident: str, version: int) -> Path:
    """The folder of one version of the notices."""
    return outbox / f"{_file_name(incident)}-v{version}"


def message_path(folder: Path, tenant: str) -> Path:
    """The message to a tenant in the folder of a version."""
    return folder / f"{_file_name(tenant)}.{NOTICE_LANGUAGE}.eml"


@dataclass(frozen=True, slots=True)
class NoticeDraft:
    """The notice to one tenant, with the contacts to notify, and whether the tenant also uses the suite."""

    notice: Notice
    contacts: tuple[Contact, ...] = field(repr=False)
    suite: bool

    @property
    def tenant(self) -> str:
        """The tenant."""
        return str(self.notice.tenant["tenant_id"])

    def write(self, folder: Path) -> dict[str, str]:
        """Writes the notice and the message to the contacts. Returns the digests of their contents, without the addresses."""
        place, document = _file_name(self.tenant), self.notice.document
        content, text, html = json_text(article33(self.notice)), markdown_page(document), html_page(document)
        _write_private(folder / f"{place}.md", text)
        _write_private(folder / f"{place}.html", html)
        _write_private(folder / f"{place}.json", content)
        digests = {"digest": sha256_text(content.encode())}
        if not self.contacts:
            return digests
        message = notice_message(self.notice, [each.address for each in self.contacts], text, html)
        _write_private(message_path(folder, self.tenant), message)
        return {**digests, "message": message_digest(message)}


def _tenants_to_notify(incident: Incident, only: Sequence[str]) -> list[Mapping[str, Any]]:
    if incident.scope is None:
        raise ConfigurationError(
            "the scope of this incident has not been determined yet",
            hint=f"Run `minimize incident scope {incident.id}`.",
        )
    concerned = [
        each for each in incident.tenants_to_notify if each not in incident.exempt and (not only or each in only)
    ]
    if not concerned or set(only) - set(concerned):
        raise ConfigurationError(
            "no notice is needed for these tenants",
            hint=f"Run `minimize incident show {incident.id}` to see which tenants need a notice.",
        )
    return [each for each in incident.scope["tenants"] if each["tenant_id"] in concerned]


def _write_drafts(folder: Path, drafts: Sequence[NoticeDraft]) -> dict[str, dict[str, str]]:
    """Writes the drafts, readable by their owner only. Returns the digests of each notice's content."""
    digests: dict[str, dict[str, str]] | None = None
    with suppress(OSError):
        with write_new_folder(folder, "notice") as work:
            written = {each.tenant: each.write(work) for each in drafts}
            addressed = {
                each.tenant: [{"role": one.role, "name": one.name, "address": one.address} for one in each.contacts]
                for each in drafts
            }
            _write_private(work / ADDRESSES_FILE, json_text(addressed))
            if any(each.suite for each in drafts):
                _write_private(work / PARTNER_FILE, json_text(partner_list(drafts)))
        digests = written
    if digests is None:
        raise OutputError(
            "the notices cannot be written to this folder", hint="Pass a folder in which you may create folders."
        )
    return digests


def partner_list(drafts: Sequence[NoticeDraft]) -> dict[str, Any]:
    """The list for the team of the suite: the concerned tenants that use it, and the addresses that were notified."""
    notice = drafts[0].notice
    return {
        "incident": notice.incident.id,
        "version": notice.version,
        "contact": notice.contact,
        "tenants": [
            {
                "tenant_id": each.tenant,
                "notified": [{"role": one.role, "address": one.address} for one in each.contacts],
            }
            for each in drafts
            if each.suite
        ],
    }


def _write_private(path: Path, text: str) -> None:
    write_private_file(path, lambda out: out.write(text))


def _file_name(text: str) -> str:
    """The name as a file name, or its hash if it is unsafe in a file name, or the name of a list in the folder."""
    is_list = f"{text.casefold()}.json" in (ADDRESSES_FILE, PARTNER_FILE)
    safe = _SAFE_NAME.fullmatch(text) and not is_list
    return text if safe else hashlib.sha256(text.encode()).hexdigest()[:32]


def _contact_role(contacts: Sequence[Contact]) -> str | None:
    return contacts[0].role if contacts else None
