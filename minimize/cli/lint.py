"""`minimize lint`: all faults and risky choices."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from minimize.cli import options
from minimize.cli.findings import print_all


@click.command()
@click.argument("pipeline", type=click.Path(), required=False)
@options.fail_on
@click.option(
    "--codes", is_flag=True, help="List every code that a finding, an error or the log can have, and look at nothing."
)
@options.keys
@options.as_json
@click.pass_context
def command(
    ctx: click.Context, pipeline: str | None, fail_on: str, codes: bool, keys: str | None, as_json: bool
) -> int:
    """All faults and risky choices of PIPELINE, each with a stable code.

    What stands in its output already is looked at, too: whether a rule finds whoever it names. PIPELINE may be a policy, the
    file of a recipient, the folder of recipients, the access file, or a folder with any of them, too.
    """
    if codes:
        return _codes(as_json)
    if pipeline is None:
        (param,) = (each for each in ctx.command.params if each.name == "pipeline")
        raise click.MissingParameter(ctx=ctx, param=param)
    from minimize.review.linting import lint_of

    return print_all(lint_of(pipeline, on=datetime.now(UTC).date(), keys=keys), fail_on, as_json)


def _codes(as_json: bool) -> int:
    from minimize.codes import CODES

    options.show({"codes": dict(CODES)}, as_json, "\n".join(f"{code}  {about}" for code, about in CODES.items()))
    return 0
