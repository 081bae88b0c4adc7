"""Kinds of acts about data subjects: lifecycle events, requests step by step, and corrections of values."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal

from minimize.ledger.acts import ActKind, ActReader, AuditForm, pages
from minimize.ledger.audit_event import AuditActivity, utc_text
from minimize.times import time_text

LifecycleState = Literal["recorded", "withdrawn"]


@dataclass(frozen=True)
class LifecycleEvent:
    """One act about an event: tenant and subject, kind, time of the event, and whether it is still in force.

    subject  a token; None for a whole tenant
    forms    tokens of the forms of the subject in outputs, as JSON
    field    what the id identifies: an identity or a field; None if any field that identifies may hold it
    linked   tokens of the forms of the subject's linked ids in outputs, by identity or field, as JSON
    """

    tenant_id: str
    subject: str | None
    kind: str
    at: datetime
    state: LifecycleState
    forms: str
    recorded_at: datetime
    actor: str
    field: str | None = None
    linked: str = "{}"

    @property
    def path(self) -> str:
        """The tenant, the token of a subject, and the kind."""
        return "/".join([self.tenant_id, *([self.subject] if self.subject else []), self.kind])

    @cached_property
    def id(self) -> str:
        """The id of the event: a digest of its subject, kind and time."""
        words = [
            self.tenant_id,
            self.subject or "",
            self.kind,
            utc_text(self.at),
            *([self.field] if self.field else []),
        ]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


LinkedForms = Mapping[str, Mapping[str, tuple[str, ...]]]
"""The tokens of the forms of a subject's linked ids, by field or identity, and by chain name."""


def linked_forms(row: LifecycleEvent) -> LinkedForms:
    """The tokens of the forms of the linked ids of an event's subject."""
    return {
        str(name): {str(chain): tuple(map(str, tokens)) for chain, tokens in forms.items()}
        for name, forms in json.loads(row.linked).items()
    }


LIFECYCLE_EVENT: Final = ActKind(
    "event",
    LifecycleEvent,
    key="{0.id}",
    tenant="tenant_id",
    subject="subject",
    valid_from="at",
    actor="actor",
    audit=AuditForm(
        AuditActivity("events", component="retention", category="deletion"),
        type="event",
        id="events/{0.path}",
        name="{0.kind}",
        properties=lambda row: {"state": row.state, "at": time_text(row.at)},
        compared=("state",),
    ),
)


TENANTS_PER_QUERY: Final = 1_000
"""Tenants whose acts are found by one query."""


def counting_lifecycle_events(rows: Iterable[LifecycleEvent], now: datetime) -> list[LifecycleEvent]:
    """The acts that count: all but withdrawals that were recorded by a clock ahead, at a time that is still in the future."""
    return [row for row in rows if row.state != "withdrawn" or row.recorded_at <= now]


def last_lifecycle_events(rows: Iterable[LifecycleEvent], now: datetime) -> list[LifecycleEvent]:
    """The last act of each event that counts, in the order in which the events were first recorded."""
    return list({row.id: row for row in counting_lifecycle_events(rows, now)}.values())


def new_lifecycle_events(acts: ActReader, rows: Sequence[LifecycleEvent]) -> list[bool]:
    """Which rows change anything compared with the last act of their event."""
    key = rows[0].id if len(rows) == 1 else None
    names = sorted({row.tenant_id for row in rows})
    acts_by_page = (acts.find(LIFECYCLE_EVENT, key=key, tenants=page) for page in pages(names, TENANTS_PER_QUERY))
    last = {row.id: row for acts_of_page in acts_by_page for row in counting_lifecycle_events(acts_of_page, acts.now)}
    new = list[bool]()
    for row in rows:
        known, last[row.id] = last.get(row.id), row
        new.append(known is None or (known.state, known.forms, known.linked) != (row.state, row.forms, row.linked))
    return new


SUBJECT_ACTIVITY: Final = AuditActivity("subject", component="subjects", category="subjects")
RequestState = Literal["open", "failed", "done", "confirmed", "refused"]


@dataclass(frozen=True)
class SubjectRequestStep:
    """One step of a request. The last step of a request is in force.

    subject  a token; None for a whole tenant
    state    `open` and `failed` need more work; `done`: complete here; `confirmed` by a recipient that was notified; `refused`
    body     counts, ids of receipts and of disclosures
    """

    kind: str
    tenant_id: str
    subject: str | None
    asked_at: datetime
    due: datetime
    state: RequestState
    body: Mapping[str, Any]
    recorded_at: datetime
    actor: str

    @cached_property
    def id(self) -> str:
        """The id of the request: a digest of its kind, its subject and its time."""
        words = [self.kind, self.tenant_id, self.subject or "", utc_text(self.asked_at)]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


SUBJECT_REQUEST: Final = ActKind(
    "request",
    SubjectRequestStep,
    key="{0.id}",
    tenant="tenant_id",
    subject="subject",
    valid_from="asked_at",
    actor="actor",
    audit=AuditForm(
        SUBJECT_ACTIVITY,
        type="request",
        id="requests/{0.id:.12}",
        name="{0.kind}",
        properties=lambda step: {"state": step.state},
    ),
)


@dataclass(frozen=True, slots=True)
class RecordedCorrection:
    """A corrected value of one subject, for all records up to a time.

    subject  a token
    sealed   the encrypted value; only the keyring can decrypt it
    """

    tenant_id: str
    subject: str
    field: str
    sealed: str = dataclasses.field(repr=False)
    at: datetime
    recorded_at: datetime
    actor: str


CORRECTION: Final = ActKind(
    "correction",
    RecordedCorrection,
    key="{0.field}",
    tenant="tenant_id",
    subject="subject",
    valid_from="at",
    actor="actor",
    removable=True,
    audit=AuditForm(
        SUBJECT_ACTIVITY,
        type="correction",
        id="subjects/{0.tenant_id}/{0.subject}/{0.field}",
        name="{0.field}",
        properties=lambda _: {},
    ),
)


@dataclass(frozen=True, slots=True)
class ProposedCorrection:
    """The corrected values of a request that waits for the approval of a second person.

    request  the id of the request
    subject  a token
    sealed   the encrypted id and values; only the keyring can decrypt them
    """

    request: str
    tenant_id: str
    subject: str
    sealed: str = dataclasses.field(repr=False)
    recorded_at: datetime
    actor: str


PROPOSED_CORRECTION: Final = ActKind(
    "proposed_correction",
    ProposedCorrection,
    key="{0.request}",
    tenant="tenant_id",
    subject="subject",
    actor="actor",
    removable=True,
)
