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

    What stands in its output already is looked at, too: whether a rule finds whoever it names. PIPELINE may be a policy, the
    file of a recipient, the folder of recipients, the access file, or a folder with any of them, too.
    """
    from minimize.review.linting import lint_of

    return print_all(lint_of(pipeline, on=datetime.now(UTC).date(), keys=keys), fail_on, as_json)
