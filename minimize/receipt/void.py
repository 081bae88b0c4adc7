"""Receipts of kind `void`: a run that does not count any more. Its files stay in force until its dates are run again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from minimize.errors import Finding
from minimize.receipt.model import ANNOTATING
from minimize.receipt.receipt import Receipt

VOID: Final = "void"
VOIDABLE: Final = frozenset({"run", "replay", "expire"})
"""The kinds of receipt that can be declared void. What a retraction, correction or deletion did is not taken back."""


def voided(receipts: Iterable[Receipt]) -> frozenset[str]:
    """The ids of the runs that do not count."""
    return frozenset(receipt.voids for receipt in receipts if receipt.voids is not None)


def counting(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """The receipts that count, by sequence: without runs that are void, and without receipts that only record a decision."""
    all_ = list(receipts)
    gone = voided(all_)
    found = (receipt for receipt in all_ if receipt.kind not in ANNOTATING and receipt.run_id not in gone)
    return tuple(sorted(found, key=lambda receipt: receipt.sequence))


def check_voids(receipts: Iterable[Receipt]) -> Iterator[Finding]:
    """V006: a void receipt that names no earlier run that can be void, names one again, or changes files."""
    known: dict[str, str] = {}
    for receipt in sorted(receipts, key=lambda receipt: receipt.sequence):
        if receipt.kind == VOID or receipt.voids is not None:
            fault = _fault(receipt, known)
            if fault:
                yield Finding("V006", fault, file=f"runs/{receipt.run_id}/receipt.json")
            known.pop(receipt.voids or "", None)
        known[receipt.run_id] = receipt.kind


def _fault(receipt: Receipt, known: dict[str, str]) -> str:
    if receipt.kind != VOID or receipt.voids is None or not receipt.reason:
        return "declares a run void without being a void receipt with a run and a reason"
    if known.get(receipt.voids) not in VOIDABLE:
        return f"declares {receipt.voids} void, which no earlier receipt that counts is"
    if receipt.outputs or receipt.replaces or receipt.removes or receipt.quarantine.files:
        return "is a void receipt and changes files"
    return ""
