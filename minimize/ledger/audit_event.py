"""Audit log without its database: events, signed entries, filters, checkpoints, and the stable codes of findings.

digest     sha256 of the canonical JSON (RFC 8785) of {"acts", "event", "previous", "sequence"}
signature  Ed25519 over the canonical JSON of {"audit": 1, "head", "sequence"}: every entry was once the head of the log
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, Self
from uuid import uuid4

from minimize.errors import Finding, LedgerError, Severity
from minimize.identifiers import canonical_account
from minimize.keys import Verifier
from minimize.keys.cryptography import is_signed
from minimize.receipts import canonical_json, sha256_text
from minimize.results import JsonResult, json_member
from minimize.text import installed_version

PUBLISH: Final = "publish"
RECOVER: Final = "recover"
REBUILD: Final = "rebuild"
PUBLICATION_OPERATIONS: Final = (PUBLISH, RECOVER, REBUILD)
"""The operations that record a receipt."""
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
    """Permissions of the account when it acted; empty without an access file."""
    application: str | None = None
    """Product and version of the program."""
    user: str | None = None
    ip: str | None = None
    """Address of the client of a server; None for a command, which runs on the machine of its user."""
    id: str | None = None
    """The name of the token."""


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
    """One event. `activity` and `operation` name the act (`run`, `publish`), `component` the component that reports it.

    `tenant` is the tenant that the event concerns. It is None if the event concerns no tenant, or several.
    """

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
    tenant: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The event of its JSON object."""
        resources = tuple(
            Resource(
                **{
                    **each,
                    "changed_properties": tuple(PropertyChange(**change) for change in each["changed_properties"]),
                }
            )
            for each in document["resources"]
        )
        actor = Actor(**{**document["actor"], "permissions": tuple(document["actor"]["permissions"])})
        time = datetime.fromisoformat(document["time"])
        return cls(**{**document, "time": time, "actor": actor, "resources": resources})


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
        tenant: str | None = None,
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
            tenant=tenant,
        )


KEY_ACTIVITY: Final = AuditActivity("keys", component="keys", category="configuration")
SHARE_ACTIVITY: Final = AuditActivity("share", component="sharing", category="sharing")


def run_activity(kind: str) -> AuditActivity:
    """The activity of a run of this kind."""
    return AuditActivity(kind, component="job", category="run")


PermissionLookup = Callable[[str], tuple[str, ...]]
"""Returns the permissions of an account. Without an access file there are none."""
SERVER_PRODUCT: Final = "minimize-server"
"""Product that answers the clients of a server."""


def application_name(product: str = "minimize") -> str:
    """A product of this package, with its version."""
    return f"{product}/{installed_version('minimize')}"


def current_actor(environ: Mapping[str, str] | None = None) -> Actor:
    """The actor of this process: the account in `MINIMIZE_ACTOR`, else the user of the process, in canonical form.

    The user is that of the user id. `LOGNAME` and `USER` are not read, because anyone can set them. A ledger that records an
    event of this actor adds the permissions of the account.
    """
    named = canonical_account((os.environ if environ is None else environ).get(ACTOR_VARIABLE) or "")
    user = named or _process_user()
    return Actor("user", application=application_name(), user=user)


