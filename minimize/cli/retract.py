"""`minimize retract`: today's policy and settings over what was written before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.when import TIME
from minimize.cli.width import width

if TYPE_CHECKING:
    from minimize.governance.retention.retract import Retraction


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@options.elsewhere
@click.option(
    "--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not before the last receipt of the dates."
)
@click.option("--yes", is_flag=True, help="Do it. Without it the plan is shown, and nothing is changed.")
@options.only_ledger
@options.keys
@options.as_json
def command(
    output: str,
    pipeline: str | None,
    input_: str | None,
    settings: str | None,
    at: str | None,
    yes: bool,
    ledger: str | None,
    keys: str | None,
    as_json: bool,
) -> int:
    """Take out of OUTPUT what would not be collected today.

    A date whose source still stands is run anew; of the others a value goes if it was off in any instant that its time may stand
    for, is off now, or has a condition that the output does not show to hold.
    """
    from minimize.governance.retention.retract import retract

    done = retract(output, at=at, pipeline=pipeline, input=input_, settings=settings, keys=keys, ledger=ledger, yes=yes)
    click.echo(json.dumps(done.as_json(), indent=2) if as_json else _told(done, yes))
    return 0


def _told(done: Retraction, yes: bool) -> str:
    lines = [str(done), *(receipt.summary(width()) for receipt in done.receipts)]
    return "\n".join(lines if yes or done.is_empty else [*lines, "nothing was changed: --yes does it"])
