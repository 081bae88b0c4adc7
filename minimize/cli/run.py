"""`minimize run`: the one sentence, pipeline to receipt."""

from __future__ import annotations

import click

from minimize.cli import options
from minimize.cli.progress import progress


@click.command()
@options.pipeline
@click.option("--date", metavar="D", help="The batch date, YYYY-MM-DD; all dates found where none is given.")
@click.option("--at", metavar="TIME", help="Run as of this time (ISO 8601); before now it needs --output.")
@click.option("--engine", type=click.Choice(["local"]), default="local", show_default=True)
@click.option("--input", "input_", metavar="PATH", help="Read from here instead of the pipeline's source.")
@click.option("--settings", type=click.Path(), metavar="PATH", help="Collection settings, CSV or Parquet.")
@click.option("--output", type=click.Path(file_okay=False), metavar="DIR", help="Write here instead.")
@options.keys
@options.as_json
def command(
    pipeline: str,
    date: str | None,
    at: str | None,
    engine: str,
    input_: str | None,
    settings: str | None,
    output: str | None,
    keys: str | None,
    as_json: bool,
) -> int:
    """Minimize the records of PIPELINE into Parquet, with a receipt."""
    from minimize.job import quarantine_exceeded, run

    with progress() as advanced:
        receipt = run(
            pipeline,
            date=date,
            at=at,
            engine=engine,
            input=input_,
            settings=settings,
            output=output,
            keys=keys,
            progress=advanced,
        )
    if as_json:
        click.echo(receipt.to_json())
    else:
        click.echo(receipt.summary())
    exceeded = quarantine_exceeded(receipt, pipeline)
    if exceeded:
        click.echo(exceeded, err=True)
    return 4 if exceeded else 0
