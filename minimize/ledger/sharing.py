"""Sharing in the ledger: disclosures, recalls of what was disclosed, and consents of tenants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, Select, insert, select

from minimize.keys import Verifier
from minimize.keys.cryptography import Signer, is_signed, sign_as_text
from minimize.ledger.audit_event import AuditEvent, utc_text
from minimize.ledger.audit_log import LogHead, append_event
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables import CONSENTS, DISCLOSED, DISCLOSURES, RECALLS
from minimize.receipts import canonical_json

TOKEN_BYTES = 16
"""Bytes of the token of a subject."""
_DISCLOSURE_COLUMNS = tuple(
    column.name for column in DISCLOSURES.c if column.name not in ("id", "body", "key", "signature")
)


@dataclass(frozen=True, slots=True)
class TenantShare:
    """The share of one tenant in a disclosure: rows, the consent that covers them, and their subjects as keyed tokens.

    tokens       16 bytes each, ascending
    key_version  the version of the key of the tokens; None if there are no tokens
    """

    tenant_id: str
    rows: int
    consent: str
    key_version: int | None = None
    tokens: bytes = field(default=b"", repr=False)

    @property
    def subjects(self) -> int:
        """The number of subjects."""
        return len(self.tokens) // TOKEN_BYTES

    def token_texts(self) -> list[str]:
        """The tokens as text."""
        pieces = (self.tokens[at : at + TOKEN_BYTES] for at in range(0, len(self.tokens), TOKEN_BYTES))
        return [disclosure_token_text(self.key_version or 0, piece) for piece in pieces]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One recorded disclosure: its body, its signature, and the time by which the recipient must delete the data."""

    disclosure: str
    recorded_at: datetime
    recipient: str
    function: str
    rows: int
    digest: str
    retention_due: datetime | None
    body: Mapping[str, Any]
    key: str = ""
    signature: str = ""

    def is_signed(self, verifier: Verifier) -> bool:
        """Whether a known key signed the stored body."""
        return is_signed(canonical_json(dict(self.body)), self.signature, self.key, verifier)

    def to_json(self) -> dict[str, Any]:
        """The disclosure as the JSON object that `share log --json` prints."""
        return {**self.body, "signature": {"algorithm": "ed25519", "key": self.key, "value": self.signature}}


def disclosure_token_text(version: int, token: bytes) -> str:
    """The token of a subject as text, with the version of its key.

    >>> disclosure_token_text(1, bytes(16))
    'disclosed/1:00000000000000000000000000000000'
    """
    return f"disclosed/{version}:{token.hex()}"


def record_disclosure(
    ledger: Ledger,
    act: Disclosure,
    tenants: Sequence[TenantShare],
    event: AuditEvent,
    signer: Signer,
    still: Callable[[Connection], None],
) -> LogHead:
    """Records a disclosure and its audit event in one transaction. Returns the head of the log.

    `still` checks in the same transaction, under the lock, whether sharing is still permitted, and raises if not. So the end of
    a consent comes either before the disclosure and stops it, or after it and finds it recorded.
    """
    body = canonical_json(dict(act.body))
    key, signature = sign_as_text(body, signer)
    row = {name: getattr(act, name) for name in _DISCLOSURE_COLUMNS}
    row |= {"body": body.decode(), "key": key, "signature": signature}

    def work(connection: Connection) -> LogHead:
        lock_ledger(connection)
        still(connection)
        connection.execute(insert(DISCLOSURES).values(**row))
        if tenants:
            connection.execute(insert(DISCLOSED), [_share_values(act, share) for share in tenants])
        return append_event(connection, event, signer)

    return ledger.write(work)


def read_disclosures(
    ledger: Ledger, *, recipient: str | None = None, disclosure: str | None = None
) -> list[Disclosure]:
    """The disclosures, oldest first; optionally those to one recipient, or the one with this id."""
    query = select(DISCLOSURES).order_by(DISCLOSURES.c.id)
    query = query if recipient is None else query.where(DISCLOSURES.c.recipient == recipient)
    query = query if disclosure is None else query.where(DISCLOSURES.c.disclosure == disclosure)
    return ledger.read(lambda connection: [_disclosure_from_row(row) for row in connection.execute(query)])


def read_tenant_shares(ledger: Ledger, disclosure: str, tenant: str | None = None) -> list[TenantShare]:
    """The shares of all tenants in a disclosure, or of one tenant."""
    query = select(DISCLOSED).where(DISCLOSED.c.disclosure == disclosure).order_by(DISCLOSED.c.tenant_id)
    query = query if tenant is None else query.where(DISCLOSED.c.tenant_id == tenant)
    return ledger.read(lambda connection: [_share_from_row(row) for row in connection.execute(query)])


def _share_values(act: Disclosure, share: TenantShare) -> dict[str, Any]:
    return {"disclosure": act.disclosure, **{name: getattr(share, name) for name in TenantShare.__slots__}}


def _disclosure_from_row(row: Row[Any]) -> Disclosure:
    named = {name: value for name, value in row._mapping.items() if name != "id"}
    return Disclosure(**{**named, "body": json.loads(row.body)})


def _share_from_row(row: Row[Any]) -> TenantShare:
    return TenantShare(row.tenant_id, row.rows, row.consent, row.key_version, bytes(row.tokens))


