"""Whether the numbers of a receipt add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minimize.receipt.receipt import Receipt


def imbalances(receipt: Receipt) -> list[str]:
    """What does not add up, in words and counts; empty where everything does."""
    return [f"{what}: {left} is not {right}" for what, left, right in _equations(receipt) if left != right] + [
        f"{what} is below zero" for what, count in _counts(receipt) if count < 0
    ]


def _equations(receipt: Receipt) -> Iterator[tuple[str, int, int]]:
    rows, gated, quarantine = receipt.rows, receipt.gated_by, receipt.quarantine
    fates = rows.written + rows.gated + rows.quarantined + rows.suppressed + rows.deduplicated
    yield "rows.read and the fates of rows", rows.read, fates
    yield "rows.gated and gated_by", rows.gated, sum(gated.reasons.values())
    yield "rows.quarantined and quarantine.rows", rows.quarantined, quarantine.rows
    yield "quarantine.rows and by_code", quarantine.rows, sum(quarantine.by_code.values())
    if quarantine.files:
        yield "quarantine.rows and its files", quarantine.rows, sum(file.rows for file in quarantine.files)
    for name, output in receipt.outputs.items():
        yield f"the rows of {name} and its files", output.rows, sum(file.rows for file in output.files)
    if "records" in receipt.outputs:
        yield "rows.written and the records output", rows.written, receipt.outputs["records"].rows
    if receipt.inputs:
        yield "rows.read and the inputs", rows.read, sum(each.rows for each in receipt.inputs)


def _counts(receipt: Receipt) -> Iterator[tuple[str, int]]:
    rows = receipt.rows
    for name in ("read", "written", "gated", "quarantined", "suppressed", "deduplicated"):
        yield f"rows.{name}", getattr(rows, name)
    for name, count in receipt.gated_by.reasons.items():
        yield f"gated_by.{name}", count
    for code, count in receipt.quarantine.by_code.items():
        yield f"quarantine.by_code.{code}", count
