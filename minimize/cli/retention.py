"""Commands that remove published data: `events` (lifecycle events in the ledger), `expire`, `retract`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.options import TIME, authorize, command_workspace, quiet
from minimize.cli.printing import UNCHANGED_HINT, line_width, single_line
from minimize.governance.retention.event_admin import NewEvent, add_event, list_events, suggest_tenants, withdraw_event
from minimize.governance.retention.expire import expire, open_items
from minimize.governance.retention.retract import retract
from minimize.times import parse_time, utc_now

if TYPE_CHECKING:
    from minimize.governance.retention.event_admin import EventEntry
    from minimize.governance.retention.expire import ExpiryResult
    from minimize.governance.retention.retract import Retraction

log = logging.getLogger("minimize")


@click.group(name="events")
def events_group() -> None:
    """What happened to tenants and subjects after their records were collected: append-only, audited.

    `minimize expire` carries them out. A subject stands in the ledger as a keyed token, and is found in outputs by it.
    """


@events_group.command("add")
@click.argument("tenant", type=options.ID)
@click.argument("event", type=click.Choice(["tenant_closed", "subject_left", "became_personal", "reset", "erasure"]))
@click.option("--subject", type=options.ID, metavar="S", help="The subject that it is about, as it comes in.")
@click.option("--as", "field", metavar="FIELD", help="The field that holds such ids (else the policy's subject).")
@click.option("--at", type=TIME, metavar="TIME", help="When it happened (ISO 8601); now where nothing is said.")
@options.workspace
@options.as_json
def add_event_command(
    tenant: str, event: str, subject: str | None, field: str | None, at: str | None, as_json: bool, **places: Any
) -> None:
    """Record that EVENT happened to TENANT, or to one subject of it.

    A tenant that nobody knows is warned of, with names like it: the event stands all the same.

    Of a subject it is recorded, too, in which forms it stands in the outputs that the ledger has seen, and in the pipeline's: as
    keyed tokens of them. Recorded once more, an event learns of outputs that are new.
    """
    authorize("event/record", places, tenant)
    house = command_workspace(places)
    close = suggest_tenants(tenant, house)
    done = add_event(NewEvent(tenant, event, subject, parse_time(at), field), house, utc_now())
    _warn_of_unknown_tenant(tenant, close)
    for output in done.unreachable:
        log.warning(
            "%s cannot be looked at: whether the subject is found there is not known", output, extra={"code": "W022"}
        )
    options.print_result(
        {**done.as_json(), "new": done.is_new, "missed": list(done.unreachable)}, as_json, _event_line(done)
    )


def _warn_of_unknown_tenant(tenant: str, close: tuple[str, ...] | None) -> None:
    if close is not None:
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        message = "nobody knows the tenant %s: neither the ledger, nor settings, nor the newest records (%s%s)"
        log.warning(
            message, single_line(tenant), single_line(hint), "`events withdraw` takes it back", extra={"code": "W029"}
        )


@events_group.command("withdraw")
@click.argument("event")
@options.workspace
@options.as_json
def withdraw_event_command(event: str, as_json: bool, **places: Any) -> None:
    """Take EVENT back, named by the first letters of its id: it was not so, or is so no longer.

    What `expire` took because of it is gone; added again, it counts again. A device that is enrolled again needs none of this:
    an event reaches only what happened before it.
    """
    authorize("event/record", places)
    done = withdraw_event(event, command_workspace(places), utc_now())
    options.print_result({**done.as_json(), "new": done.is_new}, as_json, _event_line(done))


@events_group.command("list")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@click.option("--history", is_flag=True, help="Every row, not only events that count.")
@options.workspace
@options.as_json
def list_events_command(tenant: str | None, history: bool, as_json: bool, **places: Any) -> None:
    """Print the events that count, and by when each has to be carried out."""
    found = list_events(command_workspace(places), tenant=tenant, history=history)
    options.print_result(
        {"events": [each.as_json() for each in found]}, as_json, "\n".join(map(_event_line, found)) or "no events"
    )


def _event_line(event: EventEntry) -> str:
    return single_line(str(event))


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
    """Take out of OUTPUT what is past the retention of today's policy, by event time, and what must go after events."""
    asked = {"at": at, "pipeline": pipeline, "events": events, "keys": keys, "ledger": ledger}
    if due:
        items = open_items(output, **asked)
        body = {"open": [each.as_json() for each in items]}
        options.print_result(body, as_json, "\n".join(map(str, items)) or "nothing is open")
        return int(any(each.overdue for each in items))
    done = expire(output, yes=yes, allow_shrink=allow_shrink, **asked)
    options.print_result(done.as_json(), as_json, _expiry_text(done, yes))
    return 0


def _expiry_text(done: ExpiryResult, yes: bool) -> str:
    plan = done.plan.outcome_text() if done.receipts else str(done.plan)
    lines = [plan, *(receipt.summary(line_width()) for receipt in done.receipts)]
    return "\n".join(lines if yes or not done.plan.due else [*lines, UNCHANGED_HINT])


@click.command()
@click.argument("output", type=click.Path(file_okay=False))
@options.receipt_overrides
@click.option(
    "--at", type=TIME, metavar="TIME", help="As of this time (ISO 8601), not before the last receipt of the dates."
)
@click.option("--yes", is_flag=True, help="Do it. Without it the plan is shown, and nothing is changed.")
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
    """Take out of OUTPUT what would not be collected today.

    A date whose source still stands is run anew; of the others a value goes if it was off in any instant that its time may stand
    for, is off now, or has a condition that the output does not show to hold.
    """
    done = retract(output, at=at, pipeline=pipeline, input=input_, settings=settings, keys=keys, ledger=ledger, yes=yes)
    options.print_result(done.as_json(), as_json, _retraction_text(done, yes))
    return 0


def _retraction_text(done: Retraction, yes: bool) -> str:
    lines = [str(done), *(receipt.summary(line_width()) for receipt in done.receipts)]
    return "\n".join(lines if yes or done.is_empty else [*lines, UNCHANGED_HINT])
