"""`minimize replay`: what is in quarantine, under the policy of today."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.progress import progress
from minimize.cli.when import DATE, TIME
from minimize.cli.width import width
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.job.replay import Replayed

log = logging.getLogger("minimize")


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@options.elsewhere
@click.option(
    "--date", type=DATE, metavar="D", help="This batch date alone; all that have a quarantine where none is given."
)
@click.option(
    "--at", type=TIME, metavar="TIME", help="Run as of this time (ISO 8601), not before the last run of the dates."
)
@options.engine
@options.told
@options.keys
@options.only_ledger
@options.allow_shrink()
@options.as_json
def command(
    output: str,
    pipeline: str | None,
    input_: str | None,
    settings: str | None,
    date: str | None,
    at: str | None,
    engine: str,
    lineage: str | None,
    metrics: str | None,
    keys: str | None,
    ledger: str | None,
    allow_shrink: bool,
    as_json: bool,
) -> int:
    """Look at the quarantined records of OUTPUT again, under the policy and settings of today.

    Each date of which a record passes now is run anew, whole. A source that changed or vanished is refused.
    """
    from minimize.job.limits import quarantine_exceeded, unfinished
    from minimize.job.pending import worst
    from minimize.job.replay import replay

    with progress() as advanced:
        done = replay(
            output,
            date=date,
            engine=engine,
            progress=advanced,
            allow_shrink=allow_shrink,
            lineage=lineage,
            metrics=metrics,
            pipeline=pipeline,
            at=at,
            input=input_,
            settings=settings,
            keys=keys,
            ledger=ledger,
        )
    click.echo(json.dumps(done.as_json(), indent=2) if as_json else _told(done))
    exceeded = [
        (receipt, told)
        for receipt, job in zip(done.receipts, done.pipelines, strict=True)
        if (told := quarantine_exceeded(receipt, job))
    ]
    undone = [(receipt, told) for receipt in done.receipts if (told := unfinished(receipt))]
    for code, some in (("W012", exceeded), ("W015", undone)):
        for receipt, told in some:
            log.error(told, extra={"code": code, "run_id": receipt.run_id})
    for each in done.failures:
        log.error("%s", each.left_alone, extra={"code": each.log_code, "data": each.as_json()})
    codes = [1] if undone else [4] if exceeded else []
    return worst([*codes, *(each.exit_code for each in done.failures)])


def _told(done: Replayed) -> str:
    if not done.looked_at:
        return "nothing to do: nothing is in quarantine"
    lines = [
        f"{each.held.day or 'all'}: {each.rows:,} of {each.held.rows:,} quarantined records pass now"
        for each in done.looked_at
    ]
    lines += [f"{counted(len(done.failures), 'date')} left alone"] if done.failures else []
    if not done.receipts:
        return "\n".join([*lines, *([] if done.failures else ["nothing to do: none of them would leave quarantine"])])
    return "\n".join([*lines, *(receipt.summary(width()) for receipt in done.receipts)])
