"""`minimize incident`: exposed items, affected subjects, notices and deadlines of breaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.options import TIME, authorize, command_workspace
from minimize.cli.printing import print_lint_findings
from minimize.errors import ConfigurationError
from minimize.governance.incidents import (
    NewIncident,
    approve_exemption,
    close_incident,
    declare_incident,
    draft_notices,
    find_contacts,
    lint_contacts,
    load_incident,
    load_incidents,
    open_incident,
    record_measure,
    record_notices_sent,
    request_exemption,
    scope_incident,
    unmatched_items,
)
from minimize.text import count_noun, single_line
from minimize.times import parse_time, utc_now

if TYPE_CHECKING:
    from minimize.governance.incidents import Incident
    from minimize.governance.incidents.incident import IncidentClass, StatementKind


def incident_line(found: Incident, now: datetime) -> str:
    """Returns an incident as one line."""
    due = (
        ""
        if found.notice_deadline is None
        else f", notice by {found.notice_deadline:%Y-%m-%dT%H:%MZ}, {count_noun(len(found.pending), 'tenant')} to notify"
    )
    late = " OVERDUE" if found.is_overdue(now) else ""
    return single_line(
        f"{found.id}  {found.title}: {found.state}, {count_noun(len(found.affected), 'tenant')}{due}{late}"
    )


def incident_lines(found: Incident, now: datetime) -> list[str]:
    """Returns the lines of an incident and its scope."""
    body = found.to_json(now)
    happened = body["happened"]
    lines = [
        incident_line(found, now),
        f"  happened {happened['from']} to {happened['to'] or '?'}, known {body['known_at']}",
        f"  exposed: {', '.join(body['exposed'])}",
    ]
    if found.scope is not None:
        lines += [line for each in found.scope["tenants"] for line in _tenant_lines(each, body)]
        lines += _unattributed_lines(found.scope)
    lines += [f"  {what}: {text}" for what in ("measure", "action", "consequence") for text in body[f"{what}s"]]
    if body["closed"] is not None:
        lines += [f"  closed as {body['closed']['class']} by {body['closed']['by']}: {body['closed']['reason']}"]
    return [single_line(line) for line in lines]


def _tenant_lines(each: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
    many, period, kinds = each["subjects"], each["period"], each["kinds"]
    subjects = (
        "groups" if many is None else f"{'' if many['exact'] else 'at most '}{count_noun(many['count'], 'subject')}"
    )
    there = ", ".join(sorted({one["recipient"] for one in each["recipients"]}))
    records = f"{'' if each.get('rows_exact', True) else 'at most '}{count_noun(each['rows'], 'record')}"
    return [
        f"  {each['tenant_id']}: {subjects}, {records}, {each['form']}, "
        f"{period['from'] or '?'} to {period['to'] or '?'}; {_notice_state(each, body)}",
        "    " + ", ".join(f"{kind['column']} ({kind['form']})" for kind in kinds),
        *([f"    copies at {there}"] if there else []),
    ]


def _notice_state(each: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    if each["tenant_id"] in body["exempt"]:
        return "exempt"
    if not each["notice"]:
        return "no notice drafted: " + ("encrypted" if each["form"] == "encrypted" else "figures about groups")
    given = [one for one in body["notices"][each["tenant_id"]] if one["given_at"]]
    return f"notified {given[-1]['given_at']}" if given else "to be notified"


def _unattributed_lines(scope: Mapping[str, Any]) -> list[str]:
    unknown = scope["records_of_unknown_tenants"]
    lines = [f"  {count_noun(unknown, 'record')} of unknown tenants"] if unknown else []
    lines += unmatched_lines(scope.get("nothing_matches", ()))
    lines += [
        f"  {one['operation']} by {one['actor']} at {one['at']}: tenants unknown"
        for one in scope.get("acts_of_unknown_tenants", ())
    ]
    lines += [f"  not searched: {one['file']}: {_unsearched_reason(one)}" for one in scope["not_searched"]]
    return lines + [
        f"  not reached: {one['output']} of {one['pipeline']}: {one['why']}" for one in scope["not_reached"]
    ]


def unmatched_lines(lost: Sequence[str]) -> list[str]:
    """Returns a line for each exposed item that matches nothing."""
    return [f"  NOTHING MATCHES {one}. Check the spelling and the time of the incident." for one in lost]


def _unsearched_reason(one: Mapping[str, Any]) -> str:
    """Returns why a file was not searched, and the source of its tenants instead."""
    why = "its keys were destroyed" if one["why"] == "E210" else one["why"]
    known = {"record": "the inventory recorded when it was removed", "folder": "the name of its folder"}
    by = known.get(str(one.get("tenants_by")))
    return f"{why}; {f'its tenants are known from {by}' if by else 'its tenants are unknown'}"


CLASSES = ("false_positive", "security_incident", "customer_reportable")
NOTICE_PARTS = ("measure", "action", "consequence")


@click.group(name="incident")
def incident_group() -> None:
    """Handle a breach: exposed items, affected subjects, notices and deadlines."""


@incident_group.command("open")
@click.argument("id_", metavar="ID")
@click.option("--title", required=True, help="Title of the incident and of its notices.")
@click.option("--since", required=True, type=TIME, metavar="TIME", help="Start of the exposure (ISO 8601).")
@click.option(
    "--until", type=TIME, metavar="TIME", help="End of the exposure (ISO 8601). [default: when it became known]"
)
@click.option(
    "--known-at", "known", type=TIME, metavar="TIME", help="When the incident became known (ISO 8601). [default: now]"
)
@click.option(
    "--exposed",
    multiple=True,
    required=True,
    metavar="WHAT",
    help="Exposed item: output:PATH[#NAME], run:ID, date:D, column:NAME, recipient:NAME, key:NAME/VERSION, grant:ID or "
    "actor:NAME[@FROM/TO]. Repeatable.",
)
@options.workspace
@options.as_json
def open_command(id_: str, title: str, exposed: tuple[str, ...], as_json: bool, **words: Any) -> None:
    """Open the incident ID.

    Name the exposed items and the time of the exposure. An item that matches nothing is printed, and recorded all the same.
    `minimize incident scope` searches in more detail.
    """
    authorize("incident/open", words)
    now = utc_now()
    since, until, known = (parse_time(words[name]) for name in ("since", "until", "known"))
    case = NewIncident(id_, title, (since or now, until), known or now, exposed)
    workspace = command_workspace(words)
    found = open_incident(case, workspace, now)
    lost = [str(each) for each in unmatched_items(found, workspace)]
    text = "\n".join([*incident_lines(found, now), *map(single_line, unmatched_lines(lost))])
    options.print_result({**found.to_json(now), "nothing_matches": lost}, as_json, text)


@incident_group.command("scope")
@click.argument("id_", metavar="ID")
@click.option("--in", "named", multiple=True, metavar="OUTPUT", help=options.SEARCH_HELP)
@options.workspace
@options.as_json
def scope_command(id_: str, named: tuple[str, ...], as_json: bool, **words: Any) -> None:
    """Determine the tenants and subjects that ID affects.

    Searches receipts, files, disclosures, the audit log and grants.
    """
    authorize("incident/assess", words)
    now = utc_now()
    _print_incident(scope_incident(id_, command_workspace(words), now, named_=named), as_json, now)


@incident_group.command("declare")
@click.argument("id_", metavar="ID")
@options.workspace
@options.as_json
def declare_command(id_: str, as_json: bool, **words: Any) -> None:
    """Declare ID a breach.

    The deadline is 72 hours, counted from `declare`. It is an internal deadline: the period of GDPR Art. 33 runs from when
    you became aware (`--known-at`).
    """
    authorize("incident/declare", words)
    now = utc_now()
    _print_incident(declare_incident(id_, command_workspace(words), now), as_json, now)


@incident_group.command("measure")
@click.argument("id_", metavar="ID")
@click.argument("text")
@click.option(
    "--as",
    "what",
    type=click.Choice(NOTICE_PARTS),
    default="measure",
    show_default=True,
    help="Part of the notice.",
)
@options.workspace
@options.as_json
def measure_command(id_: str, text: str, what: StatementKind, as_json: bool, **words: Any) -> None:
    """Record a measure, an action or a consequence of ID.

    A measure was taken, an action is for tenants, a consequence is possible. Notices contain all of them.
    """
    authorize("incident/assess", words)
    now = utc_now()
    _print_incident(record_measure(id_, what, text, command_workspace(words), now), as_json, now)


@incident_group.command("notice")
@click.argument("id_", metavar="ID")
@click.option(
    "--to",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Write the notices to DIR, in a new folder for each version.",
)
@click.option("--contact", metavar="WHOM", help="Contact for questions of tenants: a name and an address.")
@click.option(
    "--contacts",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Contacts of tenants, CSV or YAML. [default: from minimize.yaml]",
)
@click.option("--tenant", "only", type=options.ID, multiple=True, metavar="T", help="Only this tenant. Repeatable.")
@click.option("--sent", "was_sent", is_flag=True, help="Record that the last notices were sent.")
@options.workspace
@options.as_json
def notice_command(id_: str, only: tuple[str, ...], was_sent: bool, as_json: bool, **words: Any) -> None:
    """Draft the notices of ID, one per tenant.

    Each draft is a new version. Pass --sent after you have sent them.
    """
    authorize("incident/notice", words)
    now = utc_now()
    if was_sent:
        _print_incident(record_notices_sent(id_, command_workspace(words), now, only=only), as_json, now)
    else:
        _draft_notices(id_, only, as_json, words, now)


def _draft_notices(id_: str, only: tuple[str, ...], as_json: bool, words: Mapping[str, Any], now: datetime) -> None:
    if words["to"] is None or not words["contact"]:
        raise ConfigurationError(
            "a notice needs a folder and a contact for questions", hint="Pass --to DIR and --contact WHOM, or --sent."
        )
    workspace = command_workspace(words)
    known = find_contacts(words["contacts"], workspace.folder)
    done = draft_notices(id_, Path(words["to"]), words["contact"], known, workspace, now, only=only)
    lines = [f"version {done.version} for {count_noun(len(done.tenants), 'tenant')}: {done.folder}"]
    lines += [f"  no contact for {tenant}" for tenant in done.without_contact]
    options.print_result(done.to_json(), as_json, "\n".join(map(single_line, lines)))


@incident_group.command("lint")
@click.argument("file", type=click.Path(dir_okay=False))
@options.as_json
def lint_command(file: str, as_json: bool) -> int:
    """Check a file of contacts.

    It is CSV or YAML with tenant_id, role (privacy, security, administrator), name and address.
    """
    return print_lint_findings(lint_contacts(Path(file)), "error", as_json)


@incident_group.command("exempt")
@click.argument("id_", metavar="ID")
@click.argument("tenant", type=options.ID)
@click.option("--reason", default="", help="Reason, without personal data.")
@click.option("--agree", is_flag=True, help="Approve the request of another account.")
@options.workspace
@options.as_json
def exempt_command(id_: str, tenant: str, reason: str, agree: bool, as_json: bool, **words: Any) -> None:
    """Request that TENANT is not notified of ID. With --agree, approve the request of another account."""
    authorize("incident/notice", words, tenant)
    now, workspace = utc_now(), command_workspace(words)
    found = (
        approve_exemption(id_, tenant, workspace, now)
        if agree
        else request_exemption(id_, tenant, reason, workspace, now)
    )
    _print_incident(found, as_json, now)


@incident_group.command("close")
@click.argument("id_", metavar="ID")
@click.option("--as", "class_", type=click.Choice(CLASSES), required=True, help="Class of the incident.")
@click.option("--reason", required=True, help="Reason, without personal data.")
@options.workspace
@options.as_json
def close_command(id_: str, class_: IncidentClass, reason: str, as_json: bool, **words: Any) -> None:
    """Close ID. A declared incident can be closed after all affected tenants are notified or exempted."""
    authorize("incident/close", words)
    now = utc_now()
    _print_incident(close_incident(id_, class_, reason, command_workspace(words), now), as_json, now)


@incident_group.command("list")
@options.workspace
@options.as_json
def list_command(as_json: bool, **words: Any) -> int:
    """List incidents and their deadlines. Exits with 1 if a notice is overdue."""
    authorize("incident/read", words)
    now, found = utc_now(), list(load_incidents(command_workspace(words)).values())
    text = "\n".join(incident_line(each, now) for each in found) or "no incidents"
    options.print_result({"incidents": [each.to_json(now) for each in found]}, as_json, text)
    return int(any(each.is_overdue(now) for each in found))


@incident_group.command("show")
@click.argument("id_", metavar="ID")
@options.workspace
@options.as_json
def show_command(id_: str, as_json: bool, **words: Any) -> None:
    """Show ID: exposed items, affected tenants, notices and measures."""
    authorize("incident/read", words)
    _print_incident(load_incident(id_, command_workspace(words)), as_json, utc_now())


def _print_incident(found: Incident, as_json: bool, now: datetime) -> None:
    options.print_result(found.to_json(now), as_json, "\n".join(incident_lines(found, now)))
