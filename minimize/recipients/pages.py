"""Pages about recipients for tenants, as Markdown and HTML: every field of every function, with example, purpose and form.

The pages are made from the enforced manifest. The released form of an example is computed with the field's techniques. The
HTML needs no script and loads nothing; it is suitable for screens, dark mode and paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from minimize.html_tables import html_page, page_table
from minimize.policy.describe import treatment_text
from minimize.policy.yaml_nodes import scalar_text
from minimize.recipients.load import Subprocessors
from minimize.recipients.model import Contract, Function, Recipient, SharedField
from minimize.sources.types import arrow_type
from minimize.techniques import Context, Technique, TechniqueStep, treat
from minimize.techniques.age import Age
from minimize.text import count_noun, escape_markdown, markdown_table
from minimize.times import duration_text, seconds_text

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
RECIPIENT_HEADINGS = ("recipient", "about", "standing", "rows", "functions")
SUBPROCESSOR_HEADINGS = ("name", "from", "until", "task")
RECIPIENTS_TITLE = "Recipients"
SUBPROCESSORS_TITLE = "Subprocessors"
NO_SUBPROCESSORS = "There are no subprocessors."
FieldRow = tuple[str, str, str, str, str]
_STANDING_TEXTS = {
    "agent": (
        "This recipient is a processor of ours (subprocessor). "
        "Data is shared with it only while it is on the list of subprocessors."
    ),
    "independent": "This recipient is an independent controller. Nothing is shared unless the tenant's administrator has agreed.",
}
_UNITS = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
_DIRECTION_TEXTS = {"outbound": "sent to this recipient", "inbound": "received from this recipient"}


@dataclass(frozen=True, slots=True)
class FunctionSection:
    """One function on a page: title, paragraphs above its table, headings and rows of the table, and the fields of the rows."""

    title: str
    paragraphs: tuple[str, ...]
    headings: tuple[str, ...]
    lines: tuple[FieldRow, ...]
    fields: tuple[SharedField, ...]


def recipient_markdown(recipient: Recipient) -> str:
    """The page of a recipient in Markdown; text from the file is escaped."""
    parts = [f"# {escape_markdown(recipient.recipient)}", *map(escape_markdown, introduction(recipient))]
    for section in function_sections(recipient):
        parts += [
            f"## {escape_markdown(section.title)}",
            *map(escape_markdown, section.paragraphs),
            markdown_table(section.headings, section.lines),
        ]
    return "\n\n".join(parts) + "\n"


def overview_markdown(recipients: Sequence[Recipient], listed: Subprocessors) -> str:
    """All recipients and the list of subprocessors in Markdown."""
    parts = [f"# {RECIPIENTS_TITLE}", markdown_table(RECIPIENT_HEADINGS, recipient_rows(recipients))]
    parts += [
        f"## {SUBPROCESSORS_TITLE}",
        markdown_table(SUBPROCESSOR_HEADINGS, subprocessor_rows(listed)) if listed.entries else NO_SUBPROCESSORS,
    ]
    return "\n\n".join(parts) + "\n"


def recipient_rows(recipients: Sequence[Recipient]) -> list[tuple[str, ...]]:
    """One row for each recipient."""
    return [
        (one.recipient, one.about, one.standing, _field_counts(one), ", ".join(one.functions)) for one in recipients
    ]


def subprocessor_rows(listed: Subprocessors) -> list[tuple[str, ...]]:
    """One row for each entry of the list of subprocessors."""
    return [(one.name, str(one.from_), str(one.until or ""), one.about) for one in listed.entries]


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
    """The paragraphs above all functions: description, standing and contract."""
    if recipient.about:
        yield f"For {recipient.about}."
    yield _STANDING_TEXTS[recipient.standing]
    yield _contract_text(recipient.contract)
    if recipient.ending:
        yield f"At the end of the relationship: {recipient.ending}."
    if not recipient.functions:
        yield "No data is sent to this recipient, and none is received from it."


def _contract_text(contract: Contract | None) -> str:
    if contract is None or not contract.permits_transmission:
        return "No contract permits sending data to this recipient."
    until = f" until {contract.until}" if contract.until else ""
    kept = f"; the recipient keeps the data for {_period_text(contract.retention)}" if contract.retention else ""
    deletion = (
        f", and deletes data on request within {_period_text(contract.deletes_within)}"
        if contract.deletes_within
        else ""
    )
    return f"Contract {contract.reference}, from {contract.from_}{until}{kept}{deletion}."


def _period_text(span: timedelta) -> str:
    """A period in words.

    >>> _period_text(timedelta(days=30)), _period_text(timedelta(hours=1))
    ('30 days', '1 hour')
    """
    text = duration_text(span)
    return count_noun(int(text[:-1]), _UNITS[text[-1]])


def _function_texts(function: Function) -> Iterator[str]:
    if function.text:
        yield f"{function.text} (text {function.text_version})"
    yield f"Purpose: {function.purpose}."
    if function.aggregate:
        yield f"Only counts and statistics of groups, never single records: {function.aggregate}."
    if function.requires:
        yield f"Prerequisites: {', '.join(function.requires)}."


def _fields_in_order(function: Function) -> list[SharedField]:
    """The fields in the order of the rows; fields of the same row follow each other."""
    order = {row: number for number, row in enumerate(function.rows)}
    return sorted(function.fields.values(), key=lambda field: order[field.listed_as])


def _field_row(field: SharedField) -> FieldRow:
    row = field.listed_as
    name = field.key if row == field.key else f"{row}: {field.key}"
    return name, example_text(field), treated_example(field), field.about + _conditions_text(field), form_text(field)


def _conditions_text(field: SharedField) -> str:
    """Conditions for sending a field, in words: optional, or a minimum version of the protocol."""
    words = ["optional"] if field.optional else []
    words += [] if field.protocol is None else [f"protocol {field.protocol} and later"]
    return f" ({', '.join(words)})" if words else ""


PAGE_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --head: #f3f5f7; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #a2abb5; --line: #3a424c; --head: #20262d; --page: #14181d; }
}
body { margin: 2rem auto; max-width: 72rem; padding: 0 1.25rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.75rem; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .3rem 0; max-width: 46rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .6rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { background: var(--head); color: var(--soft); font-weight: 600; }
@media print {
  :root { --ink: #000; --soft: #333; --line: #999; --head: #fff; --page: #fff; }
  body { margin: 0; max-width: none; padding: 0; font-size: 10pt; }
  table { font-size: 8.5pt; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  h2, h2 + p { break-after: avoid; }
}
"""
"""The style of all recipient pages."""
LIST_STYLE: Final = (
    PAGE_STYLE
    + """
table { table-layout: fixed; }
th, td { width: 19%; }
th:nth-child(4) { width: 25%; }
td:first-child { font-weight: 600; }
td:nth-child(2), td:nth-child(3) { font-family: ui-monospace, Consolas, monospace; font-size: .9em; }
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; width: auto; }
  thead { display: none; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  td { border: 0; padding: .1rem 0; }
  td:empty { display: none; }
  td:nth-child(2)::before { content: "for example "; color: var(--soft); }
  td:nth-child(3)::before { content: "as sent or stored: "; color: var(--soft); }
}
"""
)
"""The style of tables with five columns, of which the second and third contain values."""


