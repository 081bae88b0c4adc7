"""Audit events: actor, activity, resources, time and result; and the stable codes of findings about the audit log."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal
from uuid import uuid4

from minimize.errors import Finding, Severity
from minimize.json_form import JsonResult, json_member

ACTOR_VARIABLE: Final = "MINIMIZE_ACTOR"
EventResult = Literal["success", "failure", "refused"]
PlainValue = str | int | bool | None


def utc_text(time: datetime) -> str:
    """An aware time in UTC to the microsecond: as text it sorts as time does.

    >>> utc_text(datetime(2026, 11, 25, tzinfo=UTC))
    '2026-11-25T00:00:00.000000Z'
    """
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor: a person, or a program without a user."""

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
    """A resource that an operation read or changed."""

    name: str
    type: str
    id: str
    changed_properties: tuple[PropertyChange, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEvent(JsonResult):
    """One event. `activity` and `operation` name the act (`run`, `publish`), `component` the component that reports it."""

    id: str = field(default_factory=lambda: str(uuid4()))
    component: str
    actor: Actor
    activity: str
    time: datetime = field(metadata=json_member(convert=utc_text))
    operation: str
    result: EventResult = "success"
    correlation_id: str | None = None
    resources: tuple[Resource, ...] = ()
    category: str


@dataclass(frozen=True, slots=True)
class AuditActivity:
    """An activity of the audit log, with the component that reports it and its category."""

    name: str
    component: str
    category: str

    def event(
        self,
        operation: str,
        actor: Actor,
        time: datetime,
        *resources: Resource,
        result: EventResult = "success",
        correlation_id: str | None = None,
    ) -> AuditEvent:
        """An event of this activity."""
        return AuditEvent(
            component=self.component,
            actor=actor,
            activity=self.name,
            time=time,
            operation=operation,
            result=result,
            correlation_id=correlation_id,
            resources=resources,
            category=self.category,
        )


KEY_ACTIVITY: Final = AuditActivity("keys", component="keys", category="configuration")
SHARE_ACTIVITY: Final = AuditActivity("share", component="sharing", category="sharing")


def run_activity(kind: str) -> AuditActivity:
    """The activity of a run of this kind."""
    return AuditActivity(kind, component="job", category="run")


def current_actor(environ: Mapping[str, str] | None = None, *, application: str = "minimize") -> Actor:
    """The actor of this process: `MINIMIZE_ACTOR`, else the user of the operating system."""
    named = (os.environ if environ is None else environ).get(ACTOR_VARIABLE)
    return Actor("user", application=application, user=named or _login_name())


def _login_name() -> str:
    """The name of the user, or the user id if the system has no name for it."""
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
    """The event of data that a third party sent for a function: counts and digests, without values."""
    changes = tuple(PropertyChange(name, None, new) for name, new in document.items())
    resource = Resource(recipient, "recipient", f"recipients/{recipient}/{function}", changes)
    activity = AuditActivity(RECEIVE_OPERATION, component="sharing", category="sharing")
    return activity.event(RECEIVE_OPERATION, actor, now, resource, result=result, correlation_id=run_id)


AUDIT_CODES: Final = MappingProxyType(
    {
        "H001": "an entry of the audit log does not match its digest",
        "H002": "the sequence numbers of the audit log have a gap or a duplicate",
        "H003": "an entry of the audit log does not carry the digest of the entry before it",
        "H004": "an entry of the audit log is not signed by a known key",
        "H005": "the search columns of an audit log entry differ from its event",
        "H006": "the audit log ends before an entry that a receipt or an external head names: cut short, or an older copy",
        "H007": "the audit log disagrees with a receipt or an external head",
        "H008": "a receipt is not recorded in the audit log: its run was interrupted, or the log was cut at this point",
        "H009": "no receipt or external head was compared: removal of the last entries cannot be excluded",
        "H010": "a receipt cannot be read or is not signed by a known key, and cannot confirm the audit log",
        "H011": "a receipt names no head of the audit log",
        "H012": "a receipt names an entry of an earlier audit log, and this log records the receipt again",
        "H013": "a checkpoint of the audit log is not signed by a known key",
        "H014": "a receipt or an external head names an entry that was removed after a year, up to a checkpoint",
        "H015": "a checkpoint of the audit log covers entries that were less than a year old",
        "H016": "the audit log does not record the checkpoint after which it continues",
        "H017": "the settings in the ledger differ from those that the audit log records",
    }
)
_AUDIT_WARNINGS: Final = frozenset({"H008", "H009", "H011", "H012", "H014"})


def audit_finding(code: str, message: str, *, file: str | None = None, hint: str = "") -> Finding:
    """A finding with the severity of its code."""
    severity: Severity = "warning" if code in _AUDIT_WARNINGS else "error"
    return Finding(code, message, severity, hint, file)
