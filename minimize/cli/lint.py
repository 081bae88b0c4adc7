"""`minimize lint`: all faults and risky choices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.findings import print_all

if TYPE_CHECKING:
    from minimize.errors import Finding


def print_codes(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Prints every stable code with what it means, and ends the command."""
    if not wanted or ctx.resilient_parsing:
        return
    from minimize.codes import CODES

    for code, about in CODES.items():
        click.echo(f"{code}  {about}")
    ctx.exit()


def _standing(pipeline: str, keys: str | None) -> list[Finding]:
    """What is wrong with what stands of the pipeline already; nothing where it did not run yet."""
    from minimize.errors import MinimizeError
    from minimize.governance.subjects import coverage
    from minimize.io.history import has_runs
    from minimize.policy.load import load_pipeline
    from minimize.switching import House

    try:
        job = load_pipeline(pipeline)
        target = job.target()
        here = [target] if has_runs(target) else []
        found = coverage(House(pipeline=job, keys=keys), named=here, pipeline=job.pipeline) if here else None
    except (MinimizeError, OSError):
        return []  # the files' faults are told already; an output that cannot be read is what `verify` tells of
    return [] if found is None else [each.finding for each in found.uncovered]


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

    What stands in its output already is looked at, too: whether a rule finds whoever it names. PIPELINE may be the file of a
    recipient, or the folder of recipients, or the access file, too.
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
        found = [*lint(pipeline, keys=keys), *_standing(pipeline, keys)]
    return print_all(found, fail_on, as_json)
