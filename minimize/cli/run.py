"""`minimize run`: the one sentence, pipeline to receipt."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.progress import progress
from minimize.cli.quiet import SKIPPED, quiet
from minimize.cli.when import DATE, TIME
from minimize.cli.width import width

if TYPE_CHECKING:
    from minimize.receipt import Receipt
    from minimize.stores import Place

log = logging.getLogger("minimize")


@click.command()
@options.pipeline
@click.option("--date", type=DATE, metavar="D", help="The batch date, YYYY-MM-DD; all dates found where none is given.")
@click.option("--from", "since", type=DATE, metavar="D", help="No batch date before this one.")
@click.option("--to", "until", type=DATE, metavar="D", help="No batch date after this one.")
@click.option("--pending", is_flag=True, help="Only dates whose inputs changed since their last receipt.")
@click.option("--at", type=TIME, metavar="TIME", help="Run as of this time (ISO 8601); before now it needs --output.")
@options.engine
@options.instead
@options.told
@options.keys
@options.only_ledger
@click.option("--skip-exit-code", "skips", is_flag=True, help="Exit 99, not 0, where there is nothing to do.")
@quiet
@options.as_json
def command(
    pipeline: str,
    date: str | None,
    since: str | None,
    until: str | None,
    pending: bool,
    at: str | None,
    engine: str,
    input_: str | None,
    settings: str | None,
    output: str | None,
    lineage: str | None,
    metrics: str | None,
    keys: str | None,
    ledger: str | None,
    skips: bool,
    as_json: bool,
) -> int:
    """Minimize the records of PIPELINE into Parquet, with a receipt.

    Where no file matches, nothing is published, and it exits 0: the log on stderr names the date and the pattern.
    """
    from minimize.job.job import run
    from minimize.job.limits import quarantine_exceeded, unfinished
    from minimize.job.told import NOTHING
    from minimize.policy.load import load_pipeline

    job = load_pipeline(pipeline)
    with progress() as advanced:
        receipt = run(
            job,
            date=date,
            since=since,
            until=until,
            pending=pending,
            at=at,
            engine=engine,
            input=input_,
            settings=settings,
            output=output,
            keys=keys,
            ledger=ledger,
            progress=advanced,
            lineage=lineage,
            metrics=metrics,
        )
    if as_json:
        click.echo(receipt.to_json(), nl=False)
    elif receipt.sequence == NOTHING:
        click.echo("nothing to do")
    else:
        click.echo(receipt.summary(width()))
        click.echo(_where(receipt, job.target(output or None)))
    exceeded = quarantine_exceeded(receipt, job)
    if exceeded:
        log.error(exceeded, extra={"code": "W012", "run_id": receipt.run_id})
    undone = unfinished(receipt)
    if undone:
        log.error(undone, extra={"code": "W015", "run_id": receipt.run_id})
    if skips and receipt.sequence == NOTHING and not undone:
        return SKIPPED
    return 1 if undone else 4 if exceeded else 0


def _where(receipt: Receipt, folder: Place) -> str:
    """Where the results are, and how to look at them."""
    from minimize.stores import Remote

    names = [*receipt.outputs, *(["quarantine"] if receipt.quarantine.files else [])]
    outputs = "\n".join(f"  {name}/" for name in names)
    place = folder if isinstance(folder, Remote) else folder.resolve()
    return f"results in {place}\n{outputs}\n  runs/{receipt.run_id}/receipt.json, columns.md"
