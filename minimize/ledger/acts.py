"""Acts: signed entries of the ledger's one log of what was decided or happened, and their kinds.

An act is never changed. The present state is computed from the acts. Each act carries the digest of the act before it and is
signed. The chain covers the digest of a body, so that a body can be removed later and the chain can still be verified.

body_digest  sha256 of the body
digest       sha256 of a JSON array: format, id, the columns from `kind` to `actor`, `body_digest`, `previous`
signature    Ed25519 over the canonical JSON (RFC 8785) of {"act": 1, "digest": digest}

A kind of act is a dataclass and its `ActKind`, for example in `sharing.py`.
"""

from __future__ import annotations

import base64
import json
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from types import NoneType
from typing import Any, Final, Generic, Protocol, TypedDict, TypeVar, Unpack

from minimize.checkpoints import checkpoint
from minimize.errors import LedgerError, RefusedError
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer, is_signed, sign_as_text
from minimize.ledger.audit_event import (
    Actor,
    AuditActivity,
    AuditEvent,
    EventResult,
    LogHead,
    PlainValue,
    PropertyChange,
    Resource,
    current_actor,
    utc_text,
)
from minimize.receipts import sha256_text

ACT_FORMAT: Final = 1
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)


class UntrustedActError(RefusedError, LedgerError):
    """Acts that were changed, removed, moved or inserted in the database, or that no known key signed."""

    default_code = "E315"


@dataclass(frozen=True, slots=True)
class NewAct:
    """The content of an act."""

    kind: str
    key: str
    """Names the act's object among the acts of its kind, for example the id of a grant."""
    tenant_id: str | None
    subject: str | None
    """A keyed token; None if the act does not concern one subject."""
    valid_from: datetime | None
    """The time from which the act applies, if that is not the time of recording."""
    recorded_at: datetime
    actor: str
    """The account."""
    body: str = field(repr=False)
    """A JSON object as text."""


def act_digest(id_: int, *columns: str | None, previous: str | None) -> str:
    """The digest of an act: sha256 of the JSON array that the docstring of this module describes.

    Takes the columns from `kind` to `actor` and `body_digest`, times as text. Written out, because it is computed for each act
    at each opening of a ledger: `json.dumps` takes twice the time.
    """
    texts = ", ".join(["null" if each is None else encode_basestring_ascii(each) for each in (*columns, previous)])
    return "sha256:" + sha256(f"[{ACT_FORMAT}, {id_}, {texts}]".encode()).hexdigest()


@dataclass(frozen=True)
class Act:
    """An act in the log. Ids have no gaps. `body` is None if it was removed; a tombstone then names the act."""

    id: int
    kind: str
    key: str
    tenant_id: str | None
    subject: str | None
    valid_from: datetime | None
    recorded_at: datetime
    actor: str
    body: str | None = field(repr=False)
    body_digest: str
    previous: str | None
    signing_key: str = ""
    signature: str = ""

    @classmethod
    def after(cls, head: LogHead, new: NewAct) -> Act:
        """The act that follows the head of a log, not signed yet."""
        content = {name: getattr(new, name) for name in NewAct.__slots__}
        return cls(head.sequence + 1, body_digest=sha256_text(new.body.encode()), previous=head.digest, **content)

    def signed_by(self, signer: Signer) -> Act:
        """The act with a signature. Raises KeyringError without a signing key."""
        key, signature = sign_as_text(self.signed_bytes, signer)
        return replace(self, signing_key=key, signature=signature)

    @cached_property
    def digest(self) -> str:
        """The digest of the act, which the next act carries."""
        valid_from = None if self.valid_from is None else utc_text(self.valid_from)
        what = (self.kind, self.key, self.tenant_id, self.subject, valid_from, utc_text(self.recorded_at), self.actor)
        return act_digest(self.id, *what, self.body_digest, previous=self.previous)

    @property
    def head(self) -> LogHead:
        """The head of the log while this was its last act."""
        return LogHead(self.id, self.digest)

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that are signed, as canonical JSON."""
        return f'{{"act":{ACT_FORMAT},"digest":"{self.digest}"}}'.encode()

    def is_signed(self, verifier: Verifier) -> bool:
        """Whether a known key signed the act, and its body is the one that was signed or was removed."""
        return self.has_own_body and is_signed(self.signed_bytes, self.signature, self.signing_key, verifier)

    @property
    def has_own_body(self) -> bool:
        """Whether the body matches its digest. True for a removed body."""
        return self.body is None or sha256_text(self.body.encode()) == self.body_digest


@dataclass(frozen=True, slots=True)
class AuditForm(Generic[R]):
    """How the audit log shows the acts of a kind: by events of an activity, with a resource for each act."""

    activity: AuditActivity
    type: str
    """The type of the resource."""
    id: str
    """Template of the resource's id, over the attributes of a record: `tokens/{0.token}`."""
    name: str
    """Template of the resource's name, over the attributes of a record."""
    properties: Callable[[R], Mapping[str, PlainValue]]
    """The changed properties of an act, by name."""
    compared: tuple[str, ...] = ()
    """Templates of the names of properties that are compared with the act before."""
    correlation: str | None = None
    """Template of the id that all events about one object share, if they have any."""

    def resource(
        self, record: R, before: R | None = None, *, properties: Mapping[str, PlainValue] | None = None
    ) -> Resource:
        """The resource that an act changes. Takes the act before it about the same object, or other properties to show."""
        shown = self.properties(record) if properties is None else properties
        compared = {name.format(record) for name in self.compared}
        earlier = {} if before is None else self.properties(before)
        changes = (
            PropertyChange(name, earlier.get(name) if name in compared else None, new) for name, new in shown.items()
        )
        return Resource(self.name.format(record), self.type, self.id.format(record), tuple(changes))


