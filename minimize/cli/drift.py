"""`minimize drift`: what arrives, beside what the policy declares."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.when import DATE
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.drifting import Report
    from minimize.drifting.model import Change

_SIGNS = {"new": "+", "renamed": ">", "retyped": "~", "nested": "~", "unlisted": "?", "gone": "-"}
_COLOURS = {"error": "red", "warning": "yellow"}


@click.command()
@options.pipeline
@click.option(
    "--date", type=DATE, metavar="D", help="The batch date, YYYY-MM-DD; the newest one found where none is given."
)
@click.option("--input", "input_", metavar="PATH", help="Read from here instead of the pipeline's source.")
@click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help="Whose receipts to look at.")
@options.fail_on
@options.keys
@options.as_json
def command(
    pipeline: str,
    date: str | None,
    input_: str | None,
    output: str | None,
    fail_on: str,
    keys: str | None,
    as_json: bool,
) -> int:
    """Compare what arrives for PIPELINE with its policy and its last receipts: names, types and counts, never a value.

    Exits with 1 where something is refused or lost because of a change; what is new is dropped, and a warning.
    """
    from minimize.drifting import drift

    report = drift(pipeline, date=date, input=input_, output=output, keys=keys)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        _show(report)
    severities = {change.severity for change in report.changes}
    return 1 if severities & options.FAILING[fail_on] else 0


def _show(report: Report) -> None:
    dates = f" of {', '.join(report.dates)}" if report.dates else ""
    click.echo(f"{report.policy} version {report.version}, {counted(report.records, 'record')}{dates}")
    if not report.changes:
        click.echo("no drift")
    for change in report.changes:
        click.echo(_line(change))
    if report.edit:
        click.echo(f"\nthe policy could say:\n{report.edit.rstrip()}")
    for path, seen in report.unknown.items():
        counts = ", ".join(f"{each['records']:,} ({' '.join(each['dates']) or 'all'})" for each in seen)
        click.echo(f"{'' if path != next(iter(report.unknown)) else chr(10)}undeclared before: {path} {counts}")


def _line(change: Change) -> str:
    sign = click.style(_SIGNS[change.kind], fg=_COLOURS[change.severity])
    name = str(change.path) if change.before is None else f"{change.before} → {change.path}"
    types = (
        "" if change.is_ is None else change.is_ if change.was in (None, change.is_) else f"{change.was} → {change.is_}"
    )
    return f"{sign} {change.code} {name}{f' ({types})' if types else ''}: {change.message}"
