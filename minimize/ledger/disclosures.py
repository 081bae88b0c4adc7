"""Acts of sharing in the ledger: recorded, signed, before anything is handed over; and read back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from minimize.keys import Verifier
from minimize.ledger.audit import append
from minimize.ledger.chain import Head
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.disclosures import DISCLOSED, DISCLOSURES
from minimize.receipt import canonical
from minimize.receipt.receipt import Signer

WIDTH = 16
"""Bytes of a subject's token."""
_NAMED = tuple(column.name for column in DISCLOSURES.c if column.name not in ("id", "body", "key", "signature"))


@dataclass(frozen=True, slots=True)
class TenantShare:
    """What was sent of one tenant: rows, the consent that covered them, and whose they are, by keyed token.

    tokens       16 bytes each, ascending
    key_version  of the key that they are made with; None where nobody is named
    """

    tenant_id: str
    rows: int
    consent: str
    key_version: int | None = None
    tokens: bytes = field(default=b"", repr=False)

    @property
    def subjects(self) -> int:
        """How many subjects."""
        return len(self.tokens) // WIDTH

    def listed(self) -> list[str]:
        """The tokens as text."""
        pieces = (self.tokens[at : at + WIDTH] for at in range(0, len(self.tokens), WIDTH))
        return [token_text(self.key_version or 0, piece) for piece in pieces]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One act of sharing, as it was recorded: its body, who signed it, and when it has to be gone at the recipient."""

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
        """Whether a known key signed it as it stands."""
        try:
            signature = base64.b64decode(self.signature, validate=True)
        except ValueError:
            return False
        return verifier.verify_signature(canonical(dict(self.body)), signature, self.key)

    def as_json(self) -> dict[str, Any]:
        """The act as the JSON object that `share log --json` gives."""
        return {**self.body, "signature": {"algorithm": "ed25519", "key": self.key, "value": self.signature}}


def token_text(version: int, token: bytes) -> str:
    """A subject's token as text, with the version of its key.

    >>> token_text(1, bytes(16))
    'disclosed/1:00000000000000000000000000000000'
    """
    return f"disclosed/{version}:{token.hex()}"


def record(
    ledger: Ledger,
    act: Disclosure,
    tenants: Sequence[TenantShare],
    event: Event,
    signer: Signer,
    still: Callable[[Connection], None],
) -> Head:
    """Records an act and tells the audit log of it, both or neither; gives the log's head.

    `still` is asked in the same transaction, when nobody else can write, whether it may be, and raises where not: an end of a
    consent comes either before, and stops the act, or after, and finds it recorded.
    """
    body = canonical(dict(act.body))
    key, signature = signer.sign(body)
    row = {name: getattr(act, name) for name in _NAMED}
    row |= {"body": body.decode(), "key": key, "signature": base64.b64encode(signature).decode("ascii")}

    def work(connection: Connection) -> Head:
        exclusive(connection)
        still(connection)
        connection.execute(insert(DISCLOSURES).values(**row))
        if tenants:
            connection.execute(insert(DISCLOSED), [_values(act, share) for share in tenants])
        return append(connection, event, signer)

    return ledger.write(work)


def disclosures(ledger: Ledger, *, recipient: str | None = None, disclosure: str | None = None) -> list[Disclosure]:
    """The acts of sharing, oldest first; those to one recipient, or the one of that id, where they are named."""
    asked = select(DISCLOSURES).order_by(DISCLOSURES.c.id)
    asked = asked if recipient is None else asked.where(DISCLOSURES.c.recipient == recipient)
    asked = asked if disclosure is None else asked.where(DISCLOSURES.c.disclosure == disclosure)
    return ledger.read(lambda connection: [_act(row) for row in connection.execute(asked)])


def tenants_of(ledger: Ledger, disclosure: str, tenant: str | None = None) -> list[TenantShare]:
    """What was sent of each tenant in an act, of one where it is named."""
    asked = select(DISCLOSED).where(DISCLOSED.c.disclosure == disclosure).order_by(DISCLOSED.c.tenant_id)
    asked = asked if tenant is None else asked.where(DISCLOSED.c.tenant_id == tenant)
    return ledger.read(lambda connection: [_share(row) for row in connection.execute(asked)])


def _values(act: Disclosure, share: TenantShare) -> dict[str, Any]:
    return {"disclosure": act.disclosure, **{name: getattr(share, name) for name in TenantShare.__slots__}}


def _act(row: Row[Any]) -> Disclosure:
    named = {name: value for name, value in row._mapping.items() if name != "id"}
    return Disclosure(**{**named, "body": json.loads(row.body)})


def _share(row: Row[Any]) -> TenantShare:
    return TenantShare(row.tenant_id, row.rows, row.consent, row.key_version, bytes(row.tokens))