def without_empty(**properties: PlainValue) -> dict[str, PlainValue]:
    """The properties that have a value."""
    return {name: value for name, value in properties.items() if value}


@dataclass(frozen=True)
class ActKind(Generic[R]):
    """A kind of act, and the dataclass of its records."""

    name: str
    record: type[R]
    """The dataclass. Fields that no column holds are stored in the body, as JSON."""
    key: str
    """Template of the key, over the attributes of a record: `{0.recipient}/{0.function}`."""
    tenant: str | None = None
    """The record's field for the tenant, if it has one."""
    subject: str | None = None
    """The record's field for the subject, if it has one."""
    valid_from: str | None = None
    """The record's field for the time from which the act applies, if it has one."""
    actor: str | None = None
    """The record's field for the actor, if it has one."""
    removable: bool = False
    """Whether the bodies are personal data, which are sealed by the caller and can be removed."""
    audit: AuditForm[R] | None = None
    """How the audit log shows the acts."""

    def decision(
        self, operation: str, *records: R, before: Sequence[R | None] = (), at: datetime | None = None
    ) -> Decision[list[R]]:
        """The decision to record these acts, each with an audit event.

        Takes the act before each of them, and the time if the records have no field for it.
        """
        pairs = zip(records, before or [None] * len(records), strict=True)
        events = [self.event(operation, record, before=[earlier], at=at) for record, earlier in pairs]
        return Decision([*records], self.acts(records, at), events)

    def joint_decision(
        self,
        operation: str,
        *records: R,
        before: Sequence[R | None] = (),
        at: datetime | None = None,
        result: EventResult = "success",
        properties: Mapping[str, PlainValue] | None = None,
    ) -> Decision[list[R]]:
        """The decision to record these acts with one audit event for all of them; without acts, no decision. See `event`."""
        if not records:
            return Decision([])
        event = self.event(operation, *records, before=before, at=at, result=result, properties=properties)
        return Decision([*records], self.acts(records, at), [event])

    def event(
        self,
        operation: str,
        *records: R,
        before: Sequence[R | None] = (),
        at: datetime | None = None,
        actor: Actor | None = None,
        result: EventResult = "success",
        properties: Mapping[str, PlainValue] | None = None,
        tenants: Collection[str | None] = (),
    ) -> AuditEvent:
        """The audit event of acts, by default of the current actor, with one resource for each object.

        Takes the act before each of them, the time if the records have no field for it, properties to show in place of those of
        the acts, and the tenants that the acts concern if the records have no field for them.
        """
        form, first = self.audit, records[0]
        assert form is not None
        pairs = zip(records, before or [None] * len(records), strict=True)
        resources = [form.resource(record, earlier, properties=properties) for record, earlier in pairs]
        concerned = {*tenants} if self.tenant is None else {getattr(record, self.tenant) for record in records}
        return form.activity.event(
            operation,
            actor or current_actor(),
            at or typing.cast("Any", first).recorded_at,
            *dict.fromkeys(resources),
            result=result,
            correlation_id=None if form.correlation is None else form.correlation.format(first),
            tenant=concerned.pop() if len(concerned) == 1 else None,
        )

    def refusal(self, operation: str, record: R, reasons: str) -> AuditEvent:
        """The audit event of an act that was refused and is not recorded, with the reasons in place of its properties."""
        return self.event(operation, record, result="refused", properties={"reasons": reasons})

    def acts(self, records: Iterable[R], recorded_at: datetime | None = None) -> list[NewAct]:
        """The acts of records, by the current actor. Takes the time if the records have no field for it."""
        account = current_actor().user or ""
        return [self.act(record, recorded_at=recorded_at, actor=account) for record in records]

    def act(self, record: R, *, recorded_at: datetime | None = None, actor: str = "") -> NewAct:
        """The act of a record. Takes the time and the account if the record has no field for them."""
        values = {name: getattr(record, name) for name in self._names}
        content = {column: values.pop(name) for column, name in self._columns.items()}
        columns: dict[str, Any] = {"recorded_at": recorded_at, "actor": actor, **self._absent, **content}
        return NewAct(kind=self.name, key=self.key.format(record), body=_to_json(values), **columns)

    def read(self, act: Act) -> R:
        """The record of an act whose body was not removed."""
        checkpoint("act.read")
        values: dict[str, Any] = json.loads(act.body or "")
        for name, convert in self._converters.items():
            values[name] = None if values[name] is None else convert(values[name])
        return self.record(**values, **{name: getattr(act, column) for column, name in self._columns.items()})

    @cached_property
    def _columns(self) -> dict[str, str]:
        """The fields with a column of their own, by column."""
        named = {
            "tenant_id": self.tenant,
            "subject": self.subject,
            "valid_from": self.valid_from,
            "actor": self.actor,
            "recorded_at": "recorded_at" if "recorded_at" in self._names else None,
        }
        return {column: name for column, name in named.items() if name is not None}

    @cached_property
    def _absent(self) -> dict[str, None]:
        return dict.fromkeys(("tenant_id", "subject", "valid_from"))

    @cached_property
    def _names(self) -> list[str]:
        return [each.name for each in fields(typing.cast("Any", self.record))]

    @cached_property
    def _converters(self) -> dict[str, Callable[[Any], Any]]:
        """The functions that read fields of the body whose JSON form is not the value itself."""
        hints = typing.get_type_hints(self.record)
        kinds = {name: _plain_type(hints[name]) for name in self._names if name not in self._columns.values()}
        return {name: _DECODERS[kind] for name, kind in kinds.items() if kind in _DECODERS}


