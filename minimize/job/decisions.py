"""A signed receipt that records a decision about an output and changes none of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike
from typing import TYPE_CHECKING, Any

from minimize.io.publish import Output, open_output
from minimize.job import account
from minimize.job.booking import ChangedOutput, booked, catch_up, told
from minimize.job.job import quiet
from minimize.job.told import How
from minimize.observability.places import Places
from minimize.receipt import Kind, Receipt, sha256_text

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Decision:
    """What a receipt of a decision records.

    about        the receipt whose pipeline, purpose, policy and plan it names
    attachments  the files that are stored with it, by name
    records      the other parts of the receipt
    """

    about: Receipt
    attachments: Mapping[str, bytes] = field(repr=False)
    records: Mapping[str, Any]


Decide = Callable[["Ledger", Output, Sequence[Receipt]], Decision | None]
"""What is decided of an output: takes its ledger, the locked output and its receipts. None if there is nothing to record."""


def record_decision(
    kind: Kind, changing: ChangedOutput, ledger: str | PathLike[str] | None, decide: Decide
) -> Receipt | None:
    """Publishes the signed receipt of a decision; None if there is nothing to record. Raises OutputError, LedgerError."""
    how = How(kind, "local", datetime.now(UTC), quiet, Places(None, None), ledger=ledger)
    with (
        booked(changing, how) as booking,
        open_output(changing.output, create=False, lease=booking.head) as output,
    ):
        chain = output.receipts()
        decision = decide(booking.ledger, output, chain)
        if decision is None:
            booking.released()
            return None
        catch_up(booking, chain)
        with output.begin(booking.run_id) as staging:
            receipt = _receipt(decision, chain[-1], how, run_id=booking.run_id, audit=booking.head())
            signed = receipt.signed(changing.keys)
            staging.publish(signed, decision.attachments)
        told(booking, signed)
        return signed


def _receipt(decision: Decision, last: Receipt, how: How, **more: Any) -> Receipt:
    return Receipt(
        kind=how.kind,
        sequence=last.sequence + 1,
        previous=last.digest,
        pipeline=decision.about.pipeline,
        purpose=decision.about.purpose,
        engine=how.engine,
        at=how.started,
        started=how.started,
        finished=max(how.started, datetime.now(UTC)),
        policy=decision.about.policy,
        plan=decision.about.plan,
        versions=account.versions(),
        files={name: sha256_text(content) for name, content in decision.attachments.items()},
        origin=last.origin,
        **decision.records,
        **more,
    )
