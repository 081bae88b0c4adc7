"""Tokens for the door in the ledger: issued, spent, revoked, and read back; each act with its entry in the audit log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select

from minimize.ledger.audit import append
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.passes import PASSES
from minimize.receipt.receipt import Signer

State = Literal["issued", "spent", "revoked"]
_COLUMNS = tuple(column for column in PASSES.c if column.name != "id")


@dataclass(frozen=True, slots=True)
class Pass:
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
    state: State = "issued"


def issue(ledger: Ledger, made: Pass, by: str, event: Event, signer: Signer) -> None:
    """Records a new token."""
    ledger.write(lambda connection: _acted(connection, made, made.issued_at, by, event, signer))


def end(ledger: Ledger, token: str, state: State, now: datetime, by: str, event: Event, signer: Signer) -> bool:
    """Records that a token was spent or revoked; whether that is new, and there is such a token."""

    def work(connection: Connection) -> bool:
        exclusive(connection)
        found = _named(connection, token)
        if not found or any(each.state == state for each in found):
            return False
        _acted(connection, replace(found[0], state=state), now, by, event, signer)
        return True

    return ledger.write(work)


def pass_of(ledger: Ledger, token: str) -> Pass | None:
    """The token of this name in its last state; None where there is none."""
    found = ledger.read(lambda connection: _named(connection, token))
    return _last(found) if found else None


def passes(ledger: Ledger) -> list[Pass]:
    """Every token in its last state, in the order in which they were issued."""
    asked = select(*_COLUMNS).order_by(PASSES.c.id)
    acts: dict[str, list[Pass]] = {}
    for act in ledger.read(lambda connection: [_as_pass(row) for row in connection.execute(asked)]):
        acts.setdefault(act.token, []).append(act)
    return [_last(each) for each in acts.values()]


def _named(connection: Connection, token: str) -> list[Pass]:
    asked = select(*_COLUMNS).where(PASSES.c.token == token).order_by(PASSES.c.id)
    return [_as_pass(row) for row in connection.execute(asked)]


def _last(acts: list[Pass]) -> Pass:
    """What was issued, in the state of the last act: what a later row says of user and time counts for nothing."""
    return replace(acts[0], state=acts[-1].state)


def _acted(connection: Connection, made: Pass, now: datetime, by: str, event: Event, signer: Signer) -> None:
    said = {name: getattr(made, name) for name in Pass.__slots__}
    connection.execute(insert(PASSES).values(recorded_at=now, by=by, **said))
    append(connection, event, signer)


def _as_pass(row: Row[Any]) -> Pass:
    return Pass(row.token, row.user, row.once, row.digest, row.issued_at, row.expires_at, row.state)
