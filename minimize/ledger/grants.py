"""Grants in the ledger: acts recorded, each signed, and read back; each with its entry in the audit log."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from minimize.errors import LedgerError
from minimize.keys import Verifier
from minimize.ledger.audit import append
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event, moment_text
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.grants import GRANTS
from minimize.receipt import canonical
from minimize.receipt.receipt import Signer

FORMAT: Final = 1
_COLUMNS: Final = tuple(GRANTS.c[name] for name in ("grant", "state", "by", "body", "recorded_at"))
_SIGNED: Final = (*_COLUMNS, GRANTS.c.key, GRANTS.c.signature)


@dataclass(frozen=True, slots=True)
class GrantAct:
    """One act about a grant: which, what it brings, by which account, what it says (JSON), recorded when.

    state  requested, broke_glass, approved, denied, revoked, expired or reviewed
    """

    grant: str
    state: str
    by: str
    body: str
    recorded_at: datetime

    @property
    def signed_bytes(self) -> bytes:
        """What its signature is over."""
        said = {"grant": self.grant, "state": self.state, "by": self.by, "body": self.body}
        return canonical({"access": FORMAT, "recorded_at": moment_text(self.recorded_at), **said})


Meant = Callable[[Sequence[GrantAct]], tuple[Sequence[GrantAct], Sequence[Event]]]
"""From all acts that there are to those that are to be recorded, and what the audit log is told. It may raise."""


def record(ledger: Ledger, meant: Meant, signer: Signer, verifier: Verifier) -> list[GrantAct]:
    """Records acts and tells the audit log of them, all or none; nobody else records between the look and the act.

    Gives the acts that were recorded. Raises LedgerError for an act that was not signed by us, and what `meant` raises.
    """

    def work(connection: Connection) -> list[GrantAct]:
        exclusive(connection)
        acts, events = meant(_read(connection, verifier))
        for act in acts:
            key, signature = signer.sign(act.signed_bytes)
            values = {column.name: getattr(act, column.name) for column in _COLUMNS}
            signed = base64.b64encode(signature).decode("ascii")
            connection.execute(insert(GRANTS).values(key=key, signature=signed, **values))
        for event in events:
            append(connection, event, signer)
        return list(acts)

    return ledger.write(work)


def recorded(ledger: Ledger, verifier: Verifier) -> list[GrantAct]:
    """Every act, in the order in which they were recorded. Raises LedgerError for one that was not signed by us."""
    return ledger.read(lambda connection: _read(connection, verifier))


def last(ledger: Ledger) -> int:
    """The number of the last act, which grows with each; 0 where there is none."""
    asked = select(GRANTS.c.id).order_by(GRANTS.c.id.desc()).limit(1)
    return ledger.read(lambda connection: connection.execute(asked).scalar() or 0)


def _read(connection: Connection, verifier: Verifier) -> list[GrantAct]:
    rows = connection.execute(select(*_SIGNED).order_by(GRANTS.c.id)).all()
    acts = [GrantAct(*row[: len(_COLUMNS)]) for row in rows]
    for act, row in zip(acts, rows, strict=True):
        if not _is_signed(act, row.key, row.signature, verifier):
            raise LedgerError(f"an act about the grant {act.grant} is not signed by a key that is known here")
    return acts


def _is_signed(act: GrantAct, key: str, signature: str, verifier: Verifier) -> bool:
    try:
        value = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verifier.verify_signature(act.signed_bytes, value, key)
