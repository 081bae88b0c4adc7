"""What the audit log is told of a request: who, what, why, how many rows, how it ended. Never a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from minimize.door.where import Condition
from minimize.governance.access import Decision
from minimize.governance.access.telling import event_of
from minimize.ledger import Actor, Change, Event, Resource
from minimize.ledger.event import Plain, Result

COMPONENT = "door"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and how they came: the account, the token's name, the address; None in the process itself."""

    user: str
    token: str | None = None
    address: str | None = None

    def actor(self, roles: Sequence[str]) -> Actor:
        """As the log names them."""
        application = "minimize" if self.address is None else COMPONENT
        return Actor("user", tuple(roles), application=application, user=self.user, ip=self.address, id=self.token)


def read_event(
    caller: Caller,
    decision: Decision,
    where: Sequence[Condition],
    now: datetime,
    *,
    rows: Plain = None,
    ended: str | None = None,
) -> Event:
    """One read: by which decision, by conditions on which columns, how many rows left, and what ended it before its time."""
    told = event_of(decision, actor=caller.actor(decision.roles))
    more = {"where": ", ".join(each.told for each in where) or None, "rows": rows, "ended": ended}
    result: Result = "failure" if ended else told.result
    return replace(_with(told, more), component=COMPONENT, time=now, result=result)


def reversal_event(
    caller: Caller, decision: Decision, now: datetime, asked: int, given: Sequence[str], *, ended: str | None = None
) -> Event:
    """Tokens turned back: how many were asked for, and each that was given, by a keyed digest that names its value."""
    told = event_of(decision, actor=caller.actor(decision.roles))
    counted = _with(told, {"tokens": asked, "values": len(given), "ended": ended})
    each = tuple(Resource(name, "value", f"values/{name}") for name in given)
    result: Result = "failure" if ended else told.result
    return replace(counted, component=COMPONENT, time=now, result=result, resources=(*counted.resources, *each))


def refused_event(caller: Caller, what: str, now: datetime, code: str, operation: str) -> Event:
    """A request that came to no decision: what is told of it is what it named, where that can be a name."""
    changes = (Change("ended", None, code),)
    return Event(
        component=COMPONENT,
        category="access",
        activity="decision",
        operation=operation,
        result="refused",
        actor=caller.actor(()),
        time=now,
        resources=(Resource(what, "dataset", f"dataset/{what}", changes),),
    )


def _with(event: Event, more: dict[str, Plain]) -> Event:
    """The event, its resource with some more said of it."""
    first = event.resources[0]
    changes = tuple(Change(name, None, value) for name, value in more.items() if value is not None)
    return replace(event, resources=(replace(first, changed_properties=(*first.changed_properties, *changes)),))
