"""Access in the ledger: adopted access files, just-in-time grants, API tokens, and the start and end of reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, insert, select

from minimize.errors import LedgerError
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer, is_signed, sign_as_text
from minimize.ledger.audit_event import Actor, AuditEvent, PropertyChange, Resource, utc_text
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.process import ProcessIdentity
from minimize.ledger.tables import ADOPTIONS, API_TOKENS, GRANTS, READS
from minimize.receipts import canonical_json, sha256_text

ADOPTION_FORMAT: Final = 1
_ADOPTION_COLUMNS: Final = tuple(ADOPTIONS.c[name] for name in ("content", "by", "recorded_at"))


@dataclass(frozen=True, slots=True)
class AccessAdoption:
    """An adopted access file: its content, the account that adopted it, and the time."""

    content: str
    by: str
    recorded_at: datetime

    @property
    def digest(self) -> str:
        """The digest of the file."""
        return sha256_text(self.content.encode())

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that are signed."""
        body = {"digest": self.digest, "by": self.by, "recorded_at": utc_text(self.recorded_at)}
        return canonical_json({"adoption": ADOPTION_FORMAT, **body})


def record_adoption(
    ledger: Ledger, adoption: AccessAdoption, before: str | None, event: AuditEvent, signer: Signer
) -> bool:
    """Records an adoption and its audit event in one transaction.

    Takes the digest of the adoption that the caller saw last. Returns False, and records nothing, if another process has
    recorded one since.
    """

    def work(connection: Connection) -> bool:
        lock_ledger(connection)
        newest = select(ADOPTIONS.c.digest).order_by(ADOPTIONS.c.id.desc()).limit(1)
        if connection.execute(newest).scalar() != before:
            return False
        key, signature = sign_as_text(adoption.signed_bytes, signer)
        values = {column.name: getattr(adoption, column.name) for column in _ADOPTION_COLUMNS}
        signed = {"digest": adoption.digest, "key": key, "signature": signature}
        connection.execute(insert(ADOPTIONS).values(**values, **signed))
        append_event(connection, event, signer)
        return True

    return ledger.write(work)


def count_adoptions(ledger: Ledger) -> int:
    """The number of adoptions. It grows with each of them."""
    newest = select(ADOPTIONS.c.id).order_by(ADOPTIONS.c.id.desc()).limit(1)
    return ledger.read(lambda connection: connection.execute(newest).scalar() or 0)


def last_adoption(ledger: Ledger, verifier: Verifier) -> AccessAdoption | None:
    """The adoption in force, or None. Raises LedgerError if it is not signed by a known key."""
    newest = select(*_ADOPTION_COLUMNS, ADOPTIONS.c.key, ADOPTIONS.c.signature).order_by(ADOPTIONS.c.id.desc()).limit(1)
    row = ledger.read(lambda connection: connection.execute(newest).one_or_none())
    if row is None:
        return None
    found = AccessAdoption(row.content, row.by, row.recorded_at)
    if not is_signed(found.signed_bytes, row.signature, row.key, verifier):
        raise LedgerError("the adopted access file is not signed by a known key")
    return found


GRANT_FORMAT: Final = 1
_GRANT_COLUMNS: Final = tuple(GRANTS.c[name] for name in ("grant", "state", "by", "body", "recorded_at"))
_SIGNED_GRANT_COLUMNS: Final = (*_GRANT_COLUMNS, GRANTS.c.key, GRANTS.c.signature)


