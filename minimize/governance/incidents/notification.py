"""Notification of tenants: drafts of notices by version, and the list for the partner team."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from minimize.errors import ConfigurationError, OutputError
from minimize.governance.incidents.contacts import Contact, Contacts, administrator_contacts, find_contacts
from minimize.governance.incidents.incident import Incident, load_incident, require_open_privacy
from minimize.governance.incidents.notice import NOTICE_LANGUAGE, Notice, article33, message_digest, notice_message
from minimize.governance.incidents.workflow import record_step
from minimize.output.publish import write_new_folder
from minimize.pages import html_page, markdown_page
from minimize.receipts.parts import sha256_text
from minimize.results import JsonResult, json_member
from minimize.stores import PathText
from minimize.stores.durable_files import write_private_file
from minimize.text import count_noun, json_text
from minimize.workspace import Workspace

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


_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HASH_DIGITS: Final = 32
_HASH_NAME: Final = re.compile(rf"[0-9a-fA-F]{{{_HASH_DIGITS}}}")
ADDRESSES_FILE: Final = "addressed.json"
PARTNER_FILE: Final = "partner_team.json"
"""The tenants concerned that also use the suite, for the team of the suite."""


@dataclass(frozen=True, slots=True)
class DraftedNotices(JsonResult):
    """Drafted notices."""

    incident: Incident = field(metadata=json_member(convert=attrgetter("id")))
    version: int
    folder: Path
    tenants: tuple[str, ...]
    without_contact: tuple[str, ...]
    """Tenants without a contact, for which no message was written."""
    suite: tuple[str, ...] = ()
    """Tenants that also use the suite; the list for the partner team names them."""
    customers: tuple[str, ...] = ()
    """Other customers of the suite that use the service; the list for the partner team also names them."""

    def lines(self) -> Iterator[str]:
        """The version and its folder, the tenants without a contact, and the list for the partner team."""
        yield f"version {self.version} for {count_noun(len(self.tenants), 'tenant')}: {self.folder}"
        yield from (f"  no contact for {tenant}" for tenant in self.without_contact)
        if self.suite or self.customers:
            count = f"{count_noun(len(self.suite), 'tenant')} of the suite"
            others = f", and {count_noun(len(self.customers), 'other customer')} of it" if self.customers else ""
            yield f"  {count}{others}: {self.folder / PARTNER_FILE}"


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
    contacts  the contacts of tenants or their file; None for the configured file. Tenants that it does not name have the
              administrators in the records of `administrators:`

    Raises ConfigurationError without `to` or `contact`, or if no tenant needs a notice; PolicyError, OutputError, LedgerError,
    KeyringError.
    """
    workspace.require("incident/notice")
    if to is None or not contact:
        raise ConfigurationError(
            "a notice needs a folder and a contact for questions", hint="Pass --to DIR and --contact WHOM."
        )
    named = contacts if isinstance(contacts, Contacts) else find_contacts(contacts, workspace.config)
    completed_contacts = named.completed_by(administrator_contacts(workspace))
    this = load_incident(name, workspace)
    tenants = _tenants_to_notify(require_open_privacy(this), only)
    version = this.draft_count + 1
    folder = version_folder(Path(to), name, version)
    drafts = [
        NoticeDraft(
            Notice(this, each, version, contact),
            completed_contacts.for_tenant(tenant),
            completed_contacts.uses_suite(tenant),
        )
        for each in tenants
        for tenant in [str(each["tenant_id"])]
    ]
    customers = [each for each in completed_contacts.suite_tenants if each not in this.tenants_to_notify]
    partners = partner_list(drafts, {each: completed_contacts.for_tenant(each) for each in customers})
    digests = _write_drafts(folder, drafts, partners)

    def body_of(incident: Incident | None) -> Mapping[str, Any]:
        if require_open_privacy(incident).draft_count + 1 != version:
            raise ConfigurationError("another command drafted notices at the same time", hint="Run the command again.")
        recorded = {
            each.tenant: {
                **digests[each.tenant],
                "to": _contact_role(each.contacts),
                "suite": each.suite,
                "empty": list(each.notice.empty_sections),
            }
            for each in drafts
        }
        return {"version": version, "tenants": recorded}

    drafted_incident = record_step(name, "drafted", body_of, workspace, now)
    return DraftedNotices(
        drafted_incident,
        version,
        folder,
        tuple(each.tenant for each in drafts),
        tuple(each.tenant for each in drafts if not each.contacts),
        tuple(each.tenant for each in drafts if each.suite),
        tuple(customers),
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


def _write_drafts(
    folder: Path, drafts: Sequence[NoticeDraft], partners: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Writes the drafts, readable by their owner only. Returns the digests of each notice's content."""
    digests: dict[str, dict[str, str]] | None = None
    with suppress(OSError):
        with write_new_folder(folder, "notice") as work:
            written = {draft.tenant: draft.write(work) for draft in drafts}
            addressed = {
                draft.tenant: [
                    {"role": contact.role, "name": contact.name, "address": contact.address}
                    for contact in draft.contacts
                ]
                for draft in drafts
            }
            _write_private(work / ADDRESSES_FILE, json_text(addressed))
            if partners["tenants"] or partners["customers"]:
                _write_private(work / PARTNER_FILE, json_text(partners))
        digests = written
    if digests is None:
        raise OutputError(
            "the notices cannot be written to this folder", hint="Pass a folder in which you may create folders."
        )
    return digests


def partner_list(drafts: Sequence[NoticeDraft], customers: Mapping[str, Sequence[Contact]]) -> dict[str, Any]:
    """The list for the team of the suite: the concerned tenants that use it, with the addresses that were notified; and its other
    customers that use the service, with their contacts, whom the team tells."""
    notice = drafts[0].notice
    return {
        "incident": notice.incident.id,
        "version": notice.version,
        "contact": notice.contact,
        "tenants": [
            {
                "tenant_id": draft.tenant,
                "notified": [{"role": contact.role, "address": contact.address} for contact in draft.contacts],
            }
            for draft in drafts
            if draft.suite
        ],
        "customers": [
            {
                "tenant_id": tenant,
                "contacts": [{"role": contact.role, "address": contact.address} for contact in contacts],
            }
            for tenant, contacts in customers.items()
        ],
    }


def _write_private(path: Path, text: str) -> None:
    write_private_file(path, lambda out: out.write(text))


def _file_name(text: str) -> str:
    """The file name of a tenant or an incident: its own name, or the hash of a name that is unsafe in a file name, the name of a
    list in the folder, or itself of the form of a hash. So no tenant has the file name of another one.
    """
    is_list = f"{text.casefold()}.json" in (ADDRESSES_FILE, PARTNER_FILE)
    safe = _SAFE_NAME.fullmatch(text) and not _HASH_NAME.fullmatch(text) and not is_list
    return text if safe else hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


def _contact_role(contacts: Sequence[Contact]) -> str | None:
    return contacts[0].role if contacts else None
