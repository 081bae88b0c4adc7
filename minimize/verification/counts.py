"""Whether what receipts count for a field can be true of its technique."""

from __future__ import annotations

from collections.abc import Iterator

from minimize.errors import Finding
from minimize.receipt import FieldReceipt
from minimize.verification.codes import found
from minimize.verification.evidence import Evidence
from minimize.verification.policy import FieldView


def check_counts(evidence: Evidence) -> Iterator[Finding]:
    """V032, for every field of every receipt."""
    for run in evidence.runs:
        views = {} if run.policy is None else {view.key: view for view in run.policy.fields.values()}
        for key, counted in run.receipt.fields.items() if run.policy is not None else ():
            fault = _fault(counted, views.get(key), run.is_first)
            if fault:
                yield found("V032", fault, file=run.place, field=key)


def _fault(counted: FieldReceipt, view: FieldView | None, first: bool) -> str | None:
    lost = counted.gated + counted.unparsable + counted.dropped
    if view is None:
        return "counts a field that the policy does not declare"
    if counted.values is None:
        return "does not count a field that is released" if view.chains else None
    if lost > counted.values or counted.changed > counted.values:
        return "more values were lost or changed than there were"
    shifts = [chain[-1].word == "shift_dates" for chain in view.chains]
    if first and shifts and all(shifts) and counted.changed < counted.values - lost:
        return "dates were not shifted: a shift is never nothing"
    return None
