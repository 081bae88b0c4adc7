"""Checkpoints: what is left of entries of the audit log that are gone after their year. The log is read on from the last."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, insert, select

from minimize.errors import Finding
from minimize.keys import Verifier
from minimize.ledger.audit import Signer, Wanted, entries
from minimize.ledger.chain import Head
from minimize.ledger.codes import found
from minimize.ledger.event import Change, Resource, moment_text
from minimize.ledger.tables.checkpoints import CHECKPOINTS
from minimize.receipt import canonical

FORMAT: Final = 1
AUDIT: Final = "audit"
TRUNCATE: Final = "truncate"
LEAST: Final = timedelta(days=365)
"""No entry that is younger than this goes; the database holds to it by its own clock."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of what went.

    entries  how many went with it
    before   what all of them are before, and `latest` the latest time among them
    """

    head: Head
    entries: int
    before: datetime
    latest: datetime
    recorded_at: datetime
    key: str = ""
    signature: str = ""

    @property
    def signed_bytes(self) -> bytes:
        """What its signature is over."""
        times = {name: moment_text(getattr(self, name)) for name in ("before", "latest", "recorded_at")}
        head = {"sequence": self.head.sequence, "head": self.head.digest}
        return canonical({"checkpoint": FORMAT, "entries": self.entries, **head, **times})

    @property
    def resource(self) -> Resource:
        """How the log tells of it."""
        said = (Change("digest", None, self.head.digest), Change("entries", None, self.entries))
        return Resource(f"entry {self.head.sequence}", "checkpoint", self.place, said)

    @property
    def place(self) -> str:
        """What names it."""
        return f"audit/checkpoint/{self.head.sequence}"


def last_checkpoint(connection: Connection) -> Checkpoint | None:
    """The checkpoint from which the log goes on; None where all of its entries are there."""
    row = connection.execute(select(CHECKPOINTS).order_by(CHECKPOINTS.c.sequence.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    head = Head(row.sequence, row.digest)
    return Checkpoint(head, row.entries, row.before, row.latest, row.recorded_at, row.key, row.signature)


def keep(connection: Connection, checkpoint: Checkpoint, signer: Signer) -> None:
    """Signs and records a checkpoint."""
    key, signature = signer.sign(checkpoint.signed_bytes)
    values = {name: getattr(checkpoint, name) for name in ("entries", "before", "latest", "recorded_at")}
    head = {"sequence": checkpoint.head.sequence, "digest": checkpoint.head.digest}
    signed = {"key": key, "signature": base64.b64encode(signature).decode("ascii")}
    connection.execute(insert(CHECKPOINTS).values(**values, **head, **signed))


def check(connection: Connection, checkpoint: Checkpoint, verifier: Verifier) -> Iterator[Finding]:
    """H013, H015, H016: whether a checkpoint is ours, took nothing before its time, and is told of."""
    if not _is_signed(checkpoint, verifier):
        yield found("H013", "is not signed by a key that is known here", file=checkpoint.place)
    if checkpoint.latest >= checkpoint.before or checkpoint.before > checkpoint.recorded_at - LEAST:
        yield found("H015", "took entries that were not a year old", file=checkpoint.place)
    wanted = Wanted(activity=AUDIT, operation=TRUNCATE, resource=checkpoint.place)
    digest = f'"new":"{checkpoint.head.digest}"'
    if not any(digest in entry.event for entry in entries(connection, wanted)):
        yield found("H016", "is not told of in the log", file=checkpoint.place)


def is_below(head: Head, checkpoint: Checkpoint | None) -> bool:
    """Whether a head is of entries that are gone, and not the one that the checkpoint names."""
    return checkpoint is not None and head.sequence < checkpoint.head.sequence


def _is_signed(checkpoint: Checkpoint, verifier: Verifier) -> bool:
    try:
        value = base64.b64decode(checkpoint.signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verifier.verify_signature(checkpoint.signed_bytes, value, checkpoint.key)
