"""`minimize incident`: exposed items, affected subjects, notices and deadlines of breaches."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, get_args

import click

from minimize.cli.options import FILE, FOLDER, OPTIONS, TIME, WORKSPACE
from minimize.cli.verb import examples, verb
from minimize.governance.incident_steps import IncidentKind
from minimize.governance.incidents import (
    NewIncident,
    OpenedIncident,
    approve_exemption,
    close_incident,
    declare_incident,
    draft_notices,
    lint_contacts,
    list_incidents,
    open_incident,
    reclassify_incident,
    record_measure,
    record_notices_sent,
    request_exemption,
    scope_incident,
    send_notices,
    show_incident,
    unmatched_items,
)
from minimize.governance.incidents.incident import (
    DECLARED_CLASSES,
    ChangedIncident,
    DeclaredClass,
    IncidentClass,
    IncidentDetails,
    StatementKind,
)
from minimize.results import LintResult, Printable, ResultAt
from minimize.workspace import Workspace

_INCIDENT: Final = click.Argument(["name"], metavar="ID")
_VERBOSE: Final = click.Option(["--verbose"], is_flag=True, help="Also print all exposed columns of each tenant.")


@click.group(name="incident")
def incident_group() -> None:
    """Handle a breach, or record a support ticket that needs access to data."""


@examples(
    'minimize incident open INC-7 --title "A lost backup" --since 2026-11-24T08:00Z \\\n'
    "      --known-at 2026-11-25T09:00Z --exposed output:out/device_telemetry#records --exposed date:2026-11-24"
)
@verb(
    "open",
    _INCIDENT,
    click.Option(
        ["--kind"],
        type=click.Choice(get_args(IncidentKind)),
        default="privacy",
        show_default=True,
        help="`privacy`: data was exposed. `support`: a ticket needs access to data.",
    ),
    click.Option(["--title"], required=True, help="Title of the incident and of its notices."),
    click.Option(
        ["--since"],
        type=TIME,
        metavar="TIME",
        help="Start of the exposure (ISO 8601). Required for `privacy`. [`support`, default: when it became known]",
    ),
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
        metavar="WHAT",
        help="Exposed item: output:PATH[#NAME], run:ID, date:D, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID "
        "or actor:NAME[@FROM/TO]. Required for `privacy`. Repeatable.",
    ),
    OPTIONS["--tenant"](
        multiple=True,
        help="Tenant that the incident concerns. Required for `support`. Repeatable.",
    ),
    click.Option(
        ["--evidence", "reference"], metavar="REFERENCE", help="Reference of the ticket. Required for `support`."
    ),
    *WORKSPACE,
    group=incident_group,
)
def open_command(
    workspace: Workspace,
    now: datetime,
    name: str,
    since: datetime | None,
    until: datetime | None,
    known_at: datetime | None,
    tenant: tuple[str, ...],
    **case: Any,
) -> Printable:
    """Open the incident ID.

    For a privacy incident, name the exposed items and the time of the exposure. An item that matches nothing is printed, and
    recorded all the same. `minimize incident scope` searches in more detail. For a support incident, name the tenant and the
    ticket. A grant needs an open incident of its tenant.
    """
    if since is None and case["kind"] == "privacy":
        raise click.UsageError("a privacy incident needs its start. Pass --since TIME.")
    known = known_at or now
    new = NewIncident(id=name, period=(since or known, until), known_at=known, tenants=tenant, **case)
    incident = open_incident(new, workspace, now)
    return OpenedIncident(incident, now, tuple(map(str, unmatched_items(incident, workspace))))


@examples("minimize incident scope INC-7")
@verb("scope", _INCIDENT, "--also", _VERBOSE, *WORKSPACE, group=incident_group)
def scope_command(workspace: Workspace, now: datetime, name: str, named: tuple[str, ...], verbose: bool) -> Printable:
    """Determine the tenants and subjects that ID affects.

    Searches receipts, files, disclosures, the audit log and grants.
    """
    return IncidentDetails(scope_incident(name, workspace, now, named=named), now, verbose)


@examples("minimize incident declare INC-7", "minimize incident declare INC-7 --class security_incident")
@verb(
    "declare",
    _INCIDENT,
    click.Option(
        ["--class", "as_"],
        type=click.Choice(DECLARED_CLASSES),
        default="customer_reportable",
        show_default=True,
        help="Class of the incident. It decides whether notices are due.",
    ),
    *WORKSPACE,
    group=incident_group,
)
def declare_command(workspace: Workspace, now: datetime, name: str, as_: DeclaredClass) -> Printable:
    """Declare ID, with its class.

    Notices are due for a customer_reportable incident. The deadline is 72 hours, counted from this declaration. It is an
    internal deadline: the period of GDPR Art. 33 runs from when you became aware (`--known-at`).
    """
    return ChangedIncident(declare_incident(name, workspace, now, as_=as_), now)


@examples('minimize incident reclassify INC-7 --class customer_reportable --reason "The copy was read."')
@verb(
    "reclassify",
    _INCIDENT,
    click.Option(
        ["--class", "as_"], type=click.Choice(DECLARED_CLASSES), required=True, help="New class of the incident."
    ),
    click.Option(["--reason"], required=True, metavar="TEXT", help="Reason, without personal data."),
    *WORKSPACE,
    group=incident_group,
)
def reclassify_command(workspace: Workspace, now: datetime, **change: Any) -> Printable:
    """Change the class of the declared incident ID.

    If it becomes customer_reportable, the deadline of 72 hours counts from now. Only another person than the one who declared
    it can decide that no notices are due.
    """
    return ChangedIncident(reclassify_incident(workspace=workspace, now=now, **change), now)


@examples('minimize incident measure INC-7 "The key was changed."')
@verb(
    "measure",
    _INCIDENT,
    click.Argument(["text"]),
    click.Option(
        ["--type", "what"],
        type=click.Choice(get_args(StatementKind)),
        default="measure",
        show_default=True,
        help="Part of the notice.",
    ),
    *WORKSPACE,
    group=incident_group,
)
def measure_command(workspace: Workspace, now: datetime, **statement: Any) -> Printable:
    """Record a measure, an action or a consequence of ID.

    A measure was taken, an action is for tenants, a consequence is possible. Notices contain all of them.
    """
    return ChangedIncident(record_measure(workspace=workspace, now=now, **statement), now)


@examples(
    "minimize incident notice INC-7 --to notices --contact privacy@example.com --contacts contacts.csv",
)
@verb(
    "notice",
    _INCIDENT,
    OPTIONS["--to"](
        type=FOLDER, metavar="DIR", help="Write the notices to DIR, the outbox, in a new folder for each version."
    ),
    click.Option(["--contact"], metavar="WHOM", help="Contact for questions of tenants: a name and an address."),
    click.Option(
        ["--contacts"],
        type=FILE,
        metavar="FILE",
        help="Contacts of tenants, CSV or YAML. [default: from minimize.yaml]",
    ),
    OPTIONS["--tenant"](param_decls=["--tenant", "only"], multiple=True, help="Only this tenant. Repeatable."),
    click.Option(["--sent"], is_flag=True),
    *WORKSPACE,
    group=incident_group,
)
def notice_command(
    workspace: Workspace, now: datetime, name: str, only: tuple[str, ...], sent: bool, **draft: Any
) -> Printable:
    """Draft the notices of ID, one per tenant, with a message for its contacts.

    Each draft is a new version. `minimize incident send` delivers them. If you send a notice yourself, record it with
    `minimize incident mark-sent`.
    """
    if sent:
        return ResultAt(record_notices_sent(name, only, workspace, now), now)
    return draft_notices(name, workspace=workspace, now=now, only=only, **draft)


@examples("minimize incident mark-sent INC-7 --tenant contoso")
@verb(
    "mark-sent",
    _INCIDENT,
    OPTIONS["--tenant"](
        param_decls=["--tenant", "only"], multiple=True, help="Tenant to which you sent its notice. Repeatable."
    ),
    *WORKSPACE,
    group=incident_group,
)
def mark_sent_command(workspace: Workspace, now: datetime, name: str, only: tuple[str, ...]) -> Printable:
    """Record that you sent the latest notices of ID yourself, to the tenants of --tenant."""
    return ResultAt(record_notices_sent(name, only, workspace, now), now)


@examples("minimize incident send INC-7 --outbox notices --tenant contoso --yes")
@verb(
    "send",
    _INCIDENT,
    click.Option(
        ["--outbox"], type=FOLDER, required=True, metavar="DIR", help="The folder of `minimize incident notice --to`."
    ),
    OPTIONS["--tenant"](param_decls=["--tenant", "only"], multiple=True, help="Only this tenant. Repeatable."),
    "--yes",
    *WORKSPACE,
    group=incident_group,
)
def send_command(workspace: Workspace, now: datetime, name: str, **sending: Any) -> Printable:
    """Deliver the latest notices of ID that were not delivered yet.

    Runs the command of `notify:` in minimize.yaml once for each message, and records each result. Exits with 1 if a notice was
    not delivered.
    """
    return send_notices(name, workspace=workspace, now=now, **sending)


@examples("minimize incident lint contacts.csv")
@verb("lint", click.Argument(["file"], type=FILE), group=incident_group)
def lint_command(file: str) -> Printable:
    """Check a file of contacts.

    It is CSV or YAML with tenant_id, role (privacy, security, administrator), name and address.
    """
    return LintResult(lint_contacts(file))


@examples('minimize incident exempt INC-7 contoso --reason "Notified by telephone."')
@verb(
    "exempt",
    *(_INCIDENT, "TENANT"),
    click.Option(["--reason"], default="", help="Reason, without personal data."),
    click.Option(["--agree"], is_flag=True, help="Approve the request of another account."),
    *WORKSPACE,
    group=incident_group,
)
def exempt_command(workspace: Workspace, now: datetime, name: str, tenant: str, reason: str, agree: bool) -> Printable:
    """Request that TENANT is not notified of ID. With --agree, approve the request of another account."""
    if agree:
        return ResultAt(approve_exemption(name, tenant, workspace, now), now)
    return ResultAt(request_exemption(name, tenant, reason, workspace, now), now)


@examples('minimize incident close INC-7 --class false_positive --reason "The backup was found."')
@verb(
    "close",
    _INCIDENT,
    click.Option(
        ["--class", "as_"],
        type=click.Choice(get_args(IncidentClass)),
        help="Class of the incident. [default: of the declaration]",
    ),
    click.Option(["--reason"], required=True, help="Reason, without personal data."),
    *WORKSPACE,
    group=incident_group,
)
def close_command(workspace: Workspace, now: datetime, **closing: Any) -> Printable:
    """Close ID, and end the grants for it.

    A customer_reportable incident can be closed after all affected tenants are notified or exempted. A support incident has no
    class.
    """
    return ResultAt(close_incident(workspace=workspace, now=now, **closing), now)


@examples("minimize incident list")
@verb("list", *WORKSPACE, group=incident_group)
def list_command(workspace: Workspace, now: datetime) -> Printable:
    """List incidents and their deadlines. Exits with 1 if a notice is overdue.

    An account without all tenants sees declared incidents that affect a tenant in its scope.
    """
    return list_incidents(workspace, now)


@examples("minimize incident show INC-7")
@verb("show", _INCIDENT, _VERBOSE, *WORKSPACE, group=incident_group)
def show_command(workspace: Workspace, now: datetime, name: str, verbose: bool) -> Printable:
    """Show ID: exposed items, affected tenants, notices and measures.

    An account without all tenants sees the parts that concern tenants in its scope, and no exposed items.
    """
    return show_incident(name, workspace, now, verbose=verbose)
