"""`minimize run`: the one sentence, pipeline to receipt."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.progress import progress
from minimize.cli.quiet import SKIPPED, quiet
from minimize.cli.when import DATE, TIME
from minimize.cli.width import width
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.job.job import RunResult
    from minimize.policy.pipeline import Pipeline
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
@options.allow_shrink()
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
    allow_shrink: bool,
    skips: bool,
    as_json: bool,
) -> int:
    """Minimize the records of PIPELINE into Parquet, with a receipt.

    A date whose files cannot be read is left alone, and the others are run. Of several dates the exit code is the first of 2, 3,
    1, 4 that applies. A --date without files exits 1; the log on stderr names the date and the pattern.
    """
    from minimize.job.dates import Wanted
    from minimize.job.job import Instead, run_dates
    from minimize.policy.load import load_pipeline

    job, wanted = load_pipeline(pipeline), Wanted.of(date, since, until, pending=pending)
    instead = Instead(input_, settings, output, keys, ledger, lineage, metrics)
    with progress() as advanced:
        done = run_dates(job, wanted, instead, at=at, engine=engine, progress=advanced, allow_shrink=allow_shrink)
    return ended(done, job, output, pending=pending, skips=skips, as_json=as_json)


def ended(
    done: RunResult, job: Pipeline, output: str | None, *, pending: bool, skips: bool = False, as_json: bool = False
) -> int:
    """Prints what a run did, and gives its exit code."""
    from minimize.job.limits import exit_code, quarantine_exceeded, unfinished
    from minimize.job.told import NOTHING

    receipt = done.receipt
    if as_json:
        click.echo(json.dumps(done.as_json(), indent=2, ensure_ascii=False))
    elif receipt.sequence == NOTHING:
        left = counted(len(done.skipped), "date")
        click.echo(f"nothing was published: {left} left alone" if done.skipped else "nothing to do")
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
    return exit_code(receipt, job, done.skipped, pending=pending)


def _where(receipt: Receipt, folder: Place) -> str:
    """Where the results are, and how to look at them."""
    from minimize.stores import Remote

    names = [*receipt.outputs, *(["quarantine"] if receipt.quarantine.files else [])]
    outputs = "\n".join(f"  {name}/" for name in names)
    place = folder if isinstance(folder, Remote) else folder.resolve()
    return f"results in {place}\n{outputs}\n  runs/{receipt.run_id}/receipt.json, columns.md"