_DECODERS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    datetime: datetime.fromisoformat,
    bytes: base64.b64decode,
    tuple: tuple,
}


def _plain_type(hint: Any) -> Any:
    """The type of a field, without None and without parameters."""
    parts = [each for each in typing.get_args(hint) if each is not NoneType]
    if NoneType in typing.get_args(hint) and len(parts) == 1:
        return _plain_type(parts[0])
    return typing.get_origin(hint) or hint


def _encode(value: Any) -> Any:
    """The JSON form of a value in a body."""
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form in an act")


_to_json: Final = json.JSONEncoder(default=_encode).encode


@dataclass(frozen=True, slots=True)
class BodyRemoval:
    """The bodies to remove: those of acts of a kind about subjects of a tenant, recorded up to a time."""

    kind: ActKind[Any]
    tenant: str
    subjects: frozenset[str]
    until: datetime
    event: AuditEvent
    """The audit event, which is written if there are such bodies."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[T_co]):
    """The result of a decision, the acts to record, and their audit events. Acts need at least one event."""

    result: T_co
    acts: Sequence[NewAct] = ()
    events: Sequence[AuditEvent] = ()
    removals: Sequence[BodyRemoval] = ()
    """Bodies of earlier acts to remove; each of these acts gets a tombstone."""

    def events_by_tenant(self) -> Iterator[AuditEvent]:
        """The events. If all acts concern the same tenant, events that name no tenant get this one."""
        tenants = {act.tenant_id for act in self.acts}
        shared = next(iter(tenants)) if len(tenants) == 1 else None
        return (event if event.tenant is not None else replace(event, tenant=shared) for event in self.events)


def pages(values: Sequence[R], size: int) -> Iterator[Sequence[R]]:
    """The values in parts of this size, because databases limit the number of parameters of a query."""
    return (values[start : start + size] for start in range(0, len(values), size))


class ActFilter(TypedDict, total=False):
    """A filter for acts. A condition that is None or absent matches every act."""

    key: str | None
    """The whole key."""
    key_start: str | None
    """The beginning of the key."""
    key_end: str | None
    """The end of the key."""
    tenant: str | None
    tenants: Collection[str] | None
    """Acts about any of these tenants match."""
    after: int
    """The id of an act; only later acts match."""
    until: int
    """The id of an act; only this and earlier acts match."""
    verifier: Verifier | None
    """Checks that a known key signed the acts, in place of the one with which the ledger was opened."""


class ActReader(Protocol):
    """Finds acts: an open ledger, or its log within one transaction."""

    def find(self, kind: ActKind[R], **conditions: Unpack[ActFilter]) -> list[R]:
        """The records of a kind that match a filter, in the order of recording. Leaves out acts whose body was removed.

        Raises UntrustedActError if the acts of the ledger, of any kind, are not those that the last entry of the audit log names
        (see `act_proof`), if no known key signed that entry, and for a body that was changed or cannot be read.
        """
        ...

    @property
    def now(self) -> datetime:
        """The current time. It shows which acts were recorded by a clock ahead."""
        ...


@dataclass(frozen=True, slots=True)
class ActTombstone:
    """The removal of the body of an act."""

    act: int
    recorded_at: datetime
    actor: str


TOMBSTONE: Final = ActKind("tombstone", ActTombstone, key="{0.act}", actor="actor")