@dataclass(frozen=True, slots=True)
class GrantAct:
    """One step of a grant: the grant, its new state, the account, the details (JSON) and the time of recording.

    state  requested, broke_glass, approved, denied, revoked, expired or reviewed
    """

    grant: str
    state: str
    by: str
    body: str
    recorded_at: datetime

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that are signed."""
        content = {"grant": self.grant, "state": self.state, "by": self.by, "body": self.body}
        return canonical_json({"access": GRANT_FORMAT, "recorded_at": utc_text(self.recorded_at), **content})


GrantActBuilder = Callable[[Sequence[GrantAct]], tuple[Sequence[GrantAct], Sequence[AuditEvent]]]
"""Takes all recorded acts; returns the acts to record and their audit events. It may raise."""


def record_grant_acts(ledger: Ledger, build_act: GrantActBuilder, signer: Signer, verifier: Verifier) -> list[GrantAct]:
    """Records acts and their audit events in one transaction. No other process can record between reading and writing.

    Returns the recorded acts. Raises LedgerError if an act is not signed by a known key, and the errors of `build_act`.
    """

    def work(connection: Connection) -> list[GrantAct]:
        lock_ledger(connection)
        acts, events = build_act(_select_grant_acts(connection, verifier))
        for act in acts:
            key, signature = sign_as_text(act.signed_bytes, signer)
            values = {column.name: getattr(act, column.name) for column in _GRANT_COLUMNS}
            connection.execute(insert(GRANTS).values(key=key, signature=signature, **values))
        for event in events:
            append_event(connection, event, signer)
        return list(acts)

    return ledger.write(work)


def read_grant_acts(ledger: Ledger, verifier: Verifier) -> list[GrantAct]:
    """All acts, in the order of recording. Raises LedgerError if an act is not signed by a known key."""
    return ledger.read(lambda connection: _select_grant_acts(connection, verifier))


def last_grant_act(ledger: Ledger) -> int:
    """The number of the last act, which grows with each of them; 0 if there are none."""
    query = select(GRANTS.c.id).order_by(GRANTS.c.id.desc()).limit(1)
    return ledger.read(lambda connection: connection.execute(query).scalar() or 0)


def _select_grant_acts(connection: Connection, verifier: Verifier) -> list[GrantAct]:
    rows = connection.execute(select(*_SIGNED_GRANT_COLUMNS).order_by(GRANTS.c.id)).all()
    acts = [GrantAct(*row[: len(_GRANT_COLUMNS)]) for row in rows]
    for act, row in zip(acts, rows, strict=True):
        if not is_signed(act.signed_bytes, row.signature, row.key, verifier):
            raise LedgerError(f"a record of the grant {act.grant} is not signed by a known key")
    return acts


TokenState = Literal["issued", "spent", "revoked"]
_TOKEN_COLUMNS = tuple(column for column in API_TOKENS.c if column.name != "id")


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token as the ledger stores it: name, account, digest of the secret, validity. The secret is not stored.

    once    it is valid for a single call
    digest  `signing/1:` and hexadecimal digits: a keyed digest of the secret and of all fields except `state`
    """

    token: str
    user: str
    once: bool
    digest: str
    issued_at: datetime
    expires_at: datetime
    state: TokenState = "issued"


def issue_token(ledger: Ledger, token: ApiToken, by: str, event: AuditEvent, signer: Signer) -> None:
    """Records a new token."""
    ledger.write(lambda connection: _insert_token_act(connection, token, token.issued_at, by, event, signer))


def end_token(
    ledger: Ledger, token: str, state: TokenState, now: datetime, by: str, event: AuditEvent, signer: Signer
) -> bool:
    """Records that a token was used up or revoked. Returns whether the token exists and the state is new."""

    def work(connection: Connection) -> bool:
        lock_ledger(connection)
        found = _token_acts(connection, token)
        if not found or any(each.state == state for each in found):
            return False
        _insert_token_act(connection, replace(found[0], state=state), now, by, event, signer)
        return True

    return ledger.write(work)


def find_token(ledger: Ledger, token: str) -> ApiToken | None:
    """The token of this name in its last state, or None."""
    found = ledger.read(lambda connection: _token_acts(connection, token))
    return _last_state(found) if found else None


def read_tokens(ledger: Ledger) -> list[ApiToken]:
    """All tokens in their last state, in the order of issue."""
    query = select(*_TOKEN_COLUMNS).order_by(API_TOKENS.c.id)
    acts: dict[str, list[ApiToken]] = {}
    for act in ledger.read(lambda connection: [_token_from_row(row) for row in connection.execute(query)]):
        acts.setdefault(act.token, []).append(act)
    return [_last_state(each) for each in acts.values()]


def _token_acts(connection: Connection, token: str) -> list[ApiToken]:
    query = select(*_TOKEN_COLUMNS).where(API_TOKENS.c.token == token).order_by(API_TOKENS.c.id)
    return [_token_from_row(row) for row in connection.execute(query)]


def _last_state(acts: list[ApiToken]) -> ApiToken:
    """The issued token with the state of the last act. User and times of later rows are ignored."""
    return replace(acts[0], state=acts[-1].state)


def _insert_token_act(
    connection: Connection, token: ApiToken, now: datetime, by: str, event: AuditEvent, signer: Signer
) -> None:
    values = {name: getattr(token, name) for name in ApiToken.__slots__}
    connection.execute(insert(API_TOKENS).values(recorded_at=now, by=by, **values))
    append_event(connection, event, signer)


