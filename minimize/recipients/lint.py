"""Judging a recipient: what will be refused, and what is risky."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from minimize.errors import Finding, PolicyError, Severity
from minimize.plan.category import least, left_of
from minimize.recipients.examples import as_array
from minimize.recipients.folder import LIST, files_of
from minimize.recipients.load import examine_recipient, examine_subprocessors
from minimize.recipients.model import Contract, Function, Recipient, Shared
from minimize.recipients.subprocessors import Subprocessors

_OPEN: Final = ("everything", "guessable")
_HEAD: Final = re.compile(rb'^\s?"?(recipient|subprocessors)"?\s*:', re.MULTILINE)


def lint(path: str | Path, on: date) -> list[Finding]:
    """All faults and risky choices of a recipient's file, or of a folder of them with its list, as of a day; worst first.

    Raises PolicyError where nothing is there.
    """
    place = Path(path)
    if not place.exists():
        raise PolicyError(f"there is no {place}", hint="a recipient's file, or a folder of them")
    listed, faults = examine_subprocessors((place if place.is_dir() else place.parent) / LIST)
    files = files_of(place) if place.is_dir() else [place] if place.name != LIST else []
    found = [*faults, *_overlaps(listed), *(finding for file in files for finding in _of_file(file, listed, on))]
    return sorted(dict.fromkeys(found), key=lambda one: (one.severity, one.file or "", one.line or 0, one.code))


def _overlaps(listed: Subprocessors) -> Iterator[Finding]:
    """Entries of one name of which one begins before the other has ended: which of them counts, nobody can read."""
    file = None if listed.path is None else str(listed.path)
    for number, entry in enumerate(listed.entries):
        before = [each for each in listed.entries[:number] if each.name == entry.name]
        if any(entry.overlaps(each) for each in before):
            message = f"`{entry.name}` stands there twice for the same days"
            yield Finding("T016", message, "warning", "end one, or take it out", file, entry.line)


def is_recipient(path: str | Path) -> bool:
    """Whether this lint judges a path: a file that says `recipient:` or `subprocessors:`, or a folder of them."""
    place = Path(path)
    if place.is_dir():
        return not (place / "pipeline.yaml").exists() and any(map(is_recipient, (place / LIST, *files_of(place))))
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return _HEAD.search(file.read(65_536)) is not None


def judge(recipient: Recipient, listed: Subprocessors, on: date) -> list[Finding]:
    """What is to be said of a recipient that can be read."""
    judged = _Judged(recipient, listed, on)
    return [finding for check in _CHECKS for finding in check(judged)]


def _of_file(file: Path, listed: Subprocessors, on: date) -> list[Finding]:
    recipient, faults = examine_recipient(file)
    if recipient is None:
        return faults
    faulty = {fault.field for fault in faults}
    return [*faults, *(one for one in judge(recipient, listed, on) if one.field is None or one.field not in faulty)]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A recipient under judgement, on a day."""

    recipient: Recipient
    listed: Subprocessors
    on: date

    def finding(
        self, code: str, severity: Severity, message: str, hint: str = "", field: Shared | None = None
    ) -> Finding:
        file = None if self.recipient.path is None else str(self.recipient.path)
        key, line = (None, None) if field is None else (field.key, field.line)
        return Finding(code, message, severity, hint, file, line, key)

    @property
    def going(self) -> list[Shared]:
        """Every field of which something goes out."""
        return [field for function in self.recipient.outbound for field in function.shared.values()]

    @property
    def leaving(self) -> list[Shared]:
        """The same and the secrets that pass through: what a contract must permit."""
        fields = [field for function in self.recipient.outbound for field in function.fields.values()]
        return [field for field in fields if field.chain or field.passes]


def _contract(judged: _Judged) -> Iterator[Finding]:
    contract, receives = judged.recipient.contract, bool(judged.recipient.inbound)
    sends = contract is not None and contract.permits_transmission
    if judged.leaving and not sends:
        message = "no contract permits transmission: nothing goes to it"
        yield judged.finding("T010", "warning", message, "say `contract:`")
    elif receives and contract is None:
        yield judged.finding("T010", "warning", "no contract: nothing is received from it", "say `contract:`")
    if contract is None or not (receives or (judged.leaving and sends)):
        return
    if not contract.holds(judged.on):
        yield judged.finding("T011", "error", f"the contract {contract.reference} is not in force on {judged.on}")
    if judged.leaving and sends:
        if contract.retention is None:
            hint = "say `retention:` in the contract"
            yield judged.finding("T014", "warning", "nobody says how long the recipient keeps what it got", hint)
        yield from _permitted(judged, contract)


def _permitted(judged: _Judged, contract: Contract) -> Iterator[Finding]:
    for field in judged.leaving:
        if not contract.permits(field.key):
            hint = "`permitted_fields` of the contract lists it, or it is dropped"
            yield judged.finding("T012", "error", "the contract does not permit this field", hint, field)
    sent = {field.key for field in judged.leaving}
    for key in contract.permitted_fields:
        if key not in sent:
            yield judged.finding("T013", "warning", f"the contract permits `{key}`, which no function sends")


def _agent(judged: _Judged) -> Iterator[Finding]:
    entry = judged.recipient.subprocessor if judged.recipient.standing == "agent" else None
    if entry is not None and not judged.listed.lists(entry, judged.on):
        message = f"`{entry}` is not on the list of subprocessors on {judged.on}"
        yield judged.finding("T015", "error", message, f"an entry in {LIST}, with `from`")


def _forms(judged: _Judged) -> Iterator[Finding]:
    for field in judged.going:
        left = least(left_of(step, [field.role]) for step in field.chain)
        if field.role == "identifier" and left in _OPEN:
            yield judged.finding(
                "T020", "warning", "an identifier goes out so that it can be read or guessed", "", field
            )
        if field.role == "free_text" and left == "everything":
            yield judged.finding("T021", "warning", "free text goes out as it is", "`redact`, or `drop`", field)


def _examples(judged: _Judged) -> Iterator[Finding]:
    for function in judged.recipient.functions.values():
        for field in function.fields.values():
            if field.example is not None and as_array(field) is None:
                yield judged.finding(
                    "T024", "warning", f"the example is no {field.type}", "it shows nobody the form", field
                )
            elif field.values and field.example not in (None, *field.values):
                message = "the example is not one of the listed values"
                yield judged.finding("T024", "warning", message, "give one of `values`", field)


def _words(judged: _Judged) -> Iterator[Finding]:
    for function in judged.recipient.functions.values():
        yield from _unsaid(judged, function)


def _unsaid(judged: _Judged, function: Function) -> Iterator[Finding]:
    if not function.text:
        message = f"the function `{function.name}` has no text that a tenant could agree to"
        yield judged.finding("T022", "warning", message, "say `text:`")
    for field in function.shared.values():
        if not field.about:
            yield judged.finding("T023", "warning", "nobody says what this field is for", "say `about:`", field)


_CHECKS: Final[tuple[Callable[[_Judged], Iterator[Finding]], ...]] = (_contract, _agent, _forms, _examples, _words)
