"""Whether a version of a policy was approved before it ran: by the receipts of its runs, and by what the policy says itself."""

from __future__ import annotations

from collections.abc import Sequence

from minimize.policy.model import Policy
from minimize.receipt import Receipt
from minimize.report.facts import Approved


def approved(receipts: Sequence[Receipt], policy: Policy | None) -> Approved:
    """Whether somebody had approved the policy of these receipts as it was: `no` where it was changed since, `unknown` where
    nobody says anything of it."""
    if receipts and all(receipt.policy.approved is not None for receipt in receipts):
        return "yes"
    return "unknown" if policy is None or policy.approved is None else "no"
