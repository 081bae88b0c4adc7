"""`minimize quarantine`: what could not be processed, in counts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import click

from minimize.cli import options
from minimize.cli.tables import counts_table
from minimize.cli.when import DATE
from minimize.counts import counted as numbered


@click.group(name="quarantine")
def command() -> None:
    """Records that could not be processed: codes and pointers, never values."""


@command.command("show")
@click.argument("output", type=click.Path(file_okay=False))
@click.option("--date", type=DATE, metavar="D", help="This batch date alone.")
@click.option("--check", is_flag=True, help="Count those that would pass now, too: reads them from the source.")
@options.elsewhere
@options.keys
@options.as_json
def show(
    output: str,
    date: str | None,
    check: bool,
    pipeline: str | None,
    input_: str | None,
    settings: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Count the quarantined records of OUTPUT by code, field and file."""
    from minimize.job.quarantined import counted, held
    from minimize.job.replay import recheck
    from minimize.stores import output_at
    from minimize.times import day

    found = held(output_at(output), None if date is None else day(date).isoformat())
    groups = counted(found)
    if check:
        looked = recheck(output, date=date, pipeline=pipeline, input=input_, settings=settings, keys=keys)
        passing = Counter(group for each in looked for group in each.groups())
        groups = [{**each, "passing": passing[each["code"], each["field"], each["file"]]} for each in groups]
    rows = sum(each.rows for each in found)
    if as_json:
        click.echo(json.dumps({"rows": rows, "groups": groups}, indent=2))
    elif not groups:
        click.echo("nothing is in quarantine")
    else:
        _table(groups, rows)


def _table(groups: list[dict[str, Any]], rows: int) -> None:
    numbers = [name for name in ("rows", "passing") if name in groups[0]]
    counts_table(groups, ("code", "field", "file"), numbers)
    told = f"{numbered(rows, 'record')} in quarantine"
    passing = f"; {sum(each['passing'] for each in groups):,} would pass now" if "passing" in groups[0] else ""
    click.echo(told + passing)
