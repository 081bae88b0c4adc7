"""`minimize consent`: consents of tenants to a recipient's functions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import click

from minimize.cli import options
from minimize.cli.options import TIME, authorize, command_workspace, list_file_option, quiet
from minimize.cli.printing import recall_line, recalls_json, single_line
from minimize.consent.terms import NO_CONSENT_REASONS
from minimize.governance.consent import (
    NewConsent,
    consent_act_json,
    ends_nothing,
    explain_consent,
    find_overruling_act,
    list_consents,
    record_consent,
)
from minimize.governance.sharing import expire_and_recall, withdraw_and_recall
from minimize.governance.sharing.recalls import open_recall_list
from minimize.text import count_noun
from minimize.times import parse_time, seconds_text, utc_now

if TYPE_CHECKING:
    from minimize.governance.consent import ConsentExplanation, ConsentStatus, ConsentVerb
    from minimize.ledger.sharing import ConsentAct

log = logging.getLogger("minimize")
F = TypeVar("F", bound=Callable[..., Any])


def _consent_arguments(command: F) -> F:
    """Adds the arguments TENANT, RECIPIENT and FUNCTION, and the options of the workspace."""
    for name in ("function", "recipient", "tenant"):
        command = click.argument(name, type=options.ID if name == "tenant" else None)(command)
    return options.recipients(options.workspace(options.as_json(command)))


RETRACT_HINT: Final = (
    "records received under this consent are still stored. Run `minimize retract OUTPUT --yes` to remove them."
)
_FROM = click.option(
    "--since", "valid_from", type=TIME, metavar="TIME", help="Valid from this time on (ISO 8601). [default: now]"
)
_TEXT = click.option(
    "--text-version",
    type=int,
    metavar="N",
    help="Version of the consent text that the tenant read. It must be the current one.",
)


@click.group(name="consent")
def consent_group() -> None:
    """Record and show the consents of tenants, per recipient and function.

    Consents are bitemporal, append-only and audited. A consent covers the text, purpose and fields that the recipient's file
    has when it is given. After a change, a new consent is needed.
    """


@consent_group.command("request")
@_consent_arguments
@_FROM
def request_command(**words: Any) -> None:
    """Record that TENANT was asked for its consent. An existing consent does not change."""
    _record_consent("request", **words)


@consent_group.command("give")
@_consent_arguments
@_FROM
@_TEXT
@click.option("--until", type=TIME, metavar="TIME", help="End of the consent (ISO 8601).")
def give_command(**words: Any) -> None:
    """Record that TENANT consents to FUNCTION of RECIPIENT.

    The consent is to the current terms of the recipient's file.
    """
    _record_consent("give", **words)


@consent_group.command("refuse")
@_consent_arguments
@_FROM
@list_file_option
def refuse_command(**words: Any) -> None:
    """Record that TENANT refused. Ends an existing consent, and recalls the records that RECIPIENT received under it."""
    _end_consent("refuse", **words)


@consent_group.command("withdraw")
@_consent_arguments
@_FROM
@list_file_option
def withdraw_command(**words: Any) -> None:
    """Record that TENANT withdrew its consent. Sharing ends, and the records that RECIPIENT received are recalled.

    Prints the recall list: the records of TENANT that were sent, with time, digest and keyed subject tokens. Run `minimize
    retract` to remove the records that were received from RECIPIENT.
    """
    _end_consent("withdraw", **words)


@consent_group.command("expire")
@options.workspace
@quiet
@options.as_json
def expire_command(as_json: bool, **places: Any) -> None:
    """Mark consents that have ended as expired.

    Recalls the records that were sent under them. Run it every night.
    """
    authorize("consent/expire", places)
    ended = expire_and_recall(command_workspace(places), utc_now())
    body = {"expired": [consent_act_json(act) for act in ended.acts]}
    body |= {"recalls": recalls_json(ended.recalls)} if ended.recalls else {}
    lines = [f"{count_noun(len(ended.acts), 'consent')} marked as expired", *map(recall_line, ended.recalls)]
    lines += [RETRACT_HINT] if ended.is_received else []
    options.print_result(body, as_json, "\n".join(lines))


@consent_group.command("show")
@click.option("--tenant", type=options.ID, metavar="T", help=options.TENANT_FILTER_HELP)
@click.option("--recipient", metavar="NAME", help="Only this recipient.")
@click.option("--function", metavar="NAME", help="Only this function.")
@click.option("--at", type=TIME, metavar="TIME", help=options.AT_HELP)
@click.option("--history", is_flag=True, help="List all rows, not only those in force.")
@options.recipients
@options.workspace
@options.as_json
def show_command(
    tenant: str | None,
    recipient: str | None,
    function: str | None,
    at: str | None,
    history: bool,
    recipients: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Show the consents of tenants.

    Prints for each tenant and function whether there is a consent, and the record that decides.
    """
    named = {"tenant": tenant, "recipient": recipient, "function": function}
    found = list_consents(
        command_workspace(places), parse_time(at) or utc_now(), **named, history=history, recipients=recipients
    )
    text = "\n".join(map(_consent_line, found)) or "no consents"
    options.print_result({"consents": [one.to_json() for one in found]}, as_json, text)