def _process_user() -> str:
    """The name of the user of the process, or the user id if the system has no name for it."""
    try:
        return canonical_account(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
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


ENTRY_FORMAT: Final = 1
CHECKPOINT_FORMAT: Final = 1
AUDIT_ACTIVITY: Final = "audit"
TRUNCATE_OPERATION: Final = "truncate"
MINIMUM_AGE: Final = timedelta(days=365)
"""Younger entries are not removed. The database enforces this by its own clock."""


@dataclass(frozen=True, slots=True)
class LogHead:
    """The end of a log: its number of entries, and the digest of the last one."""

    sequence: int
    digest: str | None = None


EMPTY_LOG: Final = LogHead(0)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the log."""

    sequence: int
    previous: str | None
    event: str
    """The canonical text."""
    acts: LogHead
    """The head of the log of acts when the entry was written."""
    digest: str
    key: str
    """The id of the key that signed (`signing/1`)."""
    signature: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The entry of a row. Raises LedgerError for a value of another type, which SQLite permits in any column."""
        texts = (row[name] for name in ("previous", "acts_digest", "digest", "key", "signature"))
        numbers = (row["sequence"], row["acts"])
        if any(isinstance(text, bytes) for text in texts) or not all(isinstance(number, int) for number in numbers):
            raise LedgerError("the ledger contains an audit entry that cannot be read", hint="Restore a backup.")
        entry = {name: row[name] for name in ("sequence", "previous", "event", "digest", "key", "signature")}
        return cls(acts=LogHead(row["acts"], row["acts_digest"]), **entry)

    @property
    def head(self) -> LogHead:
        """The head of the log while this was its last entry."""
        return LogHead(self.sequence, self.digest)

    def to_json(self) -> dict[str, Any]:
        """The entry as `audit log --json` and `audit export` print it."""
        return {
            "sequence": self.sequence,
            "previous": self.previous,
            "digest": self.digest,
            "event": json.loads(self.event),
            "acts": head_json(self.acts),
            "signature": {"algorithm": "ed25519", "key": self.key, "value": self.signature},
        }

    def json_line(self) -> str:
        """The entry as a line of an exported file."""
        return json.dumps(self.to_json(), ensure_ascii=False) + "\n"

    def lines(self) -> Iterator[str]:
        """The number, time, actor, operation, result and resources."""
        event: dict[str, Any] = json.loads(self.event)
        who = event["actor"]["user"] or event["actor"]["application"]
        did = f"{event['activity']} {event['operation']}: {event['result']}"
        what = ", ".join(f"{each['type']} {each['name']}" for each in event["resources"])
        yield f"{self.sequence:>6}  {event['time'][:19]}Z  {who}  {did}  {what}".rstrip()


def head_json(head: LogHead) -> dict[str, Any]:
    """A head as JSON."""
    return {"sequence": head.sequence, "head": head.digest}


def entry_digest(before: LogHead, event: Mapping[str, Any], acts: LogHead) -> str:
    """The digest of the entry that follows the head of a log."""
    entry = {"acts": head_json(acts), "event": event, "previous": before.digest, "sequence": before.sequence + 1}
    return sha256_text(canonical_json(entry))


def signed_head(head: LogHead) -> bytes:
    """The bytes of a head that are signed."""
    return canonical_json({"audit": ENTRY_FORMAT, "head": head.digest, "sequence": head.sequence})


def is_entry_signed(entry: LogEntry, verifier: Verifier) -> bool:
    """Whether a known key signed this entry as the head."""
    return is_signed(signed_head(entry.head), entry.signature, entry.key, verifier)


def entry_event(entry: LogEntry) -> dict[str, Any]:
    """The event of an entry as a JSON object."""
    event: dict[str, Any] = json.loads(entry.event)
    return event


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """A filter for entries. A field that is None matches every entry."""

    activity: str | None = None
    operation: str | None = None
    result: str | None = None
    actor: str | None = None
    resource: str | None = None
    correlation: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    category: str | None = None
    tenant: str | None = None
    tenants: Collection[str] | None = None
    """Only entries about one of these tenants match."""
    other_tenants: Collection[str] | None = None
    """Only entries about a tenant that is none of these match."""


ALL_ENTRIES: Final = EntryFilter()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of the removed entries."""

    head: LogHead
    entries: int
    """The number of removed entries."""
    before: datetime
    """The time before which all removed entries were recorded."""
    latest: datetime
    """The latest time among the removed entries."""
    recorded_at: datetime
    key: str = ""
    signature: str = ""

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that are signed."""
        times = {name: utc_text(getattr(self, name)) for name in ("before", "latest", "recorded_at")}
        head = {"sequence": self.head.sequence, "head": self.head.digest}
        return canonical_json({"checkpoint": CHECKPOINT_FORMAT, "entries": self.entries, **head, **times})

    @property
    def resource(self) -> Resource:
        """The checkpoint as a resource of an audit event."""
        changes = (PropertyChange("digest", None, self.head.digest), PropertyChange("entries", None, self.entries))
        return Resource(f"entry {self.head.sequence}", "checkpoint", self.place, changes)

    @property
    def place(self) -> str:
        """The id of the checkpoint as a resource."""
        return f"audit/checkpoint/{self.head.sequence}"


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
        "H012": "receipts name entries of an earlier audit log, and this log was adopted or records them again",
        "H013": "a checkpoint of the audit log is not signed by a known key",
        "H014": "a receipt or an external head names an entry that was removed after a year, up to a checkpoint",
        "H015": "a checkpoint of the audit log covers entries that were less than a year old",
        "H016": "the audit log does not record the checkpoint after which it continues",
        "H017": "the acts in the ledger differ from those that the audit log records",
        "H018": "an act does not follow the act before it",
        "H019": "an act is not signed by a known key",
        "H020": "the body of an act differs from its digest, was removed without a tombstone, or was put back",
        "H021": "the tables, indexes or triggers of the ledger are not those that minimize creates",
        "H022": "the database of the ledger is damaged",
        "H023": "the ledger does not have the folder of an output that its audit log names",
    }
)
_AUDIT_WARNINGS: Final = frozenset({"H008", "H009", "H011", "H012", "H014"})


def audit_finding(code: str, message: str, *, file: str | None = None, hint: str = "") -> Finding:
    """A finding with the severity of its code."""
    severity: Severity = "warning" if code in _AUDIT_WARNINGS else "error"
    return Finding(code, message, severity, hint, file)
