"""`minimize backfill`: the dates that a file names, anew."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.progress import progress
from minimize.counts import counted

if TYPE_CHECKING:
    from minimize.job.backfill import Backfilled

log = logging.getLogger("minimize")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--look", is_flag=True, help="Only say what is done and what is due; run nothing.")
@options.engine
@options.instead
@options.told
@options.keys
@options.only_ledger
@options.allow_shrink()
@options.as_json
def command(
    file: str,
    look: bool,
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
    """Run the dates of the backfill FILE anew, one by one; what it did before is not done again.

    Settings are always those of today; the policy is today's, or with `policy: then` the one of each date's last receipt.
    """
    from minimize.job.backfill import run_backfill
    from minimize.job.limits import quarantine_exceeded, unfinished
    from minimize.job.pending import worst

    with progress() as advanced:
        done = run_backfill(
            file,
            engine=engine,
            only_look=look,
            progress=advanced,
            allow_shrink=allow_shrink,
            input=input_,
            settings=settings,
            output=output,
            keys=keys,
            ledger=ledger,
            lineage=lineage,
            metrics=metrics,
        )
    click.echo(json.dumps(done.as_json(), indent=2) if as_json else _told(done, look))
    exceeded = [told for receipt in done.receipts if (told := quarantine_exceeded(receipt, done.pipeline))]
    undone = [told for receipt in done.receipts if (told := unfinished(receipt))]
    for told in exceeded:
        log.error(told, extra={"code": "W012"})
    for told in undone:
        log.error(told, extra={"code": "W015"})
    for each in done.failures:
        log.error("%s", each.left_alone, extra={"code": each.log_code, "data": each.as_json()})
    codes = [1] if undone else [4] if exceeded else []
    return worst([*codes, *(each.exit_code for each in done.failures)])


def _told(done: Backfilled, look: bool) -> str:
    counts = Counter(done.dates.values())
    ahead = f"{counts['due']} due" if look else f"{len(done.receipts)} run now"
    lines = [
        f"backfill {done.backfill.backfill} of {done.pipeline.pipeline}: "
        f"{ahead}, {counts['done']} done before, {counts['no input']} without input"
    ]
    if look:
        return "\n".join([*lines, *(f"  {day}  {state}" for day, state in done.dates.items())])
    lines += [f"{counted(len(done.failures), 'date')} left alone"] if done.failures else []
    if not done.receipts:
        return "\n".join([*lines, *([] if done.failures else ["nothing to do"])])
    rows = [
        f"  {receipt.dates[0]}  {receipt.rows.read:,} read, {receipt.rows.written:,} written  ({receipt.run_id})"
        for receipt in done.receipts
    ]
    return "\n".join([*lines, *rows])
