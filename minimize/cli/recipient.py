"""`minimize recipient`: third parties, and the records that they may receive or send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.printing import print_lint_findings, write_page
from minimize.pages import Section, html_page, markdown_page
from minimize.recipients import lint_recipients, load_configured_recipients
from minimize.recipients.pages import (
    FIELD_HEADINGS,
    function_sections,
    overview_document,
    recipient_document,
)
from minimize.text import single_line
from minimize.times import utc_now

if TYPE_CHECKING:
    from minimize.recipients import Function, Recipient, Recipients, Subprocessor


@click.group(name="recipient")
def recipient_group() -> None:
    """List recipients and what each of them receives.

    Each recipient has a file with its functions, fields, forms, purposes and contract.
    """


@recipient_group.command("list")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help=options.HTML_HELP)
@options.recipients
@options.as_json
def list_command(as_markdown: bool, html: str | None, recipients: str | None, as_json: bool) -> None:
    """List the recipients and the subprocessors.

    For each recipient, prints how many rows of its list for tenants are sent and received. For each subprocessor, prints its
    first day on the list, the first day without it, and its task.
    """
    known = load_configured_recipients(recipients)
    found = [known.load(name) for name in known.names()]
    listed = known.subprocessors
    body = {
        "folder": str(known.folder),
        "recipients": [_recipient_json(known, one) for one in found],
        "subprocessors": [one.to_json() for one in listed.entries],
    }
    if html is not None or as_markdown:
        _print_document(overview_document(found, listed), body, as_json, html)
        return
    lines = list(map(_recipient_line, found)) or [f"no recipients in {known.folder}"]
    lines += ["", "subprocessors:", *map(_subprocessor_line, listed.entries)] if listed.entries else []
    options.print_result(body, as_json, "\n".join(lines))


@recipient_group.command("show")
@click.argument("name")
@click.option("--markdown", is_flag=True, expose_value=False, help="Print Markdown. This is the default.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help=options.HTML_HELP)
@options.recipients
@options.as_json
def show_command(name: str, html: str | None, recipients: str | None, as_json: bool) -> None:
    """Show what the recipient NAME receives and sends.

    Prints the list for tenants: each field, with example, use and form.
    """
    found = load_configured_recipients(recipients).load(name)
    _print_document(recipient_document(found), _recipient_page_json(found) if as_json else None, as_json, html)


def _print_document(document: Section, body: Any, as_json: bool, html: str | None) -> None:
    """Print a document as Markdown or JSON; with a path, write it as an HTML page."""
    text = markdown_page(document).rstrip("\n") if html is None else write_page(html, html_page(document))
    options.print_result(body, as_json, text)


@recipient_group.command("lint")
@click.argument("path", type=click.Path())
@options.fail_on
@options.as_json
def lint_command(path: str, fail_on: str, as_json: bool) -> int:
    """Check the files of recipients and their risks.

    PATH is the file of one recipient, or a folder of recipients and subprocessors.
    """
    return print_lint_findings(lint_recipients(path, utc_now().date()), fail_on, as_json)


def _recipient_line(found: Recipient) -> str:
    out, back = (_count_rows(each) for each in (found.outbound, found.inbound))
    return f"{found.recipient}  {found.standing}  out {out}  in {back}  {', '.join(found.functions) or 'nothing is shared'}"


def _subprocessor_line(entry: Subprocessor) -> str:
    until = f" until {entry.until}" if entry.until else ""
    return single_line(f"{entry.name}  from {entry.from_}{until}  {entry.about}".rstrip())


def _count_rows(functions: tuple[Function, ...]) -> int:
    return sum(len(function.rows) for function in functions)


def _recipient_json(recipients: Recipients, found: Recipient) -> dict[str, Any]:
    today = utc_now().date()
    contract = found.contract
    return {
        "recipient": found.recipient,
        "standing": found.standing,
        "listed": recipients.is_listed(found, today),
        "contract": None if contract is None else contract.reference,
        "in_force": contract is not None and contract.permits_transmission and contract.holds(today),
        "functions": list(found.functions),
        "outbound": _count_rows(found.outbound),
        "inbound": _count_rows(found.inbound),
    }


def _recipient_page_json(found: Recipient) -> dict[str, Any]:
    parts = [
        {
            "function": one.title,
            "said": list(one.paragraphs),
            "fields": [
                {
                    **dict(zip(FIELD_HEADINGS, line, strict=True)),
                    "optional": field.optional,
                    "protocol": field.protocol,
                    "values": list(field.values),
                }
                for line, field in zip(one.lines, one.fields, strict=True)
            ],
        }
        for one in function_sections(found)
    ]
    return {"recipient": found.recipient, "standing": found.standing, "digest": found.digest, "functions": parts}
