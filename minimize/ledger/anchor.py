"""Anchor of an output in the audit log: the events of a publication, and whether the receipts and the log agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, select

from minimize.keys import Verifier
from minimize.ledger.audit_event import Actor, AuditEvent, PlainValue, PropertyChange, Resource, received_event
from minimize.ledger.audit_log import (
    EntryFilter,
    LogEntry,
    entry_digest,
    entry_event,
    find_entry,
    is_entry_signed,
    last_checkpoint,
    read_entries,
)
from minimize.ledger.migrations import ledger_identity
from minimize.ledger.tables import AUDIT_LOG
from minimize.receipts import Receipt

PUBLISH: Final = "publish"
RECOVER: Final = "recover"
REBUILD: Final = "rebuild"
PUBLICATION_OPERATIONS: Final = (PUBLISH, RECOVER, REBUILD)
"""The operations that tell of a receipt."""
AgreementState = Literal["told", "behind", "unknown", "cut", "other"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last receipt that the log tells of: its number in its output, its digest, and the entry that says so."""

    sequence: int
    digest: str
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class LogAgreement:
    """How an output's receipts and the log agree.

    state     `entry_event`: the last receipt is told of; `behind`: some at the end are not, yet; `unknown`: none is told of;
              `cut`: the log tells of a later receipt, which is not here; `other`: receipts name entries that this log has not
    unrecorded    the receipts that are not told of
    anchor    the last that is
    """

    state: AgreementState
    unrecorded: tuple[Receipt, ...] = ()
    anchor: Anchor | None = None

    @property
    def disagrees(self) -> bool:
        """Whether receipts or entries are missing that were there once."""
        return self.state in ("cut", "other")


def find_anchor(connection: Connection, output: str) -> Anchor | None:
    """What the log last told of an output."""
    asked = select(AUDIT_LOG.c.sequence).where(
        (AUDIT_LOG.c.resource == output) & AUDIT_LOG.c.operation.in_(PUBLICATION_OPERATIONS)
    )
    last = connection.execute(asked.order_by(AUDIT_LOG.c.sequence.desc()).limit(1)).scalar()
    entry = None if last is None else find_entry(connection, last)
    if entry is None:
        return None
    changes = {change["name"]: change["new"] for change in entry_event(entry)["resources"][0]["changed_properties"]}
    return Anchor(changes["sequence"], changes["receipt"], entry)


def compare_receipts(connection: Connection, output: str, chain: Sequence[Receipt]) -> LogAgreement:
    """How the receipts of an output, by sequence, stand to the log."""
    anchor = find_anchor(connection, output)
    digests = [receipt.digest for receipt in chain]
    if anchor is not None and anchor.digest not in digests:
        return LogAgreement("cut", anchor=anchor)
    untold = tuple(chain if anchor is None else chain[digests.index(anchor.digest) + 1 :])
    if not all(is_head_in_log(connection, receipt) for receipt in untold):
        return LogAgreement("other", untold, anchor)
    state: AgreementState = "unknown" if anchor is None else "behind" if untold else "told"
    return LogAgreement(state, untold, anchor)


def find_recorded_output(connection: Connection, receipts: Sequence[Receipt]) -> str | None:
    """The output that the log tells of where it tells of one of these receipts: the last that it knows."""
    for receipt in reversed(receipts):
        for entry in read_entries(connection, EntryFilter(correlation=receipt.run_id)):
            event = entry_event(entry)
            if event["operation"] in PUBLICATION_OPERATIONS:
                return str(event["resources"][0]["id"])
    return None


def publication_events(
    operation: str, output: str, receipt: Receipt, *, actor: Actor, now: datetime
) -> list[AuditEvent]:
    """The events that tell of a receipt: that it was published, and what was received from a third party."""
    published, received = publication_event(operation, output, receipt, actor=actor, now=now), receipt.received
    if received is None:
        return [published]
    said: dict[str, PlainValue] = {
        "recipient": received.recipient,
        "function": received.function,
        "rows": receipt.rows.written,
        "rows_without_consent": receipt.gated_by.consent or 0,
        "receipt": receipt.digest,
    }
    names = (received.recipient, received.function)
    return [published, received_event(*names, said, actor=actor, now=now, run_id=receipt.run_id)]


def publication_event(operation: str, output: str, receipt: Receipt, *, actor: Actor, now: datetime) -> AuditEvent:
    """The event that tells of a receipt."""
    number = receipt.sequence
    changes = (
        PropertyChange("receipt", receipt.previous, receipt.digest),
        PropertyChange("sequence", number - 1 if number > 1 else None, number),
    )
    return AuditEvent(
        component="job",
        category="run",
        activity=receipt.kind,
        operation=operation,
        actor=actor,
        time=now,
        correlation_id=receipt.run_id,
        resources=(Resource(receipt.pipeline, "output", output, changes),),
    )


def is_head_in_log(connection: Connection, receipt: Receipt) -> bool:
    """Whether the log has the entry that a receipt names as its head, or had it below its checkpoint.

    A receipt that names none is of any log.
    """
    if receipt.audit is None:
        return True
    gone = last_checkpoint(connection)
    if gone is not None and receipt.audit.sequence <= gone.head.sequence:
        return receipt.audit.sequence < gone.head.sequence or receipt.audit.head == gone.head.digest
    entry = find_entry(connection, receipt.audit.sequence)
    return entry is not None and entry.digest == receipt.audit.head


def ledger_difference(connection: Connection, receipt: Receipt) -> str:
    """How the ledger differs from the one that a receipt names, in words; nothing if it does not."""
    if receipt.audit is None or receipt.audit.ledger is None:
        return ""
    if ledger_identity(connection) != receipt.audit.ledger:
        return "is not the one that the receipts of this output name"
    if not is_head_in_log(connection, receipt):
        return "lacks the audit entry that the last receipt of this output names: it is an older copy"
    return ""


def is_anchor_signed(anchor: Anchor, verifier: Verifier) -> bool:
    """Whether the entry of an anchor is what its digest says, and signed by a key that is known here."""
    entry = anchor.entry
    return entry_digest(entry.sequence, entry.previous, entry_event(entry)) == entry.digest and is_entry_signed(
        entry, verifier
    )
