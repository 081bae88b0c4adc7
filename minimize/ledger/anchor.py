"""What the audit log last told of an output, and whether the receipts that are here agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, select

from minimize.keys import Verifier
from minimize.ledger.audit import Wanted, entries, entry_at, told
from minimize.ledger.chain import Entry, digest_of, is_signed
from minimize.ledger.checkpoint import last_checkpoint
from minimize.ledger.event import Actor, Change, Event, Plain, Resource
from minimize.ledger.identity import identity
from minimize.ledger.received import received_event
from minimize.ledger.tables.audit import AUDIT
from minimize.receipt import Receipt

PUBLISH: Final = "publish"
RECOVER: Final = "recover"
REBUILD: Final = "rebuild"
TELLING: Final = (PUBLISH, RECOVER, REBUILD)
"""The operations that tell of a receipt."""
State = Literal["told", "behind", "unknown", "cut", "other"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last receipt that the log tells of: its number in its output, its digest, and the entry that says so."""

    sequence: int
    digest: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Standing:
    """How an output's receipts and the log agree.

    state     `told`: the last receipt is told of; `behind`: some at the end are not, yet; `unknown`: none is told of;
              `cut`: the log tells of a later receipt, which is not here; `other`: receipts name entries that this log has not
    untold    the receipts that are not told of
    anchor    the last that is
    """

    state: State
    untold: tuple[Receipt, ...] = ()
    anchor: Anchor | None = None

    @property
    def disagrees(self) -> bool:
        """Whether receipts or entries are missing that were there once."""
        return self.state in ("cut", "other")


def anchor_of(connection: Connection, output: str) -> Anchor | None:
    """What the log last told of an output."""
    asked = select(AUDIT.c.sequence).where((AUDIT.c.resource == output) & AUDIT.c.operation.in_(TELLING))
    last = connection.execute(asked.order_by(AUDIT.c.sequence.desc()).limit(1)).scalar()
    entry = None if last is None else entry_at(connection, last)
    if entry is None:
        return None
    changes = {change["name"]: change["new"] for change in told(entry)["resources"][0]["changed_properties"]}
    return Anchor(changes["sequence"], changes["receipt"], entry)


def standing(connection: Connection, output: str, chain: Sequence[Receipt]) -> Standing:
    """How the receipts of an output, by sequence, stand to the log."""
    anchor = anchor_of(connection, output)
    digests = [receipt.digest for receipt in chain]
    if anchor is not None and anchor.digest not in digests:
        return Standing("cut", anchor=anchor)
    untold = tuple(chain if anchor is None else chain[digests.index(anchor.digest) + 1 :])
    if not all(is_of_this_log(connection, receipt) for receipt in untold):
        return Standing("other", untold, anchor)
    state: State = "unknown" if anchor is None else "behind" if untold else "told"
    return Standing(state, untold, anchor)


def output_told(connection: Connection, receipts: Sequence[Receipt]) -> str | None:
    """The output that the log tells of where it tells of one of these receipts: the last that it knows."""
    for receipt in reversed(receipts):
        for entry in entries(connection, Wanted(correlation=receipt.run_id)):
            event = told(entry)
            if event["operation"] in TELLING:
                return str(event["resources"][0]["id"])
    return None


def told_events(operation: str, output: str, receipt: Receipt, *, actor: Actor, now: datetime) -> list[Event]:
    """The events that tell of a receipt: that it was published, and what was received from a third party."""
    published, received = told_event(operation, output, receipt, actor=actor, now=now), receipt.received
    if received is None:
        return [published]
    said: dict[str, Plain] = {
        "recipient": received.recipient,
        "function": received.function,
        "rows": receipt.rows.written,
        "rows_without_consent": receipt.gated_by.consent or 0,
        "receipt": receipt.digest,
    }
    names = (received.recipient, received.function)
    return [published, received_event(*names, said, actor=actor, now=now, run_id=receipt.run_id)]


def told_event(operation: str, output: str, receipt: Receipt, *, actor: Actor, now: datetime) -> Event:
    """The event that tells of a receipt."""
    number = receipt.sequence
    changes = (
        Change("receipt", receipt.previous, receipt.digest),
        Change("sequence", number - 1 if number > 1 else None, number),
    )
    return Event(
        component="job",
        category="run",
        activity=receipt.kind,
        operation=operation,
        actor=actor,
        time=now,
        correlation_id=receipt.run_id,
        resources=(Resource(receipt.pipeline, "output", output, changes),),
    )


def is_of_this_log(connection: Connection, receipt: Receipt) -> bool:
    """Whether the log has the entry that a receipt names as its head, or had it below its checkpoint.

    A receipt that names none is of any log.
    """
    if receipt.audit is None:
        return True
    gone = last_checkpoint(connection)
    if gone is not None and receipt.audit.sequence <= gone.head.sequence:
        return receipt.audit.sequence < gone.head.sequence or receipt.audit.head == gone.head.digest
    entry = entry_at(connection, receipt.audit.sequence)
    return entry is not None and entry.digest == receipt.audit.head


def another_ledger(connection: Connection, receipt: Receipt) -> str:
    """How the ledger differs from the one that a receipt names, in words; nothing if it does not."""
    if receipt.audit is None or receipt.audit.ledger is None:
        return ""
    if identity(connection) != receipt.audit.ledger:
        return "is not the one that the receipts of this output name"
    if not is_of_this_log(connection, receipt):
        return "lacks the audit entry that the last receipt of this output names: it is an older copy"
    return ""


def is_ours(anchor: Anchor, verifier: Verifier) -> bool:
    """Whether the entry of an anchor is what its digest says, and signed by a key that is known here."""
    entry = anchor.entry
    return digest_of(entry.sequence, entry.previous, told(entry)) == entry.digest and is_signed(entry, verifier)
