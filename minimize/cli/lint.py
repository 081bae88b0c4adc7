"""`minimize lint`: all faults and risky choices."""

from __future__ import annotations

import json

import click

from minimize.cli import options
from minimize.cli.findings import counted, show


@click.command()
@options.pipeline
@click.option("--fail-on", type=click.Choice(["error", "warning", "never"]), default="error", show_default=True)
@options.as_json
def command(pipeline: str, fail_on: str, as_json: bool) -> int:
    """All faults and risky choices of PIPELINE, each with a stable code."""
    from minimize.inspection import lint

    findings = lint(pipeline)
    if as_json:
        click.echo(json.dumps({"findings": [finding.as_json() for finding in findings]}, indent=2))
    else:
        show(findings)
        click.echo(counted(findings))
    failing = {"error": {"error"}, "warning": {"error", "warning"}, "never": set()}[fail_on]
    return 1 if any(finding.severity in failing for finding in findings) else 0
