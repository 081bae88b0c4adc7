"""`minimize test`: a pipeline over the fixtures that stand beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.lines import on_one_line
from minimize.cli.when import TIME

if TYPE_CHECKING:
    from minimize.review.trying import Failure, Trials


@click.command()
@options.pipeline
@click.option(
    "--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not the latest event time of the fixtures."
)
@click.option("--settings", type=click.Path(), metavar="PATH", help="Collection settings, CSV or Parquet.")
@click.option("--show", is_flag=True, help="Print the values that differ, too.")
@options.as_json
def command(pipeline: str, at: str | None, settings: str | None, show: bool, as_json: bool) -> int:
    """Try the fixtures in the folder tests/ beside PIPELINE, with keys of their own; nothing is written.

    Every record of NAME.pass.ndjson must leave, none of NAME.fail.ndjson may (of NAME.REASON.fail.ndjson: for that reason), and
    the rows of NAME.pass.ndjson must be those of NAME.expect.ndjson (.csv, .parquet), in order; expect.ndjson is of all of them.

    expect.AGGREGATE.ndjson is of an aggregate over all of them. Aggregates that wait for late rows (`late`) are not tried: what
    they publish depends on batches and earlier receipts, and fixtures have neither. `minimize run` into another --output shows
    them.
    """
    from minimize.review.trying import try_fixtures

    done = try_fixtures(pipeline, now=datetime.now(UTC), at=at, settings=settings)
    click.echo(json.dumps(done.as_json(show), indent=2) if as_json else _told(done, show))
    return 1 if done.failures else 0


def _told(done: Trials, show: bool) -> str:
    lines = [_line(each, show) for each in done.failures]
    head = f"{done.records:,} records tried, {done.rows:,} rows compared, as of {done.at:%Y-%m-%dT%H:%M:%SZ}"
    return "\n".join(
        [*lines, f"{head}: {len(done.failures)} not as the fixtures say" if lines else f"{head}: all as they say"]
    )


def _line(each: Failure, show: bool) -> str:
    place = ":".join(str(part) for part in (each.file, each.line) if part is not None)
    field = f" {on_one_line(each.field)}:" if each.field else ""
    values = f" ({each.expected!r} was expected, {each.found!r} leaves)" if show and each.code == "F006" else ""
    return f"{place}: {each.code}{field} {each.message}{on_one_line(values)}"
