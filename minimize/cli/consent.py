"""`minimize consent`: which tenant agreed to share what with whom."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import click

from minimize.cli import options, recalls
from minimize.cli.allowing import may
from minimize.cli.lines import on_one_line
from minimize.cli.quiet import quiet
from minimize.cli.when import TIME

if TYPE_CHECKING:
    from minimize.governance.consent import Shown, Why
    from minimize.governance.consent.acting import Verb
    from minimize.ledger.consents import Act
    from minimize.switching import House

log = logging.getLogger("minimize")
F = TypeVar("F", bound=Callable[..., Any])


def _meant(command: F) -> F:
    """TENANT RECIPIENT FUNCTION, and where things are."""
    for name in ("function", "recipient", "tenant"):
        command = click.argument(name, type=options.ID if name == "tenant" else None)(command)
    return options.recipients(options.house(options.as_json(command)))


RETRACT: Final = "what was received by it is still stored: minimize retract OUTPUT --yes takes it out"
_FROM = click.option(
    "--from", "valid_from", type=TIME, metavar="TIME", help="From this time on (ISO 8601); now where nothing is said."
)
_TEXT = click.option(
    "--text-version", type=int, metavar="N", help="The text that was read; refused unless it is the one that counts."
)


@click.group(name="consent")
def command() -> None:
    """What tenants agreed to, for each recipient and function: bitemporal, append-only, audited.

    A consent is to the text, purpose and fields that the recipient's file has when it is given; a change needs a new one.
    """


@command.command("request")
@_meant
@_FROM
def request(**words: Any) -> None:
    """Record that the consent of TENANT was asked for. What stands is not changed by it."""
    _record("request", **words)


@command.command("give")
@_meant
@_FROM
@_TEXT
@click.option("--until", type=TIME, metavar="TIME", help="It expires at this time (ISO 8601).")
def give(**words: Any) -> None:
    """Record that TENANT agreed to FUNCTION of RECIPIENT, as its file is now."""
    _record("give", **words)


@command.command("refuse")
@_meant
@_FROM
@recalls.to
def refuse(**words: Any) -> None:
    """Record that TENANT refused. Whatever consent stands is over, and RECIPIENT is told to delete what it got by it."""
    _end("refuse", **words)


@command.command("withdraw")
@_meant
@_FROM
@recalls.to
def withdraw(**words: Any) -> None:
    """Record that TENANT withdrew its consent: nothing is shared any more, and RECIPIENT is told to delete what it got.

    Gives the recall list: what was sent of TENANT, when, its digest, and whose it is by keyed token. What was received from
    RECIPIENT is taken out by `minimize retract`.
    """
    _end("withdraw", **words)


@command.command("expire")
@options.house
@quiet
@options.as_json
def expire(as_json: bool, **places: Any) -> None:
    """Mark what has run out as expired, and call back what was sent by it. For a nightly job; it held no longer anyway."""
    from minimize.governance.consent.showing import as_json as plain
    from minimize.governance.sharing import expire_consents

    may("consent/expire", places)
    ended = expire_consents(_house(**places), _now())
    body = {"expired": [plain(act) for act in ended.acts]}
    body |= {"recalls": recalls.plain(ended.recalls)} if ended.recalls else {}
    lines = [f"{len(ended.acts)} consent(s) marked as expired", *map(recalls.line, ended.recalls)]
    lines += [RETRACT] if ended.is_received else []
    options.show(body, as_json, "\n".join(lines))


@command.command("show")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@click.option("--recipient", metavar="NAME", help="To this recipient alone.")
@click.option("--function", metavar="NAME", help="For this function alone.")
@click.option("--at", type=TIME, metavar="TIME", help="As it was known and held at this time (ISO 8601), not now.")
@click.option("--history", is_flag=True, help="Every act, not only those that decide.")
@options.recipients
@options.house
@options.as_json
def show(
    tenant: str | None,
    recipient: str | None,
    function: str | None,
    at: str | None,
    history: bool,
    recipients: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Print for each tenant and function the act that decides, and whether there is a consent."""
    from minimize.governance.consent import shown
    from minimize.times import moment

    named = {"tenant": tenant, "recipient": recipient, "function": function}
    found = shown(_house(**places), moment(at) or _now(), **named, history=history, recipients=recipients)
    text = "\n".join(map(_line, found)) or "no consents"
    options.show({"consents": [one.as_json() for one in found]}, as_json, text)


