"""Pages about recipients for tenants: every field of every function, with example, purpose and form.

The pages are made from the enforced manifest. The released form of an example is computed with the field's techniques.

Recipients as results of commands: the list of recipients and subprocessors, and what one recipient receives and sends.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from minimize.arrow.types import arrow_type
from minimize.forms.yaml_nodes import scalar_text
from minimize.pages import Section, StatusLine, Table, markdown_page
from minimize.policy.describe import treatment_text
from minimize.policy.plain_words import REPORT_WORDS, capitalized, plain_name
from minimize.recipients.load import Subprocessor, Subprocessors, load_configured_recipients
from minimize.recipients.model import Contract, Function, Recipient, SharedField, standing_text
from minimize.results import JsonResult, Line, json_member
from minimize.stores import PathText
from minimize.techniques import Context, Technique, TechniqueStep, treat
from minimize.techniques.age import Age
from minimize.text import count_noun
from minimize.times import duration_text, period_text, seconds_text

_NOON: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""A fixed time for the evaluation of examples. The techniques that are shown do not read the time of a run."""


def example_text(field: SharedField) -> str:
    """The example, as in the file.

    >>> example_text(SharedField(key="managed", type="boolean", example=True))
    'true'
    """
    return _value_text(field.example)


def treated_example(field: SharedField) -> str:
    """The released form of the example; empty if it depends on a key, a time or another field, or if the field is dropped.

    >>> from minimize.techniques.mask import Mask
    >>> treated_example(SharedField(key="phone", example="+33612345678", do=(Mask(keep_last=4),)))
    '****5678'
    """
    values = example_array(field)
    if values is None or not field.chain or any(map(_depends_on_context, field.chain)):
        return ""
    context = Context(field.key, _NOON)
    for step in field.chain:
        values = treat(step, values, context).values if isinstance(step, Technique) else values
    return _value_text(values[0].as_py())


