"""`minimize run`: the one sentence, pipeline to receipt."""

from __future__ import annotations

import click

from minimize.cli import options
from minimize.cli.progress import progress
from minimize.cli.quiet import quiet
from minimize.cli.run_result import print_run
from minimize.cli.when import DATE, TIME


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
    return print_run(done, job, output, pending=pending, skips=skips, as_json=as_json)
