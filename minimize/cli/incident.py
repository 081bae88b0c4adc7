"""`minimize incident`: exposed items, affected subjects, notices and deadlines of breaches."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, get_args

import click

from minimize.cli.options import FILE, FOLDER, OPTIONS, TIME, WORKSPACE
from minimize.cli.verb import verb
from minimize.governance.incidents import (
    NewIncident,
    OpenedIncident,
    approve_exemption,
    close_incident,
    declare_incident,
    draft_notices,
    lint_contacts,
    list_incidents,
    load_incident,
    open_incident,
    record_measure,
    record_notices_sent,
    request_exemption,
    scope_incident,
    unmatched_items,
)
from minimize.governance.incidents.incident import IncidentClass, StatementKind
from minimize.governance.workspace import Workspace
from minimize.results import LintResult, Printable, ResultAt

_INCIDENT: Final = click.Argument(["name"], metavar="ID")


@click.group(name="incident")
def incident_group() -> None:
    """Handle a breach: exposed items, affected subjects, notices and deadlines."""


@verb(
    "open",
    _INCIDENT,
    click.Option(["--title"], required=True, help="Title of the incident and of its notices."),
    click.Option(["--since"], required=True, type=TIME, metavar="TIME", help="Start of the exposure (ISO 8601)."),
    click.Option(
        ["--until"],
        type=TIME,
        metavar="TIME",
        help="End of the exposure (ISO 8601). [default: when it became known]",
    ),
    click.Option(
        ["--known-at"], type=TIME, metavar="TIME", help="When the incident became known (ISO 8601). [default: now]"
    ),
    click.Option(
        ["--exposed"],
        multiple=True,
        required=True,
        metavar="WHAT",
        help="Exposed item: output:PATH[#NAME], run:ID, date:D, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID "
        "or actor:NAME[@FROM/TO]. Repeatable.",
    ),
    *WORKSPACE,
    group=incident_group,
    permission="incident/open",
)
def open_command(
    workspace: Workspace,
    now: datetime,
    name: str,
    title: str,
    since: datetime,
    until: datetime | None,
    known_at: datetime | None,
    exposed: tuple[str, ...],
) -> Printable:
    """Open the incident ID.

    Name the exposed items and the time of the exposure. An item that matches nothing is printed, and recorded all the same.
    `minimize incident scope` searches in more detail.
    """
    found = open_incident(NewIncident(name, title, (since, until), known_at or now, exposed), workspace, now)
    return OpenedIncident(found, now, tuple(map(str, unmatched_items(found, workspace))))


@verb("scope", _INCIDENT, "--in", *WORKSPACE, group=incident_group, permission="incident/assess")
def scope_command(workspace: Workspace, now: datetime, name: str, named: tuple[str, ...]) -> Printable:
    """Determine the tenants and subjects that ID affects.

    Searches receipts, files, disclosures, the audit log and grants.
    """
    return ResultAt(scope_incident(name, workspace, now, named=named), now)


@verb("declare", _INCIDENT, *WORKSPACE, group=incident_group, permission="incident/declare")
def declare_command(workspace: Workspace, now: datetime, name: str) -> Printable:
    """Declare ID a breach.

    The deadline is 72 hours, counted from `declare`. It is an internal deadline: the period of GDPR Art. 33 runs from when
    you became aware (`--known-at`).
    """
    return ResultAt(declare_incident(name, workspace, now), now)


@verb(
    "measure",
    _INCIDENT,
    click.Argument(["text"]),
    click.Option(
        ["--as", "what"],
        type=click.Choice(get_args(StatementKind)),
        default="measure",
        show_default=True,
        help="Part of the notice.",
    ),
    *WORKSPACE,
    group=incident_group,
    permission="incident/assess",
)
def measure_command(workspace: Workspace, now: datetime, **statement: Any) -> Printable:
    """Record a measure, an action or a consequence of ID.

    A measure was taken, an action is for tenants, a consequence is possible. Notices contain all of them.
    """
    return ResultAt(record_measure(workspace=workspace, now=now, **statement), now)


@verb(
    "notice",
    _INCIDENT,
    OPTIONS["--to"](type=FOLDER, metavar="DIR", help="Write the notices to DIR, in a new folder for each version."),
    click.Option(["--contact"], metavar="WHOM", help="Contact for questions of tenants: a name and an address."),
    click.Option(
        ["--contacts"],
        type=FILE,
        metavar="FILE",
        help="Contacts of tenants, CSV or YAML. [default: from minimize.yaml]",
    ),
    OPTIONS["--tenant"](param_decls=["--tenant", "only"], multiple=True, help="Only this tenant. Repeatable."),
    click.Option(["--sent"], is_flag=True, help="Record that the last notices were sent."),
    *WORKSPACE,
    group=incident_group,
    permission="incident/notice",
)
def notice_command(
    workspace: Workspace, now: datetime, name: str, only: tuple[str, ...], sent: bool, **draft: Any
) -> Printable:
    """Draft the notices of ID, one per tenant.

    Each draft is a new version. Pass --sent after you have sent them.
    """
    if sent:
        return ResultAt(record_notices_sent(name, workspace, now, only=only), now)
    return draft_notices(name, workspace=workspace, now=now, only=only, **draft)


@verb("lint", click.Argument(["file"], type=FILE), group=incident_group)
def lint_command(file: str) -> Printable:
    """Check a file of contacts.

    It is CSV or YAML with tenant_id, role (privacy, security, administrator), name and address.
    """
    return LintResult(lint_contacts(file))


@verb(
    "exempt",
    *(_INCIDENT, "TENANT"),
    click.Option(["--reason"], default="", help="Reason, without personal data."),
    click.Option(["--agree"], is_flag=True, help="Approve the request of another account."),
    *WORKSPACE,
    group=incident_group,
    permission="incident/notice",
)
def exempt_command(workspace: Workspace, now: datetime, name: str, tenant: str, reason: str, agree: bool) -> Printable:
    """Request that TENANT is not notified of ID. With --agree, approve the request of another account."""
    if agree:
        return ResultAt(approve_exemption(name, tenant, workspace, now), now)
    return ResultAt(request_exemption(name, tenant, reason, workspace, now), now)


@verb(
    "close",
    _INCIDENT,
    click.Option(
        ["--as", "as_"],
        type=click.Choice(get_args(IncidentClass)),
        required=True,
        help="Class of the incident.",
    ),
    click.Option(["--reason"], required=True, help="Reason, without personal data."),
    *WORKSPACE,
    group=incident_group,
    permission="incident/close",
)
def close_command(workspace: Workspace, now: datetime, **closing: Any) -> Printable:
    """Close ID. A declared incident can be closed after all affected tenants are notified or exempted."""
    return ResultAt(close_incident(workspace=workspace, now=now, **closing), now)


@verb("list", *WORKSPACE, group=incident_group, permission="incident/read")
def list_command(workspace: Workspace, now: datetime) -> Printable:
    """List incidents and their deadlines. Exits with 1 if a notice is overdue."""
    return list_incidents(workspace, now)


@verb("show", _INCIDENT, *WORKSPACE, group=incident_group, permission="incident/read")
def show_command(workspace: Workspace, now: datetime, name: str) -> Printable:
    """Show ID: exposed items, affected tenants, notices and measures."""
    return ResultAt(load_incident(name, workspace), now)
