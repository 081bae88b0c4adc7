"""Commands that remove published data: `events` (lifecycle events in the ledger), `expire` and `retract`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.options import TIME, authorize, command_workspace, quiet
from minimize.cli.printing import UNCHANGED_HINT, line_width
from minimize.governance.retention.event_admin import NewEvent, add_event, list_events, suggest_tenants, withdraw_event
from minimize.governance.retention.expire import expire, open_items
from minimize.governance.retention.retract import retract
from minimize.text import single_line
from minimize.times import parse_time, utc_now

if TYPE_CHECKING:
    from minimize.governance.retention.event_admin import EventEntry
    from minimize.governance.retention.expire import ExpiryResult
    from minimize.governance.retention.retract import Retraction

log = logging.getLogger("minimize")


@click.group(name="events")
def events_group() -> None:
    """Record lifecycle events of tenants and subjects.

    `minimize expire` removes the data that an event concerns. Events are append-only and audited. The ledger stores a subject
    as a keyed token, by which `expire` finds it in outputs.
    """


@events_group.command("add")
@click.argument("tenant", type=options.ID)
@click.argument("event", type=click.Choice(["tenant_closed", "subject_left", "became_personal", "reset", "erasure"]))
@click.option("--subject", type=options.ID, metavar="S", help="Subject of the event, as the source writes it.")
@click.option(
    "--as", "field", metavar="FIELD", help="Field that contains the ids. [default: the subject of the policy]"
)
@click.option("--at", type=TIME, metavar="TIME", help="When it happened (ISO 8601). [default: now]")
@options.workspace
@options.as_json
def add_event_command(
    tenant: str, event: str, subject: str | None, field: str | None, at: str | None, as_json: bool, **places: Any
) -> None:
    """Record that EVENT happened to TENANT, or to one of its subjects.

    An unknown tenant is recorded, with a warning that lists similar names.

    For a subject, the event also stores its forms in the outputs that the ledger knows and in the pipeline's output, as keyed
    tokens. Record the event again to add its forms in new outputs.
    """
    authorize("event/record", places, tenant)
    workspace = command_workspace(places)
    close = suggest_tenants(tenant, workspace)
    done = add_event(NewEvent(tenant, event, subject, parse_time(at), field), workspace, utc_now())
    _warn_of_unknown_tenant(tenant, close)
    for output in done.unreachable:
        log.warning(
            "%s cannot be read, so it is not known whether it contains the subject", output, extra={"code": "W022"}
        )
    options.print_result(
        {**done.to_json(), "new": done.is_new, "missed": list(done.unreachable)}, as_json, _event_line(done)
    )


def _warn_of_unknown_tenant(tenant: str, close: tuple[str, ...] | None) -> None:
    if close is not None:
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        message = "unknown tenant %s: not in the ledger, the settings or the newest records (%s%s)"
        log.warning(
            message,
            single_line(tenant),
            single_line(hint),
            "To undo it, run `minimize events withdraw`.",
            extra={"code": "W029"},
        )


@events_group.command("withdraw")
@click.argument("event")
@options.workspace
@options.as_json
def withdraw_event_command(event: str, as_json: bool, **places: Any) -> None:
    """Withdraw EVENT, which was wrong or is no longer true. The start of its id is enough.

    Data that `expire` has already removed does not come back. An event that is added again counts again. You do not need to
    withdraw events of a device that is enrolled again: an event concerns only records from before it.
    """
    authorize("event/record", places)
    done = withdraw_event(event, command_workspace(places), utc_now())
    options.print_result({**done.to_json(), "new": done.is_new}, as_json, _event_line(done))


@events_group.command("list")
@click.option("--tenant", type=options.ID, metavar="T", help=options.TENANT_FILTER_HELP)
@click.option("--history", is_flag=True, help="List all rows, not only those in force.")
@options.workspace
@options.as_json
def list_events_command(tenant: str | None, history: bool, as_json: bool, **places: Any) -> None:
    """List the events in force, and the deadline of each."""
    found = list_events(command_workspace(places), tenant=tenant, history=history)
    options.print_result(
        {"events": [each.to_json() for each in found]}, as_json, "\n".join(map(_event_line, found)) or "no events"
    )


def _event_line(event: EventEntry) -> str:
    return single_line(str(event))


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@click.option(
    "--at",
    type=TIME,
    metavar="TIME",
    help=f"{options.AS_OF_HELP} Not before the last receipt of the dates. [default: now]",
)
@click.option("--pipeline", type=click.Path(), metavar="PIPELINE", help=options.MADE_BY_HELP)
@click.option(
    "--events",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="File of lifecycle events of tenants and subjects.",
)
@click.option("--due", is_flag=True, help="List open deadlines. Exit with 1 if one has passed.")
@click.option("--yes", is_flag=True, help=options.APPLY_HELP)
@options.allow_shrink("Remove data even if the time is far from that of the last receipt.")
@options.only_ledger
@options.keys
@quiet
@options.as_json
def expire_command(
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
    """Remove data of OUTPUT that is past its retention period, or that a lifecycle event concerns.

    The retention is that of the current policy, counted from the event time.

    Exit codes: 0 done, or nothing to remove; 1 with --due, a deadline has passed; 2 wrong usage or configuration; 3 refused,
    because the time is implausible or the account may not do it.
    """
    arguments = {"at": at, "pipeline": pipeline, "events": events, "keys": keys, "ledger": ledger}
    if due:
        items = open_items(output, **arguments)
        body = {"open": [each.to_json() for each in items]}
        options.print_result(body, as_json, "\n".join(map(str, items)) or "no open deadlines")
        return int(any(each.overdue for each in items))
    done = expire(output, yes=yes, allow_shrink=allow_shrink, **arguments)
    options.print_result(done.to_json(), as_json, _expiry_text(done, yes))
    return 0


def _expiry_text(done: ExpiryResult, yes: bool) -> str:
    plan = done.plan.outcome_text() if done.receipts else str(done.plan)
    lines = [plan, *(receipt.summary(line_width()) for receipt in done.receipts)]
    return "\n".join(lines if yes or not done.plan.due else [*lines, UNCHANGED_HINT])


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@options.receipt_overrides
@click.option(
    "--at",
    type=TIME,
    metavar="TIME",
    help=f"{options.AS_OF_HELP} Not before the last receipt of the dates. [default: now]",
)
@click.option("--yes", is_flag=True, help=options.APPLY_HELP)
@options.only_ledger
@options.keys
@options.as_json
def retract_command(
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
    """Apply the current policy, settings and consents to OUTPUT: remove data that would not be collected today.

    A date whose source still exists is run again. For other dates, a value is removed if its feature was off at any time that
    its rounded event time can mean, if the feature is off now, or if the output does not prove that its condition holds.
    """
    done = retract(output, at=at, pipeline=pipeline, input=input_, settings=settings, keys=keys, ledger=ledger, yes=yes)
    options.print_result(done.to_json(), as_json, _retraction_text(done, yes))
    return 0


def _retraction_text(done: Retraction, yes: bool) -> str:
    lines = [str(done), *(receipt.summary(line_width()) for receipt in done.receipts)]
    return "\n".join(lines if yes or done.is_empty else [*lines, UNCHANGED_HINT])
