"""`minimize plan`: the plan as a table that a privacy reviewer can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.lines import on_one_line
from minimize.cli.when import TIME

if TYPE_CHECKING:
    from minimize.job.strangers import Stranger
    from minimize.plan import Plan


@click.command()
@options.pipeline
@click.option("--preview", type=click.IntRange(min=1), metavar="N", help="Show N rows as they would leave.")
@click.option("--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not now.")
@click.option("--tenant", type=options.ID, metavar="X", help="What settings leave of it for one tenant.")
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
    from minimize.inspection import examined_for, preview_rows
    from minimize.job import strangers

    if at is not None and tenant is None and not preview:
        raise click.UsageError("--at goes with --tenant or --preview")
    examined = examined_for(pipeline, input=input_)
    if examined.refused and not examined.faults and not as_json:
        plan_table(examined.plan)
    plan = examined.allowed()
    plan, unknown = (plan, None) if tenant is None else _for(tenant, plan, at, settings, keys)
    rows = preview_rows(plan, preview, at=at, input=input_, settings=settings, keys=keys) if preview else None
    if as_json:
        body = plan.as_json()
        body |= {} if tenant is None else {"tenant": tenant, "at": at, **strangers.as_json(unknown)}
        body |= {} if rows is None else {"preview": rows.to_pylist()}
        click.echo(json.dumps(body, indent=2, default=str))
        return
    plan_table(plan)
    if unknown is not None:
        click.echo(on_one_line(str(unknown)))
    if rows is not None:
        rows_table(rows)


def _for(
    tenant: str, plan: Plan, at: str | None, settings: str | None, keys: str | None
) -> tuple[Plan, Stranger | None]:
    """The plan for a tenant; and the tenant, where the settings do not name it."""
    from minimize.inspection import effective, settings_of
    from minimize.job.strangers import stranger

    rows = settings_of(plan, settings, keys=keys)
    folder = None if plan.pipeline is None else plan.pipeline.folder
    return effective(plan, tenant, at=at, settings=rows), stranger(tenant, rows, folder)
