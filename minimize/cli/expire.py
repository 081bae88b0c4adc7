"""`minimize expire`: what must not stand any longer goes from an output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from minimize.cli import options
from minimize.cli.quiet import quiet
from minimize.cli.when import TIME
from minimize.cli.width import width

if TYPE_CHECKING:
    from minimize.governance.retention.expire import Expired


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@click.option(
    "--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not before the last receipt of the dates."
)
@click.option(
    "--pipeline", type=click.Path(), metavar="PIPELINE", help="The pipeline that made it (else as its receipts say)."
)
@click.option(
    "--events", type=click.Path(dir_okay=False), metavar="FILE", help="What happened to tenants and subjects."
)
@click.option("--due", is_flag=True, help="List what is open and by when; exit 1 when something is overdue.")
@click.option("--yes", is_flag=True, help="Do it. Without it the plan is shown, and nothing is changed.")
@options.allow_shrink("Remove what is due though the time is far from that of the last receipt.")
@options.only_ledger
@options.keys
@quiet
@options.as_json
def command(
    output: str,
    at: str | None,
    pipeline: str | None,
    events: str | None,
    due: bool,
    yes: bool,
    allow_shrink: bool,
    ledger: str | None,
    keys: str | None,
    as_json: bool,
) -> int:
    """Take out of OUTPUT what is past the retention of today's policy, by event time, and what must go after events."""
    from minimize.governance.retention.expire import expire, open_items

    asked = {"at": at, "pipeline": pipeline, "events": events, "keys": keys, "ledger": ledger}
    if due:
        items = open_items(output, **asked)
        body = {"open": [each.as_json() for each in items]}
        options.show(body, as_json, "\n".join(map(str, items)) or "nothing is open")
        return int(any(each.overdue for each in items))
    done = expire(output, yes=yes, allow_shrink=allow_shrink, **asked)
    click.echo(json.dumps(done.as_json(), indent=2) if as_json else _told(done, yes))
    return 0


def _told(done: Expired, yes: bool) -> str:
    plan = done.plan.carried_out() if done.receipts else str(done.plan)
    lines = [plan, *(receipt.summary(width()) for receipt in done.receipts)]
    return "\n".join(lines if yes or not done.plan.due else [*lines, "nothing was changed: --yes does it"])