def recipient_html(recipient: Recipient) -> str:
    """The page of a recipient in HTML; text from the file is escaped."""
    body = [*_html_paragraphs(introduction(recipient))]
    for section in function_sections(recipient):
        body += [
            f"<h2>{escape(section.title)}</h2>",
            *_html_paragraphs(section.paragraphs),
            *page_table(section.headings, section.lines),
        ]
    return html_page(recipient.recipient, LIST_STYLE, [f"<h1>{escape(recipient.recipient)}</h1>", *body])


def overview_html(recipients: Sequence[Recipient], listed: Subprocessors) -> str:
    """All recipients and the list of subprocessors as a page."""
    known = (
        page_table(SUBPROCESSOR_HEADINGS, subprocessor_rows(listed))
        if listed.entries
        else _html_paragraphs([NO_SUBPROCESSORS])
    )
    body = [*page_table(RECIPIENT_HEADINGS, recipient_rows(recipients)), f"<h2>{SUBPROCESSORS_TITLE}</h2>", *known]
    return html_page(RECIPIENTS_TITLE, PAGE_STYLE, [f"<h1>{RECIPIENTS_TITLE}</h1>", *body])


def _html_paragraphs(texts: Iterable[str]) -> list[str]:
    return [f"<p>{escape(text)}</p>" for text in texts]
