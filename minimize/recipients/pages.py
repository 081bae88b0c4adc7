"""The list that a tenant may read: every field of every function, its example, purpose and form, from the enforced manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from minimize.policy.words import chain_text, duration
from minimize.recipients.examples import after, before
from minimize.recipients.model import Contract, Function, Recipient, Shared
from minimize.recipients.subprocessors import Subprocessors

HEAD = ("field", "example", "as it leaves", "used for", "form")
OVERVIEW = ("recipient", "about", "standing", "rows", "functions")
LISTED = ("name", "from", "until", "what it does")
RECIPIENTS = "Recipients"
SUBPROCESSORS = "Subprocessors"
NO_AGENTS = "No agent acts for the service."
Line = tuple[str, str, str, str, str]
_MARKUP: Final = re.compile(r"[\\|`*\[\]<>#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown would not show as it is; an underscore within a word is one."""
_STANDINGS = {
    "agent": "It acts for the service, and only while it is on the list of subprocessors.",
    "independent": "It acts for itself: nothing is shared unless the tenant's administrator agreed to it.",
}
_DIRECTIONS = {"outbound": "goes there", "inbound": "comes from there"}


@dataclass(frozen=True, slots=True)
class Section:
    """One function for readers: what is to be said above its table, and the lines of the table with the field of each."""

    title: str
    said: tuple[str, ...]
    lines: tuple[Line, ...]
    fields: tuple[Shared, ...]


def markdown(recipient: Recipient) -> str:
    """The list in Markdown; whatever the file says is escaped."""
    parts = [f"# {_marked(recipient.recipient)}", *map(_marked, about(recipient))]
    for section in sections(recipient):
        parts += [f"## {_marked(section.title)}", *map(_marked, section.said), _table(HEAD, section.lines)]
    return "\n\n".join(parts) + "\n"


def overview_markdown(recipients: Sequence[Recipient], listed: Subprocessors) -> str:
    """All recipients and the list of subprocessors in Markdown."""
    parts = [f"# {RECIPIENTS}", _table(OVERVIEW, overview(recipients))]
    parts += [f"## {SUBPROCESSORS}", _table(LISTED, agents(listed)) if listed.entries else NO_AGENTS]
    return "\n\n".join(parts) + "\n"


def overview(recipients: Sequence[Recipient]) -> list[tuple[str, ...]]:
    """One line for each recipient."""
    return [(one.recipient, one.about, one.standing, _numbers(one), ", ".join(one.functions)) for one in recipients]


def agents(listed: Subprocessors) -> list[tuple[str, ...]]:
    """One line for each entry of the list of subprocessors."""
    return [(one.name, str(one.from_), str(one.until or ""), one.about) for one in listed.entries]


def _numbers(recipient: Recipient) -> str:
    out, back = (sum(len(each.rows) for each in some) for some in (recipient.outbound, recipient.inbound))
    return f"{out} sent, {back} received"


def sections(recipient: Recipient) -> Iterator[Section]:
    """The functions, what goes first."""
    for function in (*recipient.outbound, *recipient.inbound):
        title = f"{function.name}: {_DIRECTIONS[function.direction]}"
        fields = tuple(_in_order(function))
        yield Section(title, tuple(_said(function)), tuple(map(_line, fields)), fields)


def form(field: Shared) -> str:
    """What becomes of a field, in words.

    >>> form(Shared(key="password", role="secret", passes=True))
    'passes through; never stored, logged or counted'
    """
    if field.passes:
        return "passes through; never stored, logged or counted"
    if not field.chain:
        return "not passed on"
    text = chain_text(field.form)
    return f"{text}; only {', '.join(field.values)}" if field.values else text


def about(recipient: Recipient) -> Iterator[str]:
    """What is to be said above all functions: who it is, how it stands, what is agreed."""
    if recipient.about:
        yield f"For {recipient.about}."
    yield _STANDINGS[recipient.standing]
    yield _agreed(recipient.contract)
    if recipient.ending:
        yield f"When it ends: {recipient.ending}."
    if not recipient.functions:
        yield "Nothing is shared with it, and nothing is taken from it."


def _agreed(contract: Contract | None) -> str:
    if contract is None or not contract.permits_transmission:
        return "No contract permits anything to go to it."
    until = f" until {contract.until}" if contract.until else ""
    kept = f"; it keeps what it got for {duration(contract.retention)}" if contract.retention else ""
    gone = (
        f", and deletes within {duration(contract.deletes_within)} what is called back"
        if contract.deletes_within
        else ""
    )
    return f"Contract {contract.reference}, from {contract.from_}{until}{kept}{gone}."


def _said(function: Function) -> Iterator[str]:
    if function.text:
        yield f"{function.text} (text {function.text_version})"
    yield f"Purpose: {function.purpose}."
    if function.aggregate:
        yield f"Counts and statistics of groups alone, never single records: {function.aggregate}."
    if function.requires:
        yield f"Must be there first: {', '.join(function.requires)}."


def _in_order(function: Function) -> list[Shared]:
    """The fields of each line of the tenant's list below each other."""
    order = {row: number for number, row in enumerate(function.rows)}
    return sorted(function.fields.values(), key=lambda field: order[field.listed_as])


def _line(field: Shared) -> Line:
    row = field.listed_as
    name = field.key if row == field.key else f"{row}: {field.key}"
    return name, before(field), after(field), field.about + _when(field), form(field)


def _when(field: Shared) -> str:
    """When a field is sent, in words: optional fields, and those of later versions of a protocol."""
    words = ["optional"] if field.optional else []
    words += [] if field.protocol is None else [f"protocol {field.protocol} and later"]
    return f" ({', '.join(words)})" if words else ""


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ("---",) * len(head), *([_marked(cell) for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _marked(text: str) -> str:
    """Text as Markdown shows it, on one line: no cell ends early, nothing becomes markup."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
