"""`minimize report`: what came in and what went out, for people, as a page, as JSON, or in a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from minimize.cli import options
from minimize.cli.when import TIME
from minimize.cli.width import width


@click.command()
@click.argument("output", type=options.Data(file_okay=False))
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a page that needs no network.")
@click.option("--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not now.")
@click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help="The pipeline that made it.")
@click.option("--settings", type=click.Path(), metavar="PATH", help="Collection settings, CSV or Parquet, or `ledger`.")
@click.option("--source", is_flag=True, help="Read the source again, to count the distinct values that came in.")
@options.recipients
@options.only_ledger
@options.keys
@options.as_json
def command(output: str, html: str | None, as_json: bool, **asked: Any) -> None:
    """Tell what OUTPUT came from, what became of it, for how long it stands and who got it.

    Counts are rounded, and no value of a record is told. What cannot be had here is left out, and the report says so.
    """
    from minimize.report import report_of

    found = report_of(output, **asked)
    if html is not None:
        Path(html).write_text(found.html(), encoding="utf-8")
    options.show(found.as_json(), as_json, found.summary(width()))
    if html is not None and not as_json:
        click.echo(f"  page            {html}")
