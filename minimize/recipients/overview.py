"""Recipients as results of commands: the list of recipients and subprocessors, and what one recipient receives and sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import Any

from minimize.json_form import JsonResult, json_member
from minimize.pages import Section, markdown_page
from minimize.recipients.load import Subprocessor, Subprocessors, load_configured_recipients
from minimize.recipients.model import Function, Recipient
from minimize.recipients.pages import (
    FIELD_HEADINGS,
    function_sections,
    overview_document,
    recipient_document,
)
from minimize.stores import PathText


@dataclass(frozen=True, slots=True)
class ListedRecipient:
    """A recipient in the list on a day, and whether the list of subprocessors permits it."""

    recipient: Recipient
    is_listed: bool
    on: date

    def to_json(self) -> dict[str, Any]:
        """The recipient as `recipient list --json` prints it."""
        found, contract = self.recipient, self.recipient.contract
        return {
            "recipient": found.recipient,
            "standing": found.standing,
            "listed": self.is_listed,
            "contract": None if contract is None else contract.reference,
            "in_force": contract is not None and contract.permits_transmission and contract.holds(self.on),
            "functions": list(found.functions),
            "outbound": _count_rows(found.outbound),
            "inbound": _count_rows(found.inbound),
        }

    def lines(self) -> Iterator[str]:
        """The standing, the numbers of rows that are sent and received, and the functions."""
        found = self.recipient
        rows = f"out {_count_rows(found.outbound)}  in {_count_rows(found.inbound)}"
        yield f"{found.recipient}  {found.standing}  {rows}  {', '.join(found.functions) or 'nothing is shared'}"


@dataclass(frozen=True, slots=True)
class RecipientOverview(JsonResult):
    """The recipients of a folder and the list of subprocessors. With `markdown`, its text is Markdown."""

    json_names = "folder recipients subprocessors"

    folder: Path
    recipients: tuple[ListedRecipient, ...]
    subprocessors: Subprocessors = field(metadata=json_member(convert=attrgetter("entries")))
    markdown: bool = False

    @property
    def document(self) -> Section:
        """The list as a page."""
        return overview_document([each.recipient for each in self.recipients], self.subprocessors)

    def lines(self) -> Iterator[str]:
        """A line for each recipient and each subprocessor, or the page as Markdown."""
        if self.markdown:
            yield from markdown_page(self.document).splitlines()
            return
        if not self.recipients:
            yield f"no recipients in {self.folder}"
        for each in self.recipients:
            yield from each.lines()
        if self.subprocessors.entries:
            yield from ("", "subprocessors:", *map(_subprocessor_line, self.subprocessors.entries))


@dataclass(frozen=True, slots=True)
class RecipientDetails:
    """What a recipient receives and sends."""

    recipient: Recipient

    @property
    def document(self) -> Section:
        """The recipient as a page."""
        return recipient_document(self.recipient)

    def to_json(self) -> dict[str, Any]:
        """The recipient as `recipient show --json` prints it."""
        functions = [
            {
                "function": section.title,
                "said": list(section.paragraphs),
                "fields": [
                    {
                        **dict(zip(FIELD_HEADINGS, line, strict=True)),
                        "optional": field.optional,
                        "protocol": field.protocol,
                        "values": list(field.values),
                    }
                    for line, field in zip(section.lines, section.fields, strict=True)
                ],
            }
            for section in function_sections(self.recipient)
        ]
        found = self.recipient
        return {
            "recipient": found.recipient,
            "standing": found.standing,
            "digest": found.digest,
            "functions": functions,
        }

    def lines(self) -> list[str]:
        """The page as Markdown."""
        return markdown_page(self.document).splitlines()


def list_recipients(recipients: PathText | None, on: date, *, markdown: bool = False) -> RecipientOverview:
    """The recipients in the configured folder on a day. Takes another folder, or None. Raises PolicyError."""
    known = load_configured_recipients(recipients)
    found = (known.load(name) for name in known.names())
    entries = tuple(ListedRecipient(each, known.is_listed(each, on), on) for each in found)
    return RecipientOverview(known.folder, entries, known.subprocessors, markdown)


def show_recipient(name: str, recipients: PathText | None = None) -> RecipientDetails:
    """What a recipient receives and sends. Takes its name, and another folder than the configured one. Raises PolicyError."""
    return RecipientDetails(load_configured_recipients(recipients).load(name))


def _subprocessor_line(entry: Subprocessor) -> str:
    until = f" until {entry.until}" if entry.until else ""
    return f"{entry.name}  from {entry.from_}{until}  {entry.about}".rstrip()


def _count_rows(functions: tuple[Function, ...]) -> int:
    return sum(len(function.rows) for function in functions)