def _token_from_row(row: Row[Any]) -> ApiToken:
    return ApiToken(
        token=row.token,
        user=row.user,
        once=row.once,
        digest=row.digest,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        state=row.state,
    )


LONGEST_READ: Final = timedelta(days=1)
"""The longest duration of a read. An older read of another machine counts as lost."""


def begin_read(ledger: Ledger, unended: AuditEvent, now: datetime) -> None:
    """Records the start of a read, with the event to log if its process ends without recording the end of the read.

    The id of the event is the id of the read.
    """
    ledger.write(lambda connection: _insert_read_state(connection, unended, "begun", now))


def finish_read(ledger: Ledger, ended: AuditEvent, now: datetime, signer: Signer) -> None:
    """Records the end of a read and its audit event."""

    def work(connection: Connection) -> None:
        lock_ledger(connection)
        _insert_read_state(connection, ended, "ended", now)
        append_event(connection, ended, signer)

    ledger.write(work)


def record_read_event(ledger: Ledger, event: AuditEvent, signer: Signer) -> None:
    """Appends the event of a read that was refused, or that has no separate start and end."""

    def work(connection: Connection) -> None:
        append_event(connection, event, signer)

    ledger.write(work)


@dataclass(frozen=True, slots=True)
class BegunRead:
    """A started read: the time, the event to log if it never ends, and whether it has ended."""

    at: datetime
    event: Mapping[str, Any]
    ended: bool


def read_begun_reads(ledger: Ledger) -> dict[str, BegunRead]:
    """All started reads by id, which is also the id of their event."""

    def work(connection: Connection) -> dict[str, BegunRead]:
        ended = _reads_in_state(connection, "ended")
        every = _reads_in_state(connection, "begun").items()
        return {name: BegunRead(at, json.loads(event), name in ended) for name, (event, _, at) in every}

    return ledger.read(work)


def end_lost_reads(ledger: Ledger, now: datetime, signer: Signer) -> int:
    """Logs the reads whose process ended before they did. Returns their number."""
    lost = ledger.read(lambda connection: [*_lost_reads(connection, now)])
    return sum(_end_lost_read(ledger, each, now, signer) for each in lost)


def _end_lost_read(ledger: Ledger, lost: AuditEvent, now: datetime, signer: Signer) -> bool:
    """Returns False if another process has already recorded the end."""

    def work(connection: Connection) -> bool:
        lock_ledger(connection)
        if lost.id in _reads_in_state(connection, "ended"):
            return False
        _insert_read_state(connection, lost, "ended", now)
        append_event(connection, lost, signer)
        return True

    return ledger.write(work)


def _lost_reads(connection: Connection, now: datetime) -> Iterator[AuditEvent]:
    """The events to log for reads that no process can end any more."""
    ended = _reads_in_state(connection, "ended")
    for reading, (event, process, begun) in _reads_in_state(connection, "begun").items():
        if reading not in ended and (ProcessIdentity(**json.loads(process)).is_dead() or now - begun > LONGEST_READ):
            yield _event_from_json(json.loads(event))


def _reads_in_state(connection: Connection, state: str) -> dict[str, tuple[str, str, datetime]]:
    query = select(READS.c.reading, READS.c.event, READS.c.process, READS.c.recorded_at)
    rows = connection.execute(query.where(READS.c.state == state).order_by(READS.c.id))
    return {row.reading: (row.event, row.process, row.recorded_at) for row in rows}


def _insert_read_state(connection: Connection, event: AuditEvent, state: str, now: datetime) -> None:
    content = canonical_json(event.to_json()).decode() if state == "begun" else ""
    process = json.dumps(asdict(ProcessIdentity.current())) if state == "begun" else ""
    row = {"reading": event.id, "state": state, "event": content, "process": process, "recorded_at": now}
    connection.execute(insert(READS).values(**row))


def _event_from_json(document: Mapping[str, Any]) -> AuditEvent:
    """The event of its JSON object."""
    parts = {**document, "time": datetime.fromisoformat(document["time"])}
    parts["actor"] = Actor(**{**document["actor"], "permissions": tuple(document["actor"]["permissions"])})
    parts["resources"] = tuple(_resource_from_json(each) for each in document["resources"])
    return AuditEvent(**parts)


def _resource_from_json(document: Mapping[str, Any]) -> Resource:
    changes = tuple(PropertyChange(**each) for each in document["changed_properties"])
    return Resource(document["name"], document["type"], document["id"], changes)
