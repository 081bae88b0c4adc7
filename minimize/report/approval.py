"""Whether a version of a policy was approved before it ran, as far as the receipts that followed it tell."""

from __future__ import annotations

from collections.abc import Iterable

from minimize.receipt import Receipt
from minimize.report.facts import Approved


def approved(receipts: Iterable[Receipt]) -> Approved:
    """Whether the policy of these receipts was one that somebody had approved: unknown where they say nothing of it."""
    said = {str(receipt.as_json()["policy"].get("approval") or "") for receipt in receipts}
    return "unknown" if "" in said or not said else "yes"
