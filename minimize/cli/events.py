"""`minimize events`: what happened to tenants and subjects, kept in the ledger for `minimize expire`."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options
from minimize.cli.allowing import may
from minimize.cli.lines import on_one_line
from minimize.cli.when import TIME

if TYPE_CHECKING:
    from minimize.governance.retention.recording import Kept
    from minimize.switching import House

log = logging.getLogger("minimize")


@click.group(name="events")
def command() -> None:
    """What happened to tenants and subjects after their records were collected: append-only, audited.

    `minimize expire` carries them out. A subject stands in the ledger as a keyed token, and is found in outputs by it.
    """


@command.command("add")
@click.argument("tenant", type=options.ID)
@click.argument("event", type=click.Choice(["tenant_closed", "subject_left", "became_personal", "reset", "erasure"]))
@click.option("--subject", type=options.ID, metavar="S", help="The subject that it is about, as it comes in.")
@click.option("--as", "field", metavar="FIELD", help="The field that holds such ids (else the policy's subject).")
@click.option("--at", type=TIME, metavar="TIME", help="When it happened (ISO 8601); now where nothing is said.")
@options.house
@options.as_json
def add(
    tenant: str, event: str, subject: str | None, field: str | None, at: str | None, as_json: bool, **places: Any
) -> None:
    """Record that EVENT happened to TENANT, or to one subject of it.

    A tenant that nobody knows is warned of, with names like it: the event stands all the same.

    Of a subject it is recorded, too, in which forms it stands in the outputs that the ledger has seen, and in the pipeline's: as
    keyed tokens of them. Recorded once more, an event learns of outputs that are new.
    """
    from minimize.governance.retention.recording import Wish, add_event
    from minimize.governance.retention.strangers import stranger
    from minimize.times import moment

    may("event/record", places, tenant)
    house = _house(**places)
    close = stranger(tenant, house)
    done = add_event(Wish(tenant, event, subject, moment(at), field), house, _now())
    _warn_of_stranger(tenant, close)
    for output in done.missed:
        log.warning(
            "%s cannot be looked at: whether the subject is found there is not known", output, extra={"code": "W022"}
        )
    options.show({**done.as_json(), "new": done.new, "missed": list(done.missed)}, as_json, _line(done))


def _warn_of_stranger(tenant: str, close: tuple[str, ...] | None) -> None:
    if close is not None:
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        message = "nobody knows the tenant %s: neither the ledger, nor settings, nor the newest records (%s%s)"
        log.warning(
            message, on_one_line(tenant), on_one_line(hint), "`events withdraw` takes it back", extra={"code": "W029"}
        )


@command.command("withdraw")
@click.argument("event")
@options.house
@options.as_json
def withdraw(event: str, as_json: bool, **places: Any) -> None:
    """Take EVENT back, named by the first letters of its id: it was not so, or is so no longer.

    What `expire` took because of it is gone; added again, it counts again. A device that is enrolled again needs none of this:
    an event reaches only what happened before it.
    """
    from minimize.governance.retention.recording import withdraw_event

    may("event/record", places)
    done = withdraw_event(event, _house(**places), _now())
    options.show({**done.as_json(), "new": done.new}, as_json, _line(done))


@command.command("list")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@click.option("--history", is_flag=True, help="Every row, not only events that count.")
@options.house
@options.as_json
def list_(tenant: str | None, history: bool, as_json: bool, **places: Any) -> None:
    """Print the events that count, and by when each has to be carried out."""
    from minimize.governance.retention.recording import listed

    found = listed(_house(**places), tenant=tenant, history=history)
    options.show({"events": [each.as_json() for each in found]}, as_json, "\n".join(map(_line, found)) or "no events")


def _line(kept: Kept) -> str:
    return on_one_line(str(kept))


def _house(**places: Any) -> House:
    from minimize.switching import House

    return House(**places)


def _now() -> datetime:
    return datetime.now(UTC)
