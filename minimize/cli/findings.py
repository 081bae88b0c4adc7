"""Findings as people read them: one a line, grouped as they come, with a count at the end."""

from __future__ import annotations

from collections.abc import Sequence

import click

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
