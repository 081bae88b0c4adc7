"""Whether the receipts of an output name one ledger, unless a receipt adopts another; and what such receipts may say."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.receipt import ANNOTATING, Rows
from minimize.verification.codes import found
from minimize.verification.evidence import Evidence


def check_ledgers(evidence: Evidence) -> Iterator[Finding]:
    """V063 and V064, receipt by receipt."""
    ledger: str | None = None
    for run in evidence.runs:
        receipt = run.receipt
        named = None if receipt.audit is None else receipt.audit.ledger
        if ledger is not None and named not in (None, ledger) and receipt.kind != "adopt":
            hint = "was it run with another ledger? `minimize runs adopt-ledger` records that it is meant"
            yield found("V063", "names another ledger than the receipt before", file=run.place, hint=hint)
        ledger = named or ledger
        if receipt.kind in ANNOTATING and (
            receipt.outputs or receipt.replaces or receipt.removes or receipt.inputs or receipt.rows != Rows()
        ):
            yield found("V064", f"a receipt of kind {receipt.kind} changes files or counts rows", file=run.place)