@command.command("why")
@_meant
@click.option("--at", type=TIME, metavar="TIME", help="At this time of sharing (ISO 8601), not now.")
@click.option("--event", type=TIME, metavar="TIME", help="At the time of an event, too.")
def why(
    tenant: str,
    recipient: str,
    function: str,
    at: str | None,
    event: str | None,
    recipients: str | None,
    as_json: bool,
    **places: Any,
) -> None:
    """Say whether the rows of TENANT may go to RECIPIENT by FUNCTION, as far as consent goes, and which acts decide."""
    from minimize.governance.consent import why as decided
    from minimize.times import moment

    run, house = moment(at) or _now(), _house(**places)
    found = decided(tenant, recipient, function, house, run=run, event=moment(event), recipients=recipients)
    options.show(found.as_json(), as_json, _told(found))


def _record(
    verb: Verb,
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
    from minimize.governance.consent import Wish, act, overruled_by
    from minimize.governance.consent.showing import as_json as plain
    from minimize.times import moment

    wish = Wish(tenant, recipient, function, text_version, moment(valid_from), moment(until))
    may(f"consent/{verb}", places, tenant)
    house = _house(**places)
    done = act(verb, wish, house, _now(), recipients=recipients)
    over = overruled_by(done, house)
    body = plain(done) | ({"overruled_by": plain(over)} if over is not None else {})
    options.show(body, as_json, "\n".join([_said(done), *([_overruled(over)] if over is not None else [])]))


def _end(
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
    from minimize.governance.consent import Wish, ends_nothing
    from minimize.governance.consent.showing import as_json as plain
    from minimize.governance.sharing import withdraw as ended
    from minimize.times import moment

    wish = Wish(tenant, recipient, function, None, moment(valid_from))
    may(f"consent/{verb}", places, tenant)
    house = _house(**places)
    with recalls.handing(to, recipient) as hand:
        done = ended(wish, house, _now(), verb=verb, recipients=recipients)
        hand(done.recalls)
    if ends_nothing(done.acts[0], house):
        message = "no consent of this tenant to %s of %s is recorded: is the tenant spelled correctly?"
        log.warning(message, on_one_line(function), on_one_line(recipient), extra={"code": "W047"})
    body = {**plain(done.acts[0]), "recalls": recalls.plain(done.recalls), "ending": done.ending}
    body |= {"received": True} if done.is_received else {}
    ending = [f"and by hand: {done.ending}"] if done.ending else []
    received = [RETRACT] if done.is_received else []
    options.show(body, as_json, "\n".join([_said(done.acts[0]), *map(recalls.line, done.recalls), *received, *ending]))


def _house(**places: Any) -> House:
    from minimize.switching import House

    return House(**places)


def _now() -> datetime:
    return datetime.now(UTC)


def _said(act: Act) -> str:
    until = f" until {act.expires_at:%Y-%m-%dT%H:%M:%SZ}" if act.expires_at else ""
    whose = f"{act.tenant_id}  {act.recipient}  {act.function}"
    return f"{whose}  {act.state}  by {act.by}, from {act.valid_from:%Y-%m-%dT%H:%M:%SZ}{until}"


def _overruled(over: Act) -> str:
    since = f"{over.valid_from:%Y-%m-%dT%H:%M:%SZ}"
    said = f"it has no effect from {since} on: the consent is {over.state} since then"
    return f"{said}; give it without --from, or from a later time"


def _line(one: Shown) -> str:
    from minimize.consent.states import REASONS

    if one.holds is None:
        return f"{_said(one.act)}, recorded {one.act.recorded_at:%Y-%m-%dT%H:%M:%SZ}"
    word = "valid" if one.why is None else f"no consent: {REASONS[one.why]}"
    return f"{_said(one.act)}: {word}"


def _told(found: Why) -> str:
    word = "consent" if found.valid else "no consent"
    head = f"{found.recipient} {found.function} for {found.tenant}: {word} ({found.told})"
    acts = [(when, "nothing" if act is None else _said(act)) for when, act in found.deciding]
    lines = [f"at {when:%Y-%m-%dT%H:%M:%SZ}: {act}" for when, act in acts]
    return "\n".join([head, *lines, *map(_recorded_later, found.recorded_later)])


def _recorded_later(act: Act) -> str:
    recorded, since = (f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in (act.recorded_at, act.valid_from))
    return f"recorded only at {recorded}, valid from {since}: {act.state} by {act.by}. Only runs from {recorded} on count it"
