"""Acts about consents, and the answers to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from minimize.consent import ConsentAnswer, Consents, current_terms
from minimize.ledger.kinds import ConsentAct
from minimize.recipients import Recipient
from tests.world import vendor

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
VENDOR = vendor()
TERMS = current_terms(VENDOR, "sync").text


def hours(number: float) -> datetime:
    """A time so many hours from now."""
    return NOW + timedelta(hours=number)


def act(
    state: str, at: float = 0, *, recorded: float | None = None, until: float | None = None, **changes: Any
) -> ConsentAct:
    """An act of the tenant `north`: valid from an hour, recorded then where nothing else is said."""
    body: dict[str, Any] = {
        "tenant_id": "north",
        "recipient": "vendor",
        "function": "sync",
        "terms": TERMS,
        "by": "ann",
    }
    when = hours(at if recorded is None else recorded)
    ends = None if until is None else hours(until)
    return ConsentAct(**{**body, **changes}, state=state, valid_from=hours(at), expires_at=ends, recorded_at=when)


def asked(
    *acts: ConsentAct, run: float = 0, event: float | None = None, recipient: Recipient = VENDOR, **more: Any
) -> ConsentAnswer:
    """The answer about north, south and nobody."""
    seen = Consents(acts).effective_at(hours(run), None if event is None else hours(event))
    return seen.evaluate(recipient, "sync", pa.array(["north", "south", None]), **more)


def north(*acts: ConsentAct, **more: Any) -> str | None:
    """Why north has no consent; None where it has one."""
    reason: str | None = asked(*acts, **more).reasons[0].as_py()
    return reason
