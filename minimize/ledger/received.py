"""What the audit log is told of receiving from a third party: what was received, or that it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from minimize.ledger.event import Actor, Change, Event, Plain, Resource, Result

RECEIVE: Final = "receive"


def received_event(
    recipient: str,
    function: str,
    said: Mapping[str, Plain],
    *,
    actor: Actor,
    now: datetime,
    run_id: str | None = None,
    result: Result = "success",
) -> Event:
    """The event that says what a third party sent by a function: counts and digests, and no value."""
    changes = tuple(Change(name, None, new) for name, new in said.items())
    return Event(
        component="sharing",
        category="sharing",
        activity=RECEIVE,
        operation=RECEIVE,
        actor=actor,
        time=now,
        correlation_id=run_id,
        result=result,
        resources=(Resource(recipient, "recipient", f"recipients/{recipient}/{function}", changes),),
    )