RecallState = Literal["requested", "confirmed"]


@dataclass(frozen=True, slots=True)
class RecallStep:
    """One step of a recall: the disclosure and tenant, the reason for the deletion, and its state."""

    disclosure: str
    tenant_id: str
    recipient: str
    cause: str
    state: RecallState
    recorded_at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class RecallBatch:
    """Steps of recalls at one recipient, and their audit event."""

    steps: Sequence[RecallStep]
    event: AuditEvent


def record_recalls(ledger: Ledger, steps: Sequence[RecallStep], event: AuditEvent, signer: Signer) -> int:
    """Records steps and their audit event in one transaction. Existing steps are skipped. Returns the number of new ones."""

    def work(connection: Connection) -> int:
        lock_ledger(connection)
        return insert_recalls(connection, steps, event, signer)

    return ledger.write(work)


def insert_recalls(connection: Connection, steps: Sequence[RecallStep], event: AuditEvent, signer: Signer) -> int:
    """The same within a transaction that holds the lock."""
    known = {(step.disclosure, step.tenant_id, step.state) for step in _select_steps(connection, select(RECALLS))}
    new = [step for step in steps if (step.disclosure, step.tenant_id, step.state) not in known]
    if new:
        connection.execute(insert(RECALLS), [_recall_values(step) for step in new])
        append_event(connection, event, signer)
    return len(new)


def read_recalls(ledger: Ledger, recipient: str | None = None) -> list[RecallStep]:
    """All steps, in the order of recording; optionally those of one recipient."""
    query = select(RECALLS).order_by(RECALLS.c.id)
    query = query if recipient is None else query.where(RECALLS.c.recipient == recipient)
    return ledger.read(lambda connection: _select_steps(connection, query))


def _select_steps(connection: Connection, query: Select[Any]) -> list[RecallStep]:
    return [
        RecallStep(**{name: value for name, value in row._mapping.items() if name != "id"})
        for row in connection.execute(query)
    ]


def _recall_values(step: RecallStep) -> dict[str, Any]:
    return {name: getattr(step, name) for name in RecallStep.__slots__}


_MICROSECOND: Final = timedelta(microseconds=1)
_CONSENT_COLUMNS: Final = tuple(column for column in CONSENTS.c if column.name not in ("id", "consent"))


@dataclass(frozen=True)
class ConsentAct:
    """One act about a consent: tenant, recipient and function, new state, account, validity and time of recording.

    state  requested, given, renewed, refused, withdrawn or expired
    terms  what was asked or agreed to, as JSON
    """

    tenant_id: str
    recipient: str
    function: str
    state: str
    terms: str
    by: str
    valid_from: datetime
    expires_at: datetime | None
    recorded_at: datetime

    @cached_property
    def id(self) -> str:
        """The id of the act: a digest of its content."""
        ends = "" if self.expires_at is None else utc_text(self.expires_at)
        times = (utc_text(self.valid_from), ends, utc_text(self.recorded_at))
        words = [self.tenant_id, self.recipient, self.function, self.state, self.terms, self.by, *times]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


RecallPlanner = Callable[[Ledger, Sequence[ConsentAct]], Iterable[RecallBatch]]
"""Takes acts and returns the recalls that follow from them. They are recorded in the same transaction."""


def record_consent_acts(
    ledger: Ledger,
    acts: Sequence[ConsentAct],
    events: Sequence[AuditEvent],
    signer: Signer,
    also: RecallPlanner | None = None,
) -> list[ConsentAct]:
    """Records acts, an audit event for each, and the recalls that follow from them, in one transaction.

    Returns the recorded acts. Their order in the ledger decides which came first, not the clocks.
    """

    def work(connection: Connection) -> list[ConsentAct]:
        lock_ledger(connection)
        done = [_insert_consent_act(connection, act) for act in acts]
        for event in events:
            append_event(connection, event, signer)
        for recalling in () if also is None else also(ledger, done):
            insert_recalls(connection, recalling.steps, recalling.event, signer)
        return done

    return ledger.write(work)


def read_consent_acts(
    ledger: Ledger, *, tenant: str | None = None, recipient: str | None = None, function: str | None = None
) -> list[ConsentAct]:
    """All acts, in the order of recording; optionally those of one tenant, recipient or function."""
    query: Select[Any] = select(*_CONSENT_COLUMNS).order_by(CONSENTS.c.id)
    for column, wanted in (
        (CONSENTS.c.tenant_id, tenant),
        (CONSENTS.c.recipient, recipient),
        (CONSENTS.c.function, function),
    ):
        query = query if wanted is None else query.where(column == wanted)
    return ledger.read(lambda connection: [ConsentAct(*row) for row in connection.execute(query)])


def _insert_consent_act(connection: Connection, act: ConsentAct) -> ConsentAct:
    """Keeps ids unique: an act that is repeated in the same microsecond gets a time that is one microsecond later."""
    unique = act
    while connection.scalar(select(CONSENTS.c.id).where(CONSENTS.c.consent == unique.id)) is not None:
        unique = replace(unique, recorded_at=unique.recorded_at + _MICROSECOND)
    values = {column.name: getattr(unique, column.name) for column in _CONSENT_COLUMNS}
    connection.execute(insert(CONSENTS).values(consent=unique.id, **values))
    return unique
