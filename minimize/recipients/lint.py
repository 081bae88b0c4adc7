"""Lint of recipients: choices that will be refused or are risky, in a recipient's file or a folder of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from minimize.errors import Finding, PolicyError, Severity
from minimize.plan.category import least_revealing, step_leaves
from minimize.recipients.load import (
    SUBPROCESSORS_FILE,
    Subprocessors,
    examine_recipient,
    examine_subprocessors,
    recipient_files,
)
from minimize.recipients.model import Contract, Function, Recipient, SharedField
from minimize.recipients.pages import example_array
from minimize.records import PIPELINE_FILE

_READABLE: Final = ("everything", "guessable")
_FILE_HEAD: Final = re.compile(rb'^\s?"?(recipient|subprocessors)"?\s*:', re.MULTILINE)


def lint_recipients(path: str | Path, on: date) -> list[Finding]:
    """All faults and risky choices of a recipient's file, or of a folder of them with its list, as of a day; worst first.

    Raises PolicyError if the path does not exist.
    """
    place = Path(path)
    if not place.exists():
        raise PolicyError(f"{place} does not exist", hint="Pass the file of a recipient, or a folder of them.")
    listed, faults = examine_subprocessors((place if place.is_dir() else place.parent) / SUBPROCESSORS_FILE)
    files = recipient_files(place) if place.is_dir() else [place] if place.name != SUBPROCESSORS_FILE else []
    found = [
        *faults,
        *_check_overlaps(listed),
        *(finding for file in files for finding in _lint_file(file, listed, on)),
    ]
    return sorted(dict.fromkeys(found), key=lambda one: (one.severity, one.file or "", one.line or 0, one.code))


def _check_overlaps(listed: Subprocessors) -> Iterator[Finding]:
    """T016: entries of the same name with overlapping dates, which are ambiguous."""
    file = None if listed.path is None else str(listed.path)
    for number, entry in enumerate(listed.entries):
        before = [each for each in listed.entries[:number] if each.name == entry.name]
        if any(entry.overlaps(each) for each in before):
            message = f"`{entry.name}` is listed twice for the same days"
            yield Finding(
                code="T016",
                message=message,
                severity="warning",
                hint="Set `until` for one entry, or remove it.",
                file=file,
                line=entry.line,
            )


def is_recipient_path(path: str | Path) -> bool:
    """Whether this lint applies to a path: a file with `recipient:` or `subprocessors:`, or a folder of them."""
    place = Path(path)
    if place.is_dir():
        return not (place / PIPELINE_FILE).exists() and any(
            map(is_recipient_path, (place / SUBPROCESSORS_FILE, *recipient_files(place)))
        )
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return _FILE_HEAD.search(file.read(65_536)) is not None


def check_recipient(recipient: Recipient, listed: Subprocessors, on: date) -> list[Finding]:
    """The findings about a recipient whose file could be read."""
    judged = _CheckedRecipient(recipient, listed, on)
    return [finding for check in _LINT_CHECKS for finding in check(judged)]


def _lint_file(file: Path, listed: Subprocessors, on: date) -> list[Finding]:
    recipient, faults = examine_recipient(file)
    if recipient is None:
        return faults
    faulty = {fault.field for fault in faults}
    return [
        *faults,
        *(one for one in check_recipient(recipient, listed, on) if one.field is None or one.field not in faulty),
    ]


@dataclass(frozen=True, slots=True)
class _CheckedRecipient:
    """A recipient and the list of subprocessors, checked as of a day."""

    recipient: Recipient
    listed: Subprocessors
    on: date

    def finding(
        self, code: str, severity: Severity, message: str, hint: str = "", field: SharedField | None = None
    ) -> Finding:
        file = None if self.recipient.path is None else str(self.recipient.path)
        key, line = (None, None) if field is None else (field.key, field.line)
        return Finding(code=code, message=message, severity=severity, hint=hint, file=file, line=line, field=key)

    @property
    def outbound_fields(self) -> list[SharedField]:
        """The fields of which something is sent."""
        return [field for function in self.recipient.outbound for field in function.shared.values()]

    @property
    def transmitted_fields(self) -> list[SharedField]:
        """The fields that a contract must permit: those of which something is sent, and pass-through secrets."""
        fields = [field for function in self.recipient.outbound for field in function.fields.values()]
        return [field for field in fields if field.chain or field.passes]


def _check_contract(judged: _CheckedRecipient) -> Iterator[Finding]:
    contract, receives = judged.recipient.contract, bool(judged.recipient.inbound)
    sends = contract is not None and contract.permits_transmission
    if judged.transmitted_fields and not sends:
        message = "no contract permits transmission, so nothing is sent to this recipient"
        yield judged.finding("T010", "warning", message, "Add `contract:`.")
    elif receives and contract is None:
        yield judged.finding(
            "T010", "warning", "there is no contract, so nothing is received from this recipient", "Add `contract:`."
        )
    if contract is None or not (receives or (judged.transmitted_fields and sends)):
        return
    if not contract.holds(judged.on):
        yield judged.finding("T011", "error", f"the contract {contract.reference} is not in force on {judged.on}")
    if judged.transmitted_fields and sends:
        if contract.retention is None:
            hint = "Add `retention:` to the contract."
            yield judged.finding(
                "T014", "warning", "the contract does not state how long the recipient keeps the data", hint
            )
        yield from _check_permitted_fields(judged, contract)


def _check_permitted_fields(judged: _CheckedRecipient, contract: Contract) -> Iterator[Finding]:
    for field in judged.transmitted_fields:
        if not contract.permits(field.key):
            hint = "Add it to `permitted_fields` of the contract, or drop it."
            yield judged.finding("T012", "error", "the contract does not permit this field", hint, field)
    sent = {field.key for field in judged.transmitted_fields}
    for key in contract.permitted_fields:
        if key not in sent:
            hint = "Remove it from `permitted_fields` of the contract."
            yield judged.finding("T013", "warning", f"the contract permits `{key}`, which no function sends", hint)


def _check_agent(judged: _CheckedRecipient) -> Iterator[Finding]:
    entry = judged.recipient.subprocessor if judged.recipient.standing == "agent" else None
    if entry is not None and not judged.listed.is_listed(entry, judged.on):
        message = f"`{entry}` is not on the list of subprocessors on {judged.on}"
        yield judged.finding("T015", "error", message, f"Add an entry with `from` to {SUBPROCESSORS_FILE}.")


def _check_forms(judged: _CheckedRecipient) -> Iterator[Finding]:
    for field in judged.outbound_fields:
        left = least_revealing(step_leaves(step, [field.role]) for step in field.chain)
        if field.role == "identifier" and left in _READABLE:
            yield judged.finding(
                "T020",
                "warning",
                "an identifier is sent in a form that can be read or guessed",
                "Pseudonymize or drop it.",
                field,
            )
        if field.role == "free_text" and left == "everything":
            yield judged.finding("T021", "warning", "free text is sent unchanged", "Use `redact`, or drop it.", field)


def _check_examples(judged: _CheckedRecipient) -> Iterator[Finding]:
    for function in judged.recipient.functions.values():
        for field in function.fields.values():
            if field.example is not None and example_array(field) is None:
                yield judged.finding(
                    "T024",
                    "warning",
                    f"the example is not of type {field.type}",
                    "Correct the example, so that it shows the form.",
                    field,
                )
            elif field.values and field.example not in (None, *field.values):
                message = "the example is not one of the listed values"
                yield judged.finding("T024", "warning", message, "Use one of `values`.", field)


def _check_texts(judged: _CheckedRecipient) -> Iterator[Finding]:
    for function in judged.recipient.functions.values():
        yield from _check_function_text(judged, function)


def _check_function_text(judged: _CheckedRecipient, function: Function) -> Iterator[Finding]:
    if not function.text:
        message = f"the function `{function.name}` has no consent text for tenants"
        yield judged.finding("T022", "warning", message, "Add `text:`.")
    for field in function.shared.values():
        if not field.about:
            yield judged.finding("T023", "warning", "the use of this field is not stated", "Add `about:`.", field)


_LINT_CHECKS: Final[tuple[Callable[[_CheckedRecipient], Iterator[Finding]], ...]] = (
    _check_contract,
    _check_agent,
    _check_forms,
    _check_examples,
    _check_texts,
)
