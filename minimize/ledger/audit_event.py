"""Audit events: who did what to which resources, when, and with which result; the event of receiving from a third party.

`old` and `new` are for configuration, never for personal data. Subjects appear in an event only as keyed tokens.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import uuid4

ACTOR_VARIABLE: Final = "MINIMIZE_ACTOR"
EventResult = Literal["success", "failure", "refused"]
PlainValue = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, or a program on its own."""

    type: Literal["user", "application"]
    permissions: tuple[str, ...] = ()
    application: str | None = None
    user: str | None = None
    ip: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One property of configuration, before and after; never a value of a record."""

    name: str
    old: PlainValue = None
    new: PlainValue = None


@dataclass(frozen=True, slots=True)
class Resource:
    """What was acted on."""

    name: str
    type: str
    id: str
    changed_properties: tuple[PropertyChange, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEvent:
    """One act. `activity` and `operation` say what (`run`, `publish`), `component` which part of the house tells it."""

    id: str = field(default_factory=lambda: str(uuid4()))
    component: str
    actor: Actor
    activity: str
    time: datetime
    operation: str
    result: EventResult = "success"
    correlation_id: str | None = None
    resources: tuple[Resource, ...] = ()
    category: str

    def as_json(self) -> dict[str, Any]:
        """The event as a JSON object."""
        return {part.name: _to_json(getattr(self, part.name)) for part in fields(self)}


def current_actor(environ: Mapping[str, str] | None = None, *, application: str = "minimize") -> Actor:
    """Who acts here: `MINIMIZE_ACTOR`, else the user of the operating system."""
    named = (os.environ if environ is None else environ).get(ACTOR_VARIABLE)
    return Actor("user", application=application, user=named or _login_name())


def utc_text(time: datetime) -> str:
    """An aware time in UTC to the microsecond: as text it sorts as time does.

    >>> utc_text(datetime(2026, 11, 25, tzinfo=UTC))
    '2026-11-25T00:00:00.000000Z'
    """
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _to_json(value: Any) -> Any:
    if is_dataclass(value):
        return {part.name: _to_json(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, tuple):
        return [_to_json(each) for each in value]
    return value


def _login_name() -> str:
    """The user's name; the number where the system has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


RECEIVE_OPERATION: Final = "receive"


def received_event(
    recipient: str,
    function: str,
    document: Mapping[str, PlainValue],
    *,
    actor: Actor,
    now: datetime,
    run_id: str | None = None,
    result: EventResult = "success",
) -> AuditEvent:
    """The event that says what a third party sent by a function: counts and digests, and no value."""
    changes = tuple(PropertyChange(name, None, new) for name, new in document.items())
    return AuditEvent(
        component="sharing",
        category="sharing",
        activity=RECEIVE_OPERATION,
        operation=RECEIVE_OPERATION,
        actor=actor,
        time=now,
        correlation_id=run_id,
        result=result,
        resources=(Resource(recipient, "recipient", f"recipients/{recipient}/{function}", changes),),
    )
