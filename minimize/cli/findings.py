"""Findings as people read them: one a line, grouped as they come, with a count at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from minimize.cli import options
from minimize.errors import Finding

_COLOURS = {"error": "red", "warning": "yellow"}


def show(findings: Sequence[Finding]) -> None:
    """Prints findings to stdout."""
    for finding in findings:
        place = ":".join(str(part) for part in (finding.file, finding.line) if part is not None)
        word = click.style(finding.severity, fg=_COLOURS[finding.severity])
        field = f" {click.style(finding.field, bold=True)}:" if finding.field else ""
        click.echo(f"{place + ': ' if place else ''}{word} {finding.code}{field} {finding.message}")
        if finding.hint:
            click.echo(f"    {click.style('hint', dim=True)} {finding.hint}")


def counted(findings: Sequence[Finding]) -> str:
    """How many of which severity."""
    errors = sum(finding.severity == "error" for finding in findings)
    return f"{errors} error(s), {len(findings) - errors} warning(s)"


def print_all(findings: Sequence[Finding], fail_on: str, as_json: bool) -> int:
    """Prints what lint found, as JSON for machines; gives the exit code that `--fail-on` asks for."""
    if as_json:
        click.echo(json.dumps({"findings": [finding.as_json() for finding in findings]}, indent=2))
    else:
        show(findings)
        click.echo(counted(findings))
    return 1 if any(finding.severity in options.FAILING[fail_on] for finding in findings) else 0
