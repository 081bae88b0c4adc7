"""The request to a tenant's administrator to turn on functions: a page of the tenant, and a message to its contacts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from minimize.governance.incidents.contacts import Contact, find_contacts
from minimize.governance.incidents.notice import contact_message
from minimize.governance.notify import find_notify_command, run_notify_command
from minimize.pages import BulletList, Section, StatusLine, Table, html_page, markdown_page
from minimize.recipients import Recipients
from minimize.recipients.pages import function_sections, recipient_status
from minimize.results import JsonResult
from minimize.text import count_noun
from minimize.times import minute_text
from minimize.workspace import Workspace

FunctionState = Literal["on", "agreed", "requested", "off"]
RequestDelivery = Literal["sent", "failed", "no_contact", "not_configured"]
DELIVERY_TEXTS: Final = {
    "sent": "the request was sent to the administrator by the command of `notify:`",
    "failed": "the command of `notify:` failed: send the request yourself",
    "no_contact": "`contacts:` has no contact of the tenant: send the request yourself",
    "not_configured": "minimize.yaml has no `notify:`: send the request yourself",
}


@dataclass(frozen=True, slots=True)
class FunctionStatus(JsonResult):
    """A function of a recipient for one tenant: whether data moves, and what is missing."""

    tenant: str
    recipient: str
    function: str
    direction: str
    state: FunctionState
    """`on`: data moves; `agreed`: the administrator agreed, and something else is missing; `requested`: the administrator was
    asked and has not answered; `off`: none of these."""
    missing: tuple[str, ...]

    @property
    def waits_for_administrator(self) -> bool:
        """Whether the administrator was asked and has not answered."""
        return self.state == "requested" and any(each.startswith("consent:") for each in self.missing)

    def lines(self) -> Iterator[str]:
        """The state, and what is missing."""
        yield f"{self.recipient}  {self.function}  {self.direction}  {self.state}"
        yield from (f"  missing: {each}" for each in self.missing)


def functions_page(tenant: str, statuses: Sequence[FunctionStatus], recipients: Recipients, at: datetime) -> Section:
    """The page of a tenant: requests that wait for its administrator, with their texts, data and answers; then all functions."""
    waiting = [each for each in statuses if each.waits_for_administrator]
    rows = [(each.recipient, each.function, each.direction, each.state, "; ".join(each.missing)) for each in statuses]
    head = ("recipient", "function", "direction", "state", "missing")
    count = count_noun(len(waiting), "request")
    return Section(
        f"Functions of third parties for {tenant}",
        (
            *_recipient_statuses(statuses, recipients),
            f"State at {minute_text(at)}. {count} {'waits' if len(waiting) == 1 else 'wait'} for an administrator.",
            *(_request_section(tenant, each, recipients) for each in waiting),
            Section("All functions", (Table.filled("", head, rows) if rows else "There are no functions.",)),
        ),
    )


def _recipient_statuses(statuses: Sequence[FunctionStatus], recipients: Recipients) -> Iterator[StatusLine]:
    """For each recipient how much it gets, and whether the tenant has authorized it."""
    for name in dict.fromkeys(each.recipient for each in statuses):
        functions = [each for each in statuses if each.recipient == name]
        authorized = [each.function for each in functions if each.state in ("on", "agreed")]
        yield recipient_status(recipients.load(name), authorized)


def _request_section(tenant: str, status: FunctionStatus, recipients: Recipients) -> Section:
    recipient = recipients.load(status.recipient)
    manifest, named = recipient.functions[status.function], f"{tenant} {status.recipient} {status.function}"
    (fields,) = (each for each in function_sections(recipient) if each.title.startswith(f"{status.function}:"))
    answers = BulletList(
        (
            f"to agree: `minimize consent give {named} --text-version {manifest.text_version}`",
            f"to refuse: `minimize consent refuse {named}`",
        )
    )
    return Section(
        f"{status.function} of {status.recipient}",
        (
            *fields.paragraphs,
            "No data moves before you have agreed. Answer under your own account, with an API token (MINIMIZE_TOKEN):",
            answers,
            *_missing_text(status),
            fields.table,
        ),
    )


def _missing_text(status: FunctionStatus) -> Iterator[str]:
    others = [each for each in status.missing if not each.startswith("consent:")]
    if others:
        yield f"Also missing: {'; '.join(others)}."


def send_request(tenant: str, function: str, page: Section, workspace: Workspace) -> RequestDelivery:
    """Runs the operator's command with a message that has the page, for the administrators of a tenant.

    Without an administrator among the contacts, the contacts for privacy or security get it. Raises ConfigurationError if the
    command cannot be found, PolicyError for a faulty contacts file.
    """
    command = find_notify_command(workspace.config)
    if command is None:
        return "not_configured"
    contacts = find_contacts(None, workspace.config)
    administrators = [each for each in contacts.entries if (each.tenant_id, each.role) == (tenant, "administrator")]
    to: Sequence[Contact] = administrators or contacts.for_tenant(tenant)
    if not to:
        return "no_contact"
    title = f"A function waits for your consent: {function}"
    text, html = markdown_page(page), html_page(page)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "request.eml"
        path.write_text(contact_message(title, "", [each.address for each in to], text, html), encoding="utf-8")
        return "sent" if run_notify_command(command, path) == 0 else "failed"
