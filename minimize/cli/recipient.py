"""`minimize recipient`: third parties, and the records that they may receive or send."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from minimize.cli.options import PATH
from minimize.cli.printing import write_page
from minimize.cli.verb import examples, verb
from minimize.pages import html_page
from minimize.recipients import lint_recipients
from minimize.recipients.pages import list_recipients, show_recipient
from minimize.results import LintResult

if TYPE_CHECKING:
    from minimize.recipients.pages import RecipientDetails, RecipientOverview
    from minimize.results import Printable


@click.group(name="recipient")
def recipient_group() -> None:
    """List recipients and what each of them receives.

    Each recipient has a file with its functions, fields, forms, purposes and contract.
    """


@examples("minimize recipient list")
@verb(
    "list",
    click.Option(["--markdown"], is_flag=True, help="Print Markdown."),
    *("--html", "--recipients"),
    group=recipient_group,
)
def list_command(now: datetime, markdown: bool, html: str | None, recipients: str | None) -> Printable:
    """List the recipients and the subprocessors.

    For each recipient, prints how many rows of its list for tenants are sent and received. For each subprocessor, prints its
    first day on the list, the first day without it, and its task.
    """
    return _as_page(list_recipients(recipients, now.date(), markdown=markdown), html)


@examples("minimize recipient show apple --html apple.html")
@verb(
    "show",
    click.Argument(["name"]),
    click.Option(["--markdown"], is_flag=True, expose_value=False, help="Print Markdown. This is the default."),
    *("--html", "--recipients"),
    group=recipient_group,
)
def show_command(name: str, html: str | None, recipients: str | None) -> Printable:
    """Show what the recipient NAME receives and sends.

    Prints the list for tenants: each field, with example, use and form.
    """
    return _as_page(show_recipient(name, recipients), html)


def _as_page(result: RecipientOverview | RecipientDetails, html: str | None) -> Printable:
    return result if html is None else write_page(result, html, html_page(result.document))


@examples("minimize recipient lint pipelines/recipients")
@verb("lint", click.Argument(["path"], type=PATH), "--fail-on", group=recipient_group)
def lint_command(now: datetime, path: str, fail_on: str) -> Printable:
    """Check the files of recipients and their risks.

    PATH is the file of one recipient, or a folder of recipients and subprocessors.
    """
    return LintResult(lint_recipients(path, now.date()), fail_on)
