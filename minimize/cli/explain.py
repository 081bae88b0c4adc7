"""`minimize explain`: which rule, case, setting and technique decide about a field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.lines import on_one_line
from minimize.cli.when import TIME

if TYPE_CHECKING:
    from minimize.review.explaining import Explanation


@click.command()
@options.pipeline
@click.argument("field")
@click.option("--tenant", type=options.ID, metavar="T", help="For one tenant, whose settings decide.")
@click.option("--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not now.")
@click.option("--record", metavar="FILE:LINE", help="For one record (a line of NDJSON, a row of CSV or Parquet).")
@click.option("--settings", type=click.Path(), metavar="PATH", help="Collection settings, CSV or Parquet.")
@options.keys
@options.as_json
def command(
    pipeline: str,
    field: str,
    tenant: str | None,
    at: str | None,
    record: str | None,
    settings: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Why FIELD leaves PIPELINE as it does, or does not: step by step, from the rule to the form.

    With --record the record goes through the stages of a run; what becomes of it is told, and none of its values.
    """
    from minimize.review.explaining import explain

    found = explain(pipeline, field, tenant=tenant, at=at, record=record, settings=settings, keys=keys)
    options.show(found.as_json(), as_json, _told(found))


def _told(found: Explanation) -> str:
    whom = f" for tenant {found.tenant}" if found.tenant else f" in {found.record}" if found.record else ""
    when = f", as of {found.at:%Y-%m-%dT%H:%M:%SZ}" if found.at else ""
    lines = [f"{found.field} in {found.pipeline}{whom}{when}: {found.outcome}"]
    lines += [f"{number:>2} {line}" for number, step in enumerate(found.steps, 1) for line in [_step(str(step))]]
    unknown = [] if found.stranger is None else [on_one_line(str(found.stranger))]
    return "\n".join([*lines, f"so: {on_one_line(found.why)}", *unknown])


def _step(text: str) -> str:
    return "\n".join(map(on_one_line, text.split("\n")))
