"""Commands that remove published data: `events` (lifecycle events in the ledger), `expire` and `retract`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import click

from minimize.cli.options import (
    AS_OF_HELP,
    FILE,
    ID,
    LEDGER,
    MADE_BY_HELP,
    OPTIONS,
    RECEIPT_OVERRIDES,
    WORKSPACE,
)
from minimize.cli.verb import examples, verb
from minimize.governance.events import NewEvent, RecordedEvent, record_event, show_events, withdraw_event
from minimize.governance.subjects.directory_feed import FeedColumns, FeedEvent, import_events
from minimize.removal.expire import expire, show_open_items
from minimize.removal.retract import retract
from minimize.results import Printable
from minimize.runs.execution import ProgressCallback
from minimize.workspace import Workspace

_AT: Final = OPTIONS["--at"](help=f"{AS_OF_HELP} Not before the last receipt of the dates. [default: now]")


@click.group(name="events")
def events_group() -> None:
    """Record lifecycle events of tenants and subjects.

    `minimize expire` removes the data that an event concerns. Events are append-only and audited. The ledger stores a subject
    as a keyed token, by which `expire` finds it in outputs.
    """


@examples(
    "minimize events add contoso subject_left --subject d-4711 --pipeline pipelines/device_telemetry",
    "minimize events add fabrikam tenant_closed --at 2026-11-20T00:00:00Z",
)
@verb(
    "add",
    "TENANT",
    click.Argument(
        ["event"],
        type=click.Choice(
            ["tenant_closed", "subject_left", "became_personal", "reset", "company_data_removed", "erasure"]
        ),
    ),
    click.Option(["--subject"], type=ID, metavar="S", help="Subject of the event, as the source writes it."),
    click.Option(
        ["--id-field", "field"],
        metavar="NAME",
        help="What the ids identify: user, device, another identity, or a field. [default: all]",
    ),
    OPTIONS["--at"](help="When it happened (ISO 8601). [default: now]"),
    *WORKSPACE,
    group=events_group,
)
def add_event_command(
    workspace: Workspace,
    now: datetime,
    tenant: str,
    event: str,
    subject: str | None,
    at: datetime | None,
    field: str | None,
) -> Printable:
    """Record that EVENT happened to TENANT, or to one of its subjects.

    An unknown tenant is recorded, with a warning that lists similar names.

    For a subject, the event also stores its forms in the outputs that the ledger knows and in the pipeline's output, as keyed
    tokens. Record the event again to add its forms in new outputs.
    """
    return record_event(NewEvent(tenant, event, subject, at, field), workspace, now)


@examples("minimize events import deleted-users.csv --linked --pipeline pipelines/device_telemetry")
@verb(
    "import",
    click.Argument(["file"], type=FILE),
    click.Option(
        ["--id-field", "field"],
        default="user_id",
        show_default=True,
        metavar="FIELD",
        help="Field of the policies that contains the ids of the users.",
    ),
    click.Option(
        ["--event", "kind"],
        type=click.Choice(["subject_left", "reset", "erasure"]),
        default="subject_left",
        show_default=True,
        help="Event to record.",
    ),
    click.Option(
        ["--tenant-column"], default="tenant_id", show_default=True, metavar="NAME", help="Column of tenants."
    ),
    click.Option(["--id-column"], metavar="NAME", help="Column of ids. [default: the field]"),
    click.Option(["--time-column"], default="deleted_at", show_default=True, metavar="NAME", help="Column of times."),
    click.Option(["--linked"], is_flag=True, help="Also remove the records of devices that belong to a user alone."),
    OPTIONS["--pipeline"](multiple=True, help="Pipeline whose output may have the users. Repeatable."),
    *LEDGER,
    "--keys",
    group=events_group,
    quiet=True,
)
def import_events_command(
    workspace: Workspace,
    now: datetime,
    file: str,
    field: str,
    kind: FeedEvent,
    tenant_column: str,
    id_column: str | None,
    time_column: str,
    linked: bool,
) -> Printable:
    """Record an event for each user in FILE, a directory's feed of deleted users (CSV, NDJSON or Parquet).

    The same FILE can be imported every night: an event that is recorded or was withdrawn is not recorded again. `minimize expire`
    then removes the records, and `expire --due` lists the deadlines.

    Exits with 1 if a line was not taken. The other lines are recorded.
    """
    columns = FeedColumns(tenant_column, id_column or field, time_column)
    return import_events(file, workspace, now, field=field, kind=kind, columns=columns, linked=linked)


@examples("minimize events withdraw EVENT")
@verb("withdraw", click.Argument(["event"]), *WORKSPACE, group=events_group)
def withdraw_event_command(workspace: Workspace, now: datetime, event: str) -> Printable:
    """Withdraw EVENT, which was wrong or is no longer true. The start of its id is enough.

    Data that `expire` has already removed does not come back. An event that is added again counts again. You do not need to
    withdraw events of a device that is enrolled again: an event concerns only records from before it.
    """
    withdrawal = withdraw_event(event, workspace, now)
    return RecordedEvent(withdrawal, withdrawal.is_new)


@examples("minimize events list --tenant contoso")
@verb("list", "--tenant", "--history", *WORKSPACE, group=events_group)
def list_events_command(workspace: Workspace, **filters: Any) -> Printable:
    """List the events in force, and the deadline of each."""
    return show_events(workspace, **filters)


@examples(
    "minimize expire out/device_telemetry",
    "minimize expire out/device_telemetry --yes",
    "minimize expire out/device_telemetry --due",
)
@verb(
    "expire",
    "OUTPUT",
    _AT,
    OPTIONS["--pipeline"](help=MADE_BY_HELP),
    click.Option(["--events"], type=FILE, metavar="FILE", help="File of lifecycle events of tenants and subjects."),
    click.Option(
        ["--tables"],
        is_flag=True,
        help="Also remove all published tables. They are made again only if their dates are run.",
    ),
    click.Option(["--due"], is_flag=True, help="List open deadlines. Exit with 1 if one has passed."),
    "--yes",
    OPTIONS["--allow-shrink"](help="Remove data even if the time is far from that of the last receipt."),
    "--ledger",
    "--keys",
    quiet=True,
)
def expire_command(
    progress: ProgressCallback, output: str, tables: bool, due: bool, yes: bool, allow_shrink: bool, **arguments: Any
) -> Printable:
    """Remove data of OUTPUT that is past its retention period, or that a lifecycle event concerns.

    The retention is that of the current policy, counted from the event time. A published table loses the groups that are past
    its retention. Its other figures stay, also after events. With --tables, all tables are removed: use it if an earlier
    version of minimize published exact figures.

    Exit codes: 0 done, or nothing to remove; 1 with --due, a deadline has passed; 2 wrong usage or configuration; 3 refused,
    because the time is implausible or the account may not do it.
    """
    if due:
        return show_open_items(output, **arguments)
    return expire(output, tables=tables, yes=yes, allow_shrink=allow_shrink, progress=progress, **arguments)


@examples("minimize retract out/device_telemetry", "minimize retract out/device_telemetry --yes")
@verb(
    "retract",
    "OUTPUT",
    *RECEIPT_OVERRIDES,
    _AT,
    click.Option(
        ["--received"],
        is_flag=True,
        help="Remove only received data that consents and contracts no longer cover. Changed policies and settings are not "
        "applied.",
    ),
    "--yes",
    OPTIONS["--allow-shrink"](help="Remove data even if the time is far from that of the last receipt."),
    "--ledger",
    "--keys",
    quiet=True,
)
def retract_command(progress: ProgressCallback, output: str, **arguments: Any) -> Printable:
    """Apply the current policy, settings and consents to OUTPUT: remove data that would not be collected today.

    A date whose source still exists is run again, also if its table in force is one that the current policy does not permit.
    Such a table is removed if it is not replaced. For other dates, a value is removed if its feature was off at any time that
    its rounded event time can mean, if the feature is off now, or if the output does not prove that its condition holds.

    With --received, for a nightly job: an output of your own data stays as it is, and nothing but an ended consent or contract
    removes data.
    """
    return retract(output, progress=progress, **arguments)
