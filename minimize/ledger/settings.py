"""Collection settings in the ledger: recorded, and read back; each change with its entry in the audit log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from minimize.ledger.audit import append
from minimize.ledger.chain import Head
from minimize.ledger.engine import exclusive
from minimize.ledger.event import Event, moment_text
from minimize.ledger.ledger import Ledger
from minimize.ledger.settings_told import with_told
from minimize.ledger.tables.settings import SETTINGS
from minimize.receipt.receipt import Signer

PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """One setting as it was recorded; `subject` is a token, None for a whole tenant."""

    tenant_id: str
    subject: str | None
    setting: str
    value: str
    holder: str
    valid_from: datetime
    recorded_at: datetime

    @property
    def digest(self) -> str:
        """What is the same for the same row."""
        times = (moment_text(self.valid_from), moment_text(self.recorded_at))
        words = [self.tenant_id, self.subject or "", self.setting, self.value, self.holder, *times]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def record(ledger: Ledger, rows: Sequence[Recorded], event: Event, signer: Signer) -> tuple[int, Head | None]:
    """Records rows and tells the audit log of it, both or neither; a row that is there already is passed over.

    Gives how many rows were new, and the log's head (None where none was).
    """

    def work(connection: Connection) -> tuple[int, Head | None]:
        exclusive(connection)
        known = _known(connection, [row.digest for row in rows])
        new = {row.digest: row for row in rows if row.digest not in known}
        if not new:
            return 0, None
        saying = with_told(connection, event, digests(connection), list(new))
        connection.execute(insert(SETTINGS), [_values(row) for row in new.values()])
        return len(new), append(connection, saying, signer)

    return ledger.write(work)


def recorded(ledger: Ledger) -> list[Recorded]:
    """Every row, in the order in which they were recorded here."""
    return ledger.read(lambda connection: list(_recorded(connection)))


def digests(connection: Connection) -> Iterator[str]:
    """The digest of every row, in that order, of what it says by now."""
    return (row.digest for row in _recorded(connection))


def _recorded(connection: Connection) -> Iterator[Recorded]:
    columns = [column for column in SETTINGS.c if column.name not in ("id", "digest")]
    for row in connection.execute(select(*columns).order_by(SETTINGS.c.id)):
        yield Recorded(row.tenant_id, row.subject or None, *row[2:])


def _values(row: Recorded) -> dict[str, object]:
    return {
        "tenant_id": row.tenant_id,
        "subject": row.subject or "",
        "setting": row.setting,
        "value": row.value,
        "holder": row.holder,
        "valid_from": row.valid_from,
        "recorded_at": row.recorded_at,
        "digest": row.digest,
    }


def _known(connection: Connection, digests: Sequence[str]) -> set[str]:
    return {
        digest
        for page in _pages(digests)
        for digest in connection.scalars(select(SETTINGS.c.digest).where(SETTINGS.c.digest.in_(page)))
    }


def _pages(digests: Sequence[str]) -> Iterator[Iterable[str]]:
    return (digests[at : at + PAGE] for at in range(0, len(digests), PAGE))
