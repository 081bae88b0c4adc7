"""`minimize lint`: all faults and risky choices."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from minimize.cli import options
from minimize.cli.findings import print_all


def print_codes(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Prints every stable code with what it means, and ends the command."""
    if not wanted or ctx.resilient_parsing:
        return
    from minimize.codes import CODES

    for code, about in CODES.items():
        click.echo(f"{code}  {about}")
    ctx.exit()


@click.command()
@options.pipeline
@options.fail_on
@click.option(
    "--codes",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_codes,
    help="List every code that a finding, an error or the log can have, and exit.",
)
@options.keys
@options.as_json
def command(pipeline: str, fail_on: str, keys: str | None, as_json: bool) -> int:
    """All faults and risky choices of PIPELINE, each with a stable code.

    PIPELINE may be the file of a recipient, or the folder of recipients, or the access file, too.
    """
    from minimize.governance.access.lint import is_access
    from minimize.governance.access.lint import lint as of_access
    from minimize.governance.recipients.lint import is_recipient
    from minimize.governance.recipients.lint import lint as judged
    from minimize.inspection import lint
    from minimize.switching import House

    if is_recipient(pipeline):
        found = judged(pipeline, datetime.now(UTC).date())
    elif is_access(pipeline):
        found = of_access(pipeline, House())
    else:
        found = lint(pipeline, keys=keys)
    return print_all(found, fail_on, as_json)
