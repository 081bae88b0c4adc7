"""Access control in the ledger: adopted access files, and acts about just-in-time grants; all signed, recorded and read back.

The last adopted access file is in force.
"""

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
from minimize.ledger.audit_event import AuditEvent, utc_text
from minimize.ledger.audit_log import append_event
from minimize.ledger.database import lock_ledger
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables import ADOPTIONS, GRANTS
from minimize.receipts import canonical_json, sha256_text
from minimize.receipts.receipt import Signer

ADOPTION_FORMAT: Final = 1
_ADOPTION_COLUMNS: Final = tuple(ADOPTIONS.c[name] for name in ("content", "by", "recorded_at"))


@dataclass(frozen=True, slots=True)
class AccessAdoption:
    """A file that was adopted: what it says, by which account, when."""

    content: str
    by: str
    recorded_at: datetime

    @property
    def digest(self) -> str:
        """The digest of the file."""
        return sha256_text(self.content.encode())

    @property
    def signed_bytes(self) -> bytes:
        """What its signature is over."""
        said = {"digest": self.digest, "by": self.by, "recorded_at": utc_text(self.recorded_at)}
        return canonical_json({"adoption": ADOPTION_FORMAT, **said})


def record_adoption(
    ledger: Ledger, adoption: AccessAdoption, before: str | None, event: AuditEvent, signer: Signer
) -> bool:
    """Records an adoption and tells the audit log of it, both or neither.

    Takes the digest that is to be the last until now. Gives whether it was: nothing is recorded where others were faster.
    """

    def work(connection: Connection) -> bool:
        lock_ledger(connection)
        newest = select(ADOPTIONS.c.digest).order_by(ADOPTIONS.c.id.desc()).limit(1)
        if connection.execute(newest).scalar() != before:
            return False
        key, signature = signer.sign(adoption.signed_bytes)
        values = {column.name: getattr(adoption, column.name) for column in _ADOPTION_COLUMNS}
        signed = {"digest": adoption.digest, "key": key, "signature": base64.b64encode(signature).decode("ascii")}
        connection.execute(insert(ADOPTIONS).values(**values, **signed))
        append_event(connection, event, signer)
        return True

    return ledger.write(work)


def count_adoptions(ledger: Ledger) -> int:
    """How many were adopted; it grows with each."""
    newest = select(ADOPTIONS.c.id).order_by(ADOPTIONS.c.id.desc()).limit(1)
    return ledger.read(lambda connection: connection.execute(newest).scalar() or 0)


def last_adoption(ledger: Ledger, verifier: Verifier) -> AccessAdoption | None:
    """The adoption that counts; None where nothing was adopted. Raises LedgerError for one that was not signed by us."""
    newest = select(*_ADOPTION_COLUMNS, ADOPTIONS.c.key, ADOPTIONS.c.signature).order_by(ADOPTIONS.c.id.desc()).limit(1)
    row = ledger.read(lambda connection: connection.execute(newest).one_or_none())
    if row is None:
        return None
    found = AccessAdoption(row.content, row.by, row.recorded_at)
    if not _is_adoption_signed(found, row.key, row.signature, verifier):
        raise LedgerError("the access file that was adopted is not signed by a key that is known here")
    return found


def _is_adoption_signed(adoption: AccessAdoption, key: str, signature: str, verifier: Verifier) -> bool:
    try:
        value = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verifier.verify_signature(adoption.signed_bytes, value, key)


GRANT_FORMAT: Final = 1
_GRANT_COLUMNS: Final = tuple(GRANTS.c[name] for name in ("grant", "state", "by", "body", "recorded_at"))
_SIGNED_GRANT_COLUMNS: Final = (*_GRANT_COLUMNS, GRANTS.c.key, GRANTS.c.signature)


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
        return canonical_json({"access": GRANT_FORMAT, "recorded_at": utc_text(self.recorded_at), **said})


GrantActBuilder = Callable[[Sequence[GrantAct]], tuple[Sequence[GrantAct], Sequence[AuditEvent]]]
"""From all acts that there are to those that are to be recorded, and what the audit log is told. It may raise."""


def record_grant_acts(ledger: Ledger, build_act: GrantActBuilder, signer: Signer, verifier: Verifier) -> list[GrantAct]:
    """Records acts and tells the audit log of them, all or none; nobody else records between the look and the act.

    Gives the acts that were recorded. Raises LedgerError for an act that was not signed by us, and what `build_act` raises.
    """

    def work(connection: Connection) -> list[GrantAct]:
        lock_ledger(connection)
        acts, events = build_act(_select_grant_acts(connection, verifier))
        for act in acts:
            key, signature = signer.sign(act.signed_bytes)
            values = {column.name: getattr(act, column.name) for column in _GRANT_COLUMNS}
            signed = base64.b64encode(signature).decode("ascii")
            connection.execute(insert(GRANTS).values(key=key, signature=signed, **values))
        for event in events:
            append_event(connection, event, signer)
        return list(acts)

    return ledger.write(work)


def read_grant_acts(ledger: Ledger, verifier: Verifier) -> list[GrantAct]:
    """Every act, in the order in which they were recorded. Raises LedgerError for one that was not signed by us."""
    return ledger.read(lambda connection: _select_grant_acts(connection, verifier))


def last_grant_act(ledger: Ledger) -> int:
    """The number of the last act, which grows with each; 0 where there is none."""
    asked = select(GRANTS.c.id).order_by(GRANTS.c.id.desc()).limit(1)
    return ledger.read(lambda connection: connection.execute(asked).scalar() or 0)


def _select_grant_acts(connection: Connection, verifier: Verifier) -> list[GrantAct]:
    rows = connection.execute(select(*_SIGNED_GRANT_COLUMNS).order_by(GRANTS.c.id)).all()
    acts = [GrantAct(*row[: len(_GRANT_COLUMNS)]) for row in rows]
    for act, row in zip(acts, rows, strict=True):
        if not _is_grant_act_signed(act, row.key, row.signature, verifier):
            raise LedgerError(f"an act about the grant {act.grant} is not signed by a key that is known here")
    return acts


def _is_grant_act_signed(act: GrantAct, key: str, signature: str, verifier: Verifier) -> bool:
    try:
        value = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verifier.verify_signature(act.signed_bytes, value, key)
