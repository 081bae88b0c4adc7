"""`minimize share recall`: what recipients have to delete, that they were told, and that they confirmed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from minimize.cli import options, recalls
from minimize.cli.allowing import may
from minimize.cli.quiet import quiet

if TYPE_CHECKING:
    from minimize.recipients import Recipients
    from minimize.switching import House


@click.group("recall")
def command() -> None:
    """What recipients have to delete: consent or contract has ended, or its time there is over.

    Withdrawing a consent asks for it at once. What ends by time alone, a contract or a retention, is in the list from that day
    on; `share recall request`, every night, writes down that the recipients are told.
    """


@command.command("list")
@click.option("--recipient", metavar="R", help="Of this recipient alone.")
@click.option("--all", "all_", is_flag=True, help="What was confirmed, too.")
@click.option("--late", is_flag=True, help="Only what somebody has to act on: not told yet, or not confirmed in time.")
@options.recipients
@options.house
@options.as_json
def list_(recipient: str | None, all_: bool, late: bool, recipients: str | None, as_json: bool, **places: Any) -> None:
    """List what has to go. Exit 1 where the recipient was not told yet, or has not confirmed in time."""
    from minimize.governance.sharing import recalls_of

    house = _house(places)
    found = recalls_of(house, _known(recipients, house), _now(), recipient=recipient, all_=all_)
    recalls.show([each for each in found if each.is_late or not late], as_json)
    raise click.exceptions.Exit(1 if any(each.is_late for each in found) else 0)


@command.command("request")
@click.argument("recipient", required=False)
@recalls.to
@options.recipients
@options.house
@quiet
@options.as_json
def request(recipient: str | None, to: str | None, recipients: str | None, as_json: bool, **places: Any) -> None:
    """Take down that RECIPIENT, or each, is told to delete what is due, and give the list that it is told.

    If nothing was ever shared, nothing is due, and no recipients are needed.
    """
    from minimize.governance.sharing import request_recalls

    house = _house(places)
    may("share/recall", places)
    needed = recipient is not None or recipients is not None or _has_shared(house)
    with recalls.handing(to, recipient) as hand:
        found = request_recalls(house, _known(recipients, house), _now(), recipient=recipient) if needed else []
        hand(found)
    recalls.show(found, as_json)


@command.command("confirm")
@click.argument("recipient")
@click.option("--disclosure", metavar="ID", help="Of this disclosure alone.")
@click.option("--tenant", type=options.ID, metavar="T", help="Of this tenant alone.")
@options.recipients
@options.house
@options.as_json
def confirm(
    recipient: str, disclosure: str | None, tenant: str | None, recipients: str | None, as_json: bool, **places: Any
) -> None:
    """Take down that RECIPIENT has deleted what it was told to."""
    from minimize.governance.sharing import confirm_recalls

    house = _house(places)
    may("share/recall", places, tenant)
    known = _known(recipients, house)
    found = confirm_recalls(house, known, _now(), recipient=recipient, disclosure=disclosure, tenant=tenant)
    recalls.show(found, as_json)


def _house(places: dict[str, Any]) -> House:
    from minimize.switching import House

    return House(**places)


def _has_shared(house: House) -> bool:
    from minimize.ledger.disclosures import disclosures

    with house.opened() as ledger:
        return bool(disclosures(ledger))


def _known(recipients: str | None, house: House) -> Recipients:
    from minimize.recipients import find_recipients, load_recipients

    return load_recipients(find_recipients(recipients, start=house.folder))


def _now() -> datetime:
    return datetime.now(UTC)
