"""What the audit log tells of one act: who did what to which resources, when, and how it ended.

`old` and `new` are for configuration, never for personal data; subjects stand in an event by their keyed token alone.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import uuid4

VARIABLE: Final = "MINIMIZE_ACTOR"
Result = Literal["success", "failure", "refused"]
Plain = str | int | bool | None


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
class Change:
    """One property of configuration, before and after; never a value of a record."""

    name: str
    old: Plain = None
    new: Plain = None


@dataclass(frozen=True, slots=True)
class Resource:
    """What was acted on."""

    name: str
    type: str
    id: str
    changed_properties: tuple[Change, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One act. `activity` and `operation` say what (`run`, `publish`), `component` which part of the house tells it."""

    id: str = field(default_factory=lambda: str(uuid4()))
    component: str
    actor: Actor
    activity: str
    time: datetime
    operation: str
    result: Result = "success"
    correlation_id: str | None = None
    resources: tuple[Resource, ...] = ()
    category: str

    def as_json(self) -> dict[str, Any]:
        """The event as a JSON object."""
        return {part.name: _jsonable(getattr(self, part.name)) for part in fields(self)}


def actor_of(environ: Mapping[str, str] | None = None, *, application: str = "minimize") -> Actor:
    """Who acts here: `MINIMIZE_ACTOR`, else the user of the operating system."""
    named = (os.environ if environ is None else environ).get(VARIABLE)
    return Actor("user", application=application, user=named or _login())


def moment_text(time: datetime) -> str:
    """An aware time in UTC to the microsecond: as text it sorts as time does.

    >>> moment_text(datetime(2026, 11, 25, tzinfo=UTC))
    '2026-11-25T00:00:00.000000Z'
    """
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _jsonable(value: Any) -> Any:
    if is_dataclass(value):
        return {part.name: _jsonable(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, tuple):
        return [_jsonable(each) for each in value]
    return value


def _login() -> str:
    """The user's name; the number where the system has no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
