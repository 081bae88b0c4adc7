"""`minimize plan`: the plan as a table that a privacy reviewer can read."""

from __future__ import annotations

import json

import click

from minimize.cli import options
from minimize.cli.when import TIME


@click.command()
@options.pipeline
@click.option("--preview", type=click.IntRange(min=1), metavar="N", help="Show N rows as they would leave.")
@click.option("--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not now.")
@click.option("--tenant", metavar="X", help="What settings leave of it for one tenant.")
@click.option("--input", "input_", metavar="PATH", help="Read from here instead of the pipeline's source.")
@click.option("--settings", type=click.Path(), metavar="PATH", help="Collection settings, CSV or Parquet.")
@options.keys
@options.as_json
def command(
    pipeline: str,
    preview: int | None,
    at: str | None,
    tenant: str | None,
    input_: str | None,
    settings: str | None,
    keys: str | None,
    as_json: bool,
) -> None:
    """Field by field what PIPELINE does: kept, dropped (why), generalized (how), and the category of each output."""
    from minimize.cli.tables import plan_table, rows_table
    from minimize.inspection import effective, examined_for, preview_rows

    if at is not None and tenant is None and not preview:
        raise click.UsageError("--at goes with --tenant or --preview")
    examined = examined_for(pipeline, input=input_)
    if examined.refused and not examined.faults and not as_json:
        plan_table(examined.plan)
    plan = examined.allowed()
    if tenant is not None:
        plan = effective(plan, tenant, at=at, settings=settings)
    rows = preview_rows(plan, preview, at=at, input=input_, settings=settings, keys=keys) if preview else None
    if as_json:
        body = plan.as_json() | ({"tenant": tenant, "at": at} if tenant is not None else {})
        body |= {} if rows is None else {"preview": rows.to_pylist()}
        click.echo(json.dumps(body, indent=2, default=str))
        return
    plan_table(plan)
    if rows is not None:
        rows_table(rows)
