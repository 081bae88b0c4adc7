"""`minimize lint`: all faults and risky choices."""

from __future__ import annotations

import json

import click

from minimize.cli import options
from minimize.cli.findings import counted, show


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
    """All faults and risky choices of PIPELINE, each with a stable code."""
    from minimize.inspection import lint

    findings = lint(pipeline, keys=keys)
    if as_json:
        click.echo(json.dumps({"findings": [finding.as_json() for finding in findings]}, indent=2))
    else:
        show(findings)
        click.echo(counted(findings))
    return 1 if any(finding.severity in options.FAILING[fail_on] for finding in findings) else 0
