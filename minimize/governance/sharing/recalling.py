"""Recalls: the list of what recipients have to delete, that they were told so, and that they confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from minimize.errors import ConfigurationError
from minimize.governance.sharing.causes import found
from minimize.governance.sharing.recall import Recall
from minimize.ledger import Actor, Change, Event, Resource, actor_of
from minimize.recipients import Recipients
from minimize.switching import House

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
    from minimize.ledger.recalls import State


def recalls_of(
    house: House, recipients: Recipients, now: datetime, *, recipient: str | None = None, all_: bool = False
) -> list[Recall]:
    """The recall list: what is due or requested, oldest first; with `all_` what was confirmed, too."""
    with house.opened() as ledger:
        return found(ledger, recipients, now, recipient, all_=all_)


def request_recalls(
    house: House, recipients: Recipients, now: datetime, *, recipient: str | None = None
) -> list[Recall]:
    """Takes down that a recipient, or each, is told to delete what is due; gives the list that it is told."""
    with house.opened() as ledger:
        due = [each for each in found(ledger, recipients, now, recipient) if each.state == "due"]
        for name in dict.fromkeys(each.recipient for each in due):
            _record(ledger, house, [each for each in due if each.recipient == name], "requested", now)
        return [replace(each, state="requested", requested_at=now) for each in due]


def confirm_recalls(
    house: House,
    recipients: Recipients,
    now: datetime,
    *,
    recipient: str,
    disclosure: str | None = None,
    tenant: str | None = None,
) -> list[Recall]:
    """Takes down that a recipient has confirmed what was requested of it: all, or of one act, or one tenant.

    Raises ConfigurationError where nothing of that was requested.
    """
    with house.opened() as ledger:
        asked = [
            each
            for each in found(ledger, recipients, now, recipient)
            if each.state == "requested" and disclosure in (None, each.disclosure) and tenant in (None, each.tenant)
        ]
        if not asked:
            raise ConfigurationError("nothing of that was requested", hint="minimize share recall list")
        _record(ledger, house, asked, "confirmed", now)
        return [replace(each, state="confirmed", overdue=False) for each in asked]


def event_of_recall(recipient: str, state: State, entries: int, actor: Actor, now: datetime) -> Event:
    """What the audit log is told of a step of a recall."""
    changes = (Change("state", None, state), Change("entries", None, entries))
    return Event(
        component="sharing",
        category="sharing",
        activity="share",
        operation="recall",
        actor=actor,
        time=now,
        resources=(Resource(recipient, "recipient", f"recipients/{recipient}", changes),),
    )


def _record(ledger: Ledger, house: House, due: Sequence[Recall], state: State, now: datetime) -> None:
    from minimize.ledger.recalls import Recalled, record_recalls

    actor = actor_of()
    who, name = actor.user or "", due[0].recipient
    steps = [Recalled(each.disclosure, each.tenant, name, each.cause, state, now, who) for each in due]
    record_recalls(ledger, steps, event_of_recall(name, state, len(steps), actor, now), house.keyring())
