"""Adopted access files in the ledger: recorded with their content, signed, and read back; the last one counts."""

from __future__ import annotations

import base64
import binascii
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
from minimize.ledger.tables.adoptions import ADOPTIONS
from minimize.receipt import canonical, sha256_text
from minimize.receipt.receipt import Signer

FORMAT: Final = 1
_COLUMNS: Final = tuple(ADOPTIONS.c[name] for name in ("content", "by", "recorded_at"))


@dataclass(frozen=True, slots=True)
class Adoption:
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
        said = {"digest": self.digest, "by": self.by, "recorded_at": moment_text(self.recorded_at)}
        return canonical({"adoption": FORMAT, **said})


def record(ledger: Ledger, adoption: Adoption, before: str | None, event: Event, signer: Signer) -> bool:
    """Records an adoption and tells the audit log of it, both or neither.

    Takes the digest that is to be the last until now. Gives whether it was: nothing is recorded where others were faster.
    """

    def work(connection: Connection) -> bool:
        exclusive(connection)
        newest = select(ADOPTIONS.c.digest).order_by(ADOPTIONS.c.id.desc()).limit(1)
        if connection.execute(newest).scalar() != before:
            return False
        key, signature = signer.sign(adoption.signed_bytes)
        values = {column.name: getattr(adoption, column.name) for column in _COLUMNS}
        signed = {"digest": adoption.digest, "key": key, "signature": base64.b64encode(signature).decode("ascii")}
        connection.execute(insert(ADOPTIONS).values(**values, **signed))
        append(connection, event, signer)
        return True

    return ledger.write(work)


def count(ledger: Ledger) -> int:
    """How many were adopted; it grows with each."""
    newest = select(ADOPTIONS.c.id).order_by(ADOPTIONS.c.id.desc()).limit(1)
    return ledger.read(lambda connection: connection.execute(newest).scalar() or 0)


def last(ledger: Ledger, verifier: Verifier) -> Adoption | None:
    """The adoption that counts; None where nothing was adopted. Raises LedgerError for one that was not signed by us."""
    newest = select(*_COLUMNS, ADOPTIONS.c.key, ADOPTIONS.c.signature).order_by(ADOPTIONS.c.id.desc()).limit(1)
    row = ledger.read(lambda connection: connection.execute(newest).one_or_none())
    if row is None:
        return None
    found = Adoption(row.content, row.by, row.recorded_at)
    if not _is_signed(found, row.key, row.signature, verifier):
        raise LedgerError("the access file that was adopted is not signed by a key that is known here")
    return found


def _is_signed(adoption: Adoption, key: str, signature: str, verifier: Verifier) -> bool:
    try:
        value = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verifier.verify_signature(adoption.signed_bytes, value, key)