def example_array(field: SharedField) -> pa.Array | None:
    """The example as a column of its field's type; None if there is none, or it does not have that type."""
    if field.example is None:
        return None
    try:
        return pa.array([field.example]).cast(arrow_type(field.type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None


def _depends_on_context(step: TechniqueStep) -> bool:
    return bool(step.key_names or step.reads() or step.needs_time) or isinstance(step, Age)


def _value_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return seconds_text(value)
    return scalar_text(value)


FIELD_HEADINGS = ("field", "example", "as it leaves", "used for", "form")
"""The names of a field's cells in JSON."""
_PAGE_HEADINGS = MappingProxyType(
    {
        "outbound": ("field", "example", "as sent", "used for", "how it is changed"),
        "inbound": ("field", "example", "as stored", "used for", "how it is changed"),
    }
)
"""The headings of a field table, by the direction of the function."""
RECIPIENT_HEADINGS = ("recipient", "about", "role", "data items", "functions")
SUBPROCESSOR_HEADINGS = ("name", "from", "until", "task")
FieldRow = tuple[str, str, str, str, str]
_STANDING_TEXTS = {
    "processor": (
        "This recipient is a processor of ours (subprocessor). "
        "Data is shared with it only while it is on the list of subprocessors."
    ),
    "independent_controller": (
        "This recipient is an independent controller. Nothing is shared unless the tenant's administrator has authorized it."
    ),
}
_DIRECTION_WORDS: Final = MappingProxyType({"outbound": "sent", "inbound": "received"})
_DIRECTION_TEXTS = {"outbound": "sent to this recipient", "inbound": "received from this recipient"}


@dataclass(frozen=True, slots=True)
class FunctionSection:
    """One function on a page: title, paragraphs above its table, headings and rows of the table, and the fields of the rows."""

    title: str
    paragraphs: tuple[str, ...]
    headings: tuple[str, ...]
    lines: tuple[FieldRow, ...]
    """A row for each field, as JSON has it."""
    fields: tuple[SharedField, ...]

    @property
    def heading(self) -> str:
        """The title in the words that people use."""
        name, colon, direction = self.title.partition(":")
        return f"{capitalized(plain_name(name))}{colon}{direction}"

    @property
    def table(self) -> Table:
        """The fields in the names that people use, each with its form in words."""
        return Table.filled("Fields of this function", self.headings, [*map(_page_row, self.fields)])


def recipient_document(recipient: Recipient) -> Section:
    """The page of a recipient: what it gets in one line, its functions at a glance, then each function."""
    sections = [*function_sections(recipient)]
    functions = (*recipient.outbound, *recipient.inbound)
    glance = [
        (
            plain_name(each.name),
            _DIRECTION_WORDS[each.direction],
            plain_name(each.purpose),
            f"{len(each.rows)}",
            ", ".join(map(plain_name, each.requires)),
        )
        for each in functions
    ]
    head = ("function", "direction", "purpose", "data items", "needs")
    return Section(
        recipient_name(recipient),
        (
            recipient_status(recipient),
            *introduction(recipient),
            Table.filled("Functions at a glance", head, glance),
            *(Section(each.heading, (*each.paragraphs, each.table), is_folded=len(sections) > 2) for each in sections),
        ),
    )


def recipient_name(recipient: Recipient) -> str:
    """What people call a recipient."""
    return capitalized(plain_name(recipient.recipient))


def recipient_status(recipient: Recipient, authorized: Collection[str] | None = None) -> StatusLine:
    """How much a recipient gets, its role, and whether the tenant has authorized it.

    `authorized` are the functions that the tenant has authorized; None on a page that is not about one tenant.
    """
    received = sum(len(each.rows) for each in recipient.outbound)
    sent = sum(len(each.rows) for each in recipient.inbound)
    name, role = recipient_name(recipient), standing_text(recipient.standing)
    parts = [
        f"receives {count_noun(received, 'data item')} for {count_noun(len(recipient.outbound), 'function')}"
        if received
        else "receives no data",
        *(
            [f"sends {count_noun(sent, 'data item')} for {count_noun(len(recipient.inbound), 'function')}"]
            if sent
            else []
        ),
    ]
    headline = f"{name} {' and '.join(parts)}"
    if authorized is None:
        needs = "" if role == "processor" else "needs your authorization for each function"
        return StatusLine("attention" if needs else "good", headline, [*filter(None, (role, needs))])
    if not recipient.functions:
        return StatusLine("good", headline, [role])
    if not authorized:
        return StatusLine("attention", headline, [role, "you have not authorized"])
    is_whole = len(authorized) == len(recipient.functions)
    what = "it" if is_whole else f"{len(authorized)} of {len(recipient.functions)} functions"
    return StatusLine("good", headline, [role, f"you have authorized {what}"])


def overview_document(recipients: Sequence[ListedRecipient], listed: Subprocessors) -> Section:
    """All recipients and the list of subprocessors."""
    known = Table.filled("Subprocessors by name", SUBPROCESSOR_HEADINGS, subprocessor_rows(listed))
    rows = recipient_rows([each.recipient for each in recipients])
    return Section(
        "Recipients",
        (
            _overview_status(recipients),
            Table.filled("Recipients by name", RECIPIENT_HEADINGS, rows),
            Section("Subprocessors", (known if known else "There are no subprocessors.",)),
        ),
    )


def _overview_status(recipients: Sequence[ListedRecipient]) -> StatusLine:
    """How many recipients there are by role, and which of them may not get anything now."""
    roles = Counter(standing_text(each.recipient.standing) for each in recipients)
    unlisted = [each.recipient.recipient for each in recipients if not each.is_listed]
    uncovered = [each.recipient.recipient for each in recipients if each.recipient.outbound and not each.has_contract]
    needs = [
        *([f"not on the list of subprocessors: {', '.join(unlisted)}"] if unlisted else []),
        *([f"no contract that permits sending: {', '.join(uncovered)}"] if uncovered else []),
    ]
    counts = [count_noun(number, role) for role, number in sorted(roles.items())]
    return StatusLine("attention" if needs else "good", count_noun(len(recipients), "recipient"), [*needs, *counts])


def recipient_rows(recipients: Sequence[Recipient]) -> list[tuple[str, ...]]:
    """One row for each recipient."""
    return [
        (
            recipient.recipient,
            recipient.about,
            standing_text(recipient.standing),
            _field_counts(recipient),
            ", ".join(recipient.functions),
        )
        for recipient in recipients
    ]


def subprocessor_rows(listed: Subprocessors) -> list[tuple[str, ...]]:
    """One row for each entry of the list of subprocessors."""
    return [(entry.name, str(entry.from_), str(entry.until or ""), entry.about) for entry in listed.entries]


def _field_counts(recipient: Recipient) -> str:
    out, back = (sum(len(each.rows) for each in some) for some in (recipient.outbound, recipient.inbound))
    return f"{out} sent, {back} received"


def function_sections(recipient: Recipient) -> Iterator[FunctionSection]:
    """The functions, outbound ones first."""
    for function in (*recipient.outbound, *recipient.inbound):
        title = f"{function.name}: {_DIRECTION_TEXTS[function.direction]}"
        fields = tuple(_fields_in_order(function))
        headings = _PAGE_HEADINGS[function.direction]
        yield FunctionSection(title, tuple(_function_texts(function)), headings, tuple(map(_field_row, fields)), fields)


def form_text(field: SharedField) -> str:
    """The form of a field, in words.

    >>> form_text(SharedField(key="password", role="secret", do="pass_through"))
    'passed through; never stored, logged or counted'
    """
    if field.passes:
        return "passed through; never stored, logged or counted"
    if not field.chain:
        return "not passed on"
    text = treatment_text(field.form)
    return f"{text}; only {', '.join(field.values)}" if field.values else text


def introduction(recipient: Recipient) -> Iterator[str]:
    """The paragraphs above all functions: description, role and contract."""
    if recipient.about:
        yield f"For {recipient.about}."
    yield _STANDING_TEXTS[recipient.standing]
    yield from _contract_sentences(recipient)
    if recipient.ending:
        yield f"At the end of the relationship: {recipient.ending}."
    if recipient.on_premises:
        yield f"This is the on-premises product, which the customer runs. {_no_data_sentence(recipient)}"
    elif not recipient.functions:
        yield _no_data_sentence(recipient)


def _no_data_sentence(recipient: Recipient) -> str:
    end = "the data below is received from it" if recipient.inbound else "none is received from it"
    return f"No data is sent to this recipient, and {end}."


def _contract_sentences(recipient: Recipient) -> Iterator[str]:
    contract = recipient.contract
    if recipient.standing == "independent_controller":
        yield "Data is exchanged only under the tenant's own contract with this recipient."
        yield "No contract is offered." if contract is None else f"The offered contract: {_terms_sentence(contract)}"
    elif contract is not None:
        yield f"Contract {_terms_sentence(contract)}"
    if not recipient.on_premises and (contract is None or not contract.permits_transmission):
        yield "No contract permits sending data to this recipient."


def _terms_sentence(contract: Contract) -> str:
    until = f" until {contract.until}" if contract.until else ""
    kept = f"; the recipient keeps the data for {period_text(contract.retention)}" if contract.retention else ""
    deletion = (
        f", and deletes data on request within {period_text(contract.deletes_within)}"
        if contract.deletes_within
        else ""
    )
    return f"{contract.reference}, from {contract.from_}{until}{kept}{deletion}."


def recipient_contract_text(recipient: Recipient) -> str:
    """The contract of a recipient's file in a few words, for the organization's own records."""
    if recipient.contract is None:
        return "none"
    text = contract_text(recipient.contract)
    return text if recipient.standing == "processor" else f"each tenant's own; offered: {text}"


def contract_text(contract: Contract) -> str:
    """A contract in a few words: reference, period, retention by the recipient."""
    until = f" until {contract.until}" if contract.until else ""
    kept = f"; the recipient may keep the data for {duration_text(contract.retention)}" if contract.retention else ""
    permits = "" if contract.permits_transmission else "; does not permit transmission"
    return f"{contract.reference}, from {contract.from_}{until}{kept}{permits}"


def _function_texts(function: Function) -> Iterator[str]:
    if function.text:
        yield f"{function.text} (version {function.text_version} of this text)"
    yield f"Purpose: {plain_name(function.purpose)}."
    if function.aggregate:
        yield f"Only counts and statistics of groups, never single records: {function.aggregate}."
    if function.requires:
        yield f"Prerequisites: {', '.join(function.requires)}."
    if function.permissions:
        yield f"The only permission that it uses, granted by an administrator of the tenant: {', '.join(function.permissions)}."


def _fields_in_order(function: Function) -> list[SharedField]:
    """The fields in the order of the rows; fields of the same row follow each other."""
    order = {row: number for number, row in enumerate(function.rows)}
    return sorted(function.fields.values(), key=lambda field: order[field.listed_as])


def _field_row(field: SharedField) -> FieldRow:
    row = field.listed_as
    name = field.key if row == field.key else f"{row}: {field.key}"
    return name, example_text(field), treated_example(field), field.about + _conditions_text(field), form_text(field)


def _page_row(field: SharedField) -> FieldRow:
    """The row of a field on a page: its name, and its form in words."""
    row = field.listed_as
    key = field.label or field.key
    name = key if field.label or field.key in re.split(r",\s*", row) else f"{row}: {key}"
    return name, example_text(field), treated_example(field), field.about + _conditions_text(field), _form_words(field)


def _form_words(field: SharedField) -> str:
    """The form of a field in plain words."""
    if field.passes or not field.chain:
        return form_text(field)
    text = REPORT_WORDS.treatment(field.form)
    return f"{text}; only {', '.join(field.values)}" if field.values else text


def _conditions_text(field: SharedField) -> str:
    """Conditions for sending a field, in words: optional, or a minimum version of the protocol."""
    words = ["optional"] if field.optional else []
    words += [] if field.protocol is None else [f"protocol {field.protocol} and later"]
    return f" ({', '.join(words)})" if words else ""


@dataclass(frozen=True, slots=True)
class ListedRecipient:
    """A recipient in the list on a day, and whether the list of subprocessors permits it."""

    recipient: Recipient
    is_listed: bool
    on: date

    @property
    def has_contract(self) -> bool:
        """Whether a contract permits sending on this day."""
        contract = self.recipient.contract
        return contract is not None and contract.permits_transmission and contract.holds(self.on)

    def to_json(self) -> dict[str, Any]:
        """The recipient as `recipient list --json` prints it."""
        recipient, contract = self.recipient, self.recipient.contract
        return {
            "recipient": recipient.recipient,
            "standing": recipient.standing,
            "listed": self.is_listed,
            "contract": None if contract is None else contract.reference,
            "in_force": self.has_contract,
            "functions": list(recipient.functions),
            "outbound": _count_rows(recipient.outbound),
            "inbound": _count_rows(recipient.inbound),
        }

    def cells(self) -> tuple[str, ...]:
        """The role, the numbers of rows that are sent and received, and the functions."""
        recipient = self.recipient
        counts = (f"{_count_rows(recipient.outbound)}", f"{_count_rows(recipient.inbound)}")
        functions = ", ".join(recipient.functions) or "nothing is shared"
        return recipient.recipient, standing_text(recipient.standing), *counts, functions


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
        return overview_document(self.recipients, self.subprocessors)

    def lines(self) -> Iterator[Line]:
        """A table of the recipients and a line for each subprocessor, or the page as Markdown."""
        if self.markdown:
            yield from markdown_page(self.document).splitlines()
            return
        if not self.recipients:
            yield f"no recipients in {self.folder}"
        else:
            head = ("recipient", "role", "sent", "received", "functions")
            yield Table("", head, [each.cells() for each in self.recipients])
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
        recipient = self.recipient
        return {
            "recipient": recipient.recipient,
            "standing": recipient.standing,
            "digest": recipient.digest,
            "functions": functions,
        }

    def lines(self) -> list[str]:
        """The page as Markdown."""
        return markdown_page(self.document).splitlines()


def list_recipients(recipients: PathText | None, on: date, *, markdown: bool = False) -> RecipientOverview:
    """The recipients in the configured folder on a day. Takes another folder, or None. Raises PolicyError."""
    known = load_configured_recipients(recipients)
    loaded = (known.load(name) for name in known.names())
    entries = tuple(ListedRecipient(each, known.is_listed(each, on), on) for each in loaded)
    return RecipientOverview(known.folder, entries, known.subprocessors, markdown)


def show_recipient(name: str, recipients: PathText | None = None) -> RecipientDetails:
    """What a recipient receives and sends. Takes its name, and another folder than the configured one. Raises PolicyError."""
    return RecipientDetails(load_configured_recipients(recipients).load(name))


def _subprocessor_line(entry: Subprocessor) -> str:
    until = f" until {entry.until}" if entry.until else ""
    return f"{entry.name}  from {entry.from_}{until}  {entry.about}".rstrip()


def _count_rows(functions: tuple[Function, ...]) -> int:
    return sum(len(function.rows) for function in functions)
