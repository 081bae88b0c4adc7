"""`minimize receive`: what a third party sends, as a pipeline like any other."""

from __future__ import annotations

from collections.abc import Sequence

import click

from minimize.cli import options
from minimize.cli.progress import progress
from minimize.cli.quiet import quiet
from minimize.cli.run_result import print_run
from minimize.cli.when import DATE, TIME


@click.command()
@click.argument("recipient")
@click.argument("function")
@click.option(
    "--pipeline", type=click.Path(), required=True, metavar="PIPELINE", help="The pipeline whose source it is."
)
@click.option("--date", type=DATE, metavar="D", help="The batch date, YYYY-MM-DD; all dates found where none is given.")
@click.option("--pending", is_flag=True, help="Only dates whose inputs changed since their last receipt.")
@click.option("--at", type=TIME, metavar="TIME", help="Run as of this time (ISO 8601); before now it needs --output.")
@options.having
@options.recipients
@options.engine
@options.instead
@options.told
@options.keys
@options.only_ledger
@options.allow_shrink()
@quiet
@options.as_json
def command(
    recipient: str,
    function: str,
    pipeline: str,
    date: str | None,
    pending: bool,
    at: str | None,
    having: Sequence[str],
    recipients: str | None,
    engine: str,
    input_: str | None,
    settings: str | None,
    output: str | None,
    lineage: str | None,
    metrics: str | None,
    keys: str | None,
    ledger: str | None,
    allow_shrink: bool,
    as_json: bool,
) -> int:
    """Minimize what RECIPIENT sends by FUNCTION into Parquet, with a receipt.

    Exit 3 where the manifest does not have the function, the contract is not in force, or a prerequisite is not met. Rows of
    tenants whose consent does not cover the function are left out, and counted in the receipt as `consent`.
    """
    from minimize.governance.sharing import receive_dates
    from minimize.job.dates import Wanted
    from minimize.job.job import Instead
    from minimize.policy.load import load_pipeline

    job, wanted = load_pipeline(pipeline), Wanted.of(date, None, None, pending=pending)
    instead = Instead(input_, settings, output, keys, ledger, lineage, metrics, recipients, tuple(having))
    with progress() as advanced:
        done = receive_dates(
            job,
            recipient,
            function,
            wanted,
            instead,
            at=at,
            engine=engine,
            progress=advanced,
            allow_shrink=allow_shrink,
        )
    return print_run(done, job, output, pending=pending, as_json=as_json)
