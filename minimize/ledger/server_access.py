"""Access to the server in the ledger: API tokens that are issued, spent and revoked, and the reads that were begun and ended.

A read is recorded before its first row leaves, and ends with an entry in the audit log, even if its process ended before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, insert, select

from minimize.ledger.audit_event import Actor, AuditEvent, PropertyChange, Resource
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.process import ProcessIdentity
from minimize.ledger.tables import API_TOKENS, READS
from minimize.receipts import canonical_json
from minimize.receipts.receipt import Signer

TokenState = Literal["issued", "spent", "revoked"]
_TOKEN_COLUMNS = tuple(column for column in API_TOKENS.c if column.name != "id")


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as the ledger knows it: its name, whose it is, what its secret is checked by, until when; never the secret.

    once    it opens the door for one call alone
    digest  `signing/1:` and hexadecimal digits, under a key of the keyring, of the secret and of all of this but `state`
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
    """Records that a token was spent or revoked; whether that is new, and there is such a token."""

    def work(connection: Connection) -> bool:
        lock_ledger(connection)
        found = _token_acts(connection, token)
        if not found or any(each.state == state for each in found):
            return False
        _insert_token_act(connection, replace(found[0], state=state), now, by, event, signer)
        return True

    return ledger.write(work)


def find_token(ledger: Ledger, token: str) -> ApiToken | None:
    """The token of this name in its last state; None where there is none."""
    found = ledger.read(lambda connection: _token_acts(connection, token))
    return _last_state(found) if found else None


def read_tokens(ledger: Ledger) -> list[ApiToken]:
    """Every token in its last state, in the order in which they were issued."""
    asked = select(*_TOKEN_COLUMNS).order_by(API_TOKENS.c.id)
    acts: dict[str, list[ApiToken]] = {}
    for act in ledger.read(lambda connection: [_token_from_row(row) for row in connection.execute(asked)]):
        acts.setdefault(act.token, []).append(act)
    return [_last_state(each) for each in acts.values()]


def _token_acts(connection: Connection, token: str) -> list[ApiToken]:
    asked = select(*_TOKEN_COLUMNS).where(API_TOKENS.c.token == token).order_by(API_TOKENS.c.id)
    return [_token_from_row(row) for row in connection.execute(asked)]


def _last_state(acts: list[ApiToken]) -> ApiToken:
    """What was issued, in the state of the last act: what a later row says of user and time counts for nothing."""
    return replace(acts[0], state=acts[-1].state)


def _insert_token_act(
    connection: Connection, token: ApiToken, now: datetime, by: str, event: AuditEvent, signer: Signer
) -> None:
    said = {name: getattr(token, name) for name in ApiToken.__slots__}
    connection.execute(insert(API_TOKENS).values(recorded_at=now, by=by, **said))
    append_event(connection, event, signer)


def _token_from_row(row: Row[Any]) -> ApiToken:
    return ApiToken(row.token, row.user, row.once, row.digest, row.issued_at, row.expires_at, row.state)


LONGEST_READ: Final = timedelta(days=1)
"""No read goes on for longer; whoever began an older one on another machine is gone."""


def begin_read(ledger: Ledger, unended: AuditEvent, now: datetime) -> None:
    """Records that a read begins, and what the log is told of it if its process does not live to say how it ended.

    The event's id names the read.
    """
    ledger.write(lambda connection: _insert_read_state(connection, unended, "begun", now))


def finish_read(ledger: Ledger, ended: AuditEvent, now: datetime, signer: Signer) -> None:
    """Records that a read ended, and tells the audit log how."""

    def work(connection: Connection) -> None:
        lock_ledger(connection)
        _insert_read_state(connection, ended, "ended", now)
        append_event(connection, ended, signer)

    ledger.write(work)


def record_read_event(ledger: Ledger, event: AuditEvent, signer: Signer) -> None:
    """Tells the audit log of a read that was refused, or that is told of at once."""

    def work(connection: Connection) -> None:
        append_event(connection, event, signer)

    ledger.write(work)


@dataclass(frozen=True, slots=True)
class BegunRead:
    """A read that was begun: when, what is told of it should it never end, and whether it did."""

    at: datetime
    event: Mapping[str, Any]
    ended: bool


def read_begun_reads(ledger: Ledger) -> dict[str, BegunRead]:
    """Every read that was begun, by its name, which is its event's id, too."""

    def work(connection: Connection) -> dict[str, BegunRead]:
        ended = _reads_in_state(connection, "ended")
        every = _reads_in_state(connection, "begun").items()
        return {name: BegunRead(at, json.loads(event), name in ended) for name, (event, _, at) in every}

    return ledger.read(work)


def end_lost_reads(ledger: Ledger, now: datetime, signer: Signer) -> int:
    """Tells the audit log of reads whose process ended before they did; gives how many."""
    lost = ledger.read(lambda connection: [*_lost_reads(connection, now)])
    return sum(_end_lost_read(ledger, each, now, signer) for each in lost)


def _end_lost_read(ledger: Ledger, lost: AuditEvent, now: datetime, signer: Signer) -> bool:
    """Another process may have been faster."""

    def work(connection: Connection) -> bool:
        lock_ledger(connection)
        if lost.id in _reads_in_state(connection, "ended"):
            return False
        _insert_read_state(connection, lost, "ended", now)
        append_event(connection, lost, signer)
        return True

    return ledger.write(work)


def _lost_reads(connection: Connection, now: datetime) -> Iterator[AuditEvent]:
    """What is to be told of reads that nobody can end any more."""
    ended = _reads_in_state(connection, "ended")
    for reading, (event, process, begun) in _reads_in_state(connection, "begun").items():
        if reading not in ended and (ProcessIdentity(**json.loads(process)).is_dead() or now - begun > LONGEST_READ):
            yield _event_from_json(json.loads(event))


def _reads_in_state(connection: Connection, state: str) -> dict[str, tuple[str, str, datetime]]:
    asked = select(READS.c.reading, READS.c.event, READS.c.process, READS.c.recorded_at)
    rows = connection.execute(asked.where(READS.c.state == state).order_by(READS.c.id))
    return {row.reading: (row.event, row.process, row.recorded_at) for row in rows}


def _insert_read_state(connection: Connection, event: AuditEvent, state: str, now: datetime) -> None:
    told = canonical_json(event.as_json()).decode() if state == "begun" else ""
    process = json.dumps(asdict(ProcessIdentity.current())) if state == "begun" else ""
    row = {"reading": event.id, "state": state, "event": told, "process": process, "recorded_at": now}
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