@consent_group.command("why")
@_consent_arguments
@click.option("--at", type=TIME, metavar="TIME", help=options.AT_HELP)
@click.option("--event", type=TIME, metavar="TIME", help="Also evaluate at this event time (ISO 8601).")
def why_command(
    tenant: str,
    recipient: str,
    function: str,
    at: str | None,
    event: str | None,
    recipients: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Explain whether TENANT consents to FUNCTION of RECIPIENT.

    Prints the records that decide.
    """
    run, workspace = parse_time(at) or utc_now(), command_workspace(places)
    found = explain_consent(
        tenant, recipient, function, workspace, run=run, event=parse_time(event), recipients=recipients
    )
    options.print_result(found.to_json(), as_json, _explanation_text(found))


def _record_consent(
    verb: ConsentVerb,
    *,
    tenant: str,
    recipient: str,
    function: str,
    recipients: str | None,
    as_json: bool,
    valid_from: str | None,
    until: str | None = None,
    text_version: int | None = None,
    **places: Any,
) -> None:
    consent = NewConsent(tenant, recipient, function, text_version, parse_time(valid_from), parse_time(until))
    authorize(f"consent/{verb}", places, tenant)
    workspace = command_workspace(places)
    done = record_consent(verb, consent, workspace, utc_now(), recipients=recipients)
    over = find_overruling_act(done, workspace)
    body = consent_act_json(done) | ({"overruled_by": consent_act_json(over)} if over is not None else {})
    options.print_result(
        body, as_json, "\n".join([_act_text(done), *([_overruled_text(over)] if over is not None else [])])
    )


def _end_consent(
    verb: Literal["withdraw", "refuse"],
    *,
    tenant: str,
    recipient: str,
    function: str,
    recipients: str | None,
    as_json: bool,
    valid_from: str | None,
    to: str | None,
    **places: Any,
) -> None:
    consent = NewConsent(tenant, recipient, function, None, parse_time(valid_from))
    authorize(f"consent/{verb}", places, tenant)
    workspace = command_workspace(places)
    with open_recall_list(to, recipient) as save_list:
        done = withdraw_and_recall(consent, workspace, utc_now(), verb=verb, recipients=recipients)
        save_list(done.recalls)
    if ends_nothing(done.acts[0], workspace):
        message = "no consent of this tenant to %s of %s is recorded. Check the spelling of the tenant."
        log.warning(message, single_line(function), single_line(recipient), extra={"code": "W047"})
    body = {**consent_act_json(done.acts[0]), "recalls": recalls_json(done.recalls), "ending": done.ending}
    body |= {"received": True} if done.is_received else {}
    ending = [f"to do by hand: {done.ending}"] if done.ending else []
    received = [RETRACT_HINT] if done.is_received else []
    options.print_result(
        body,
        as_json,
        "\n".join([_act_text(done.acts[0]), *map(recall_line, done.recalls), *received, *ending]),
    )


def _act_text(act: ConsentAct) -> str:
    until = f" until {seconds_text(act.expires_at)}" if act.expires_at else ""
    whose = f"{act.tenant_id}  {act.recipient}  {act.function}"
    return f"{whose}  {act.state}  by {act.by}, from {seconds_text(act.valid_from)}{until}"


def _overruled_text(over: ConsentAct) -> str:
    since = seconds_text(over.valid_from)
    effect = f"no effect from {since} on, because the consent is {over.state} since then"
    return f"{effect}. Give the consent without --since, or with a later time."


def _consent_line(one: ConsentStatus) -> str:
    if one.holds is None:
        return f"{_act_text(one.act)}, recorded {seconds_text(one.act.recorded_at)}"
    word = "valid" if one.reason is None else f"no consent: {NO_CONSENT_REASONS[one.reason]}"
    return f"{_act_text(one.act)}: {word}"


def _explanation_text(found: ConsentExplanation) -> str:
    word = "consent" if found.valid else "no consent"
    head = f"{found.recipient} {found.function} for {found.tenant}: {word} ({found.reason_text})"
    acts = [(when, "nothing" if act is None else _act_text(act)) for when, act in found.deciding]
    lines = [f"at {seconds_text(when)}: {act}" for when, act in acts]
    return "\n".join([head, *lines, *map(_recorded_later_text, found.recorded_later)])


def _recorded_later_text(act: ConsentAct) -> str:
    recorded, since = (seconds_text(time) for time in (act.recorded_at, act.valid_from))
    return f"{act.state} by {act.by}, valid from {since}, but recorded only at {recorded}. Runs before {recorded} ignore it"
