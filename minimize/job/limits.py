"""What stops a run: a time before that of an earlier receipt, or too much in quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from minimize.engines.base import Outcome
from minimize.errors import OutputError, RefusedError, StoppedError
from minimize.io.publish import Output
from minimize.job.dates import Day
from minimize.job.given import Given, text_of
from minimize.policy.pipeline import Pipeline
from minimize.receipt import ANNOTATING, Receipt


def quarantine_exceeded(receipt: Receipt, pipeline: Pipeline) -> str:
    """What to say where the share of quarantined rows is above the pipeline's `fail_above`; nothing otherwise."""
    limit = pipeline.quarantine.fail_above
    share = receipt.rows.quarantined / receipt.rows.read if receipt.rows.read else 0.0
    if limit is None or share <= limit:
        return ""
    return f"done, but {receipt.rows.quarantined} of {receipt.rows.read} rows are in quarantine: more than {limit:.2%}"


def unfinished(receipt: Receipt) -> str:
    """What to say where something that was asked for could not be done; nothing otherwise."""
    parts = []
    if receipt.skipped:
        parts.append(f"{len(receipt.skipped)} of the pending dates were left alone")
    for name, output in receipt.outputs.items():
        if output.unpublished:
            parts.append(f"{name}: {len(output.unpublished)} event days were not published")
    return "; ".join(parts)


def check_whose(given: Given, folder: Output) -> None:
    """No pipeline takes the place of another's dates. Raises OutputError."""
    chain, mine = folder.receipts(), given.pipeline.pipeline
    if chain and chain[-1].pipeline != mine:
        hint = "write to another folder: --output DIR, or `output:` of the pipeline"
        raise OutputError(f"the output is one of the pipeline {chain[-1].pipeline}, and this is {mine}", hint=hint)


def check_at(given: Given, folder: Output) -> None:
    """No run may be as of a time before the last receipt of its dates: it would undo what was gated since."""
    days = {text_of(day) for day in given.sources}
    for receipt in folder.receipts():
        if receipt.kind in ANNOTATING:
            continue
        if receipt.at > given.at and (None in days or not receipt.dates or days & set(receipt.dates)):
            hint = "give a later --at, or write to another folder"
            if not given.at_given:
                hint = (
                    "did the clock go back? it goes on by itself once the clock is past that time, or with a later --at"
                )
            raise RefusedError(f"a receipt of these dates is as of a later time ({receipt.run_id})", hint=hint)


def check_quarantine(pipeline: Pipeline, outcomes: Mapping[Day, Outcome]) -> dict[Day, Outcome]:
    """The batch dates of which more is in quarantine than the pipeline's `stop_above`: a bad one does not hide among others."""
    limit = pipeline.quarantine.stop_above
    if limit is None:
        return {}
    return {day: each for day, each in outcomes.items() if each.read and each.rejects.total() / each.read > limit}


def too_much(pipeline: Pipeline, outcomes: Mapping[Day, Outcome]) -> StoppedError:
    """What to raise for these dates."""
    limit, several = pipeline.quarantine.stop_above, len(outcomes) > 1
    read = sum(outcome.read for outcome in outcomes.values())
    codes = sum((outcome.rejects for outcome in outcomes.values()), Counter[str]())
    said = ", ".join(f"{code} {rows}" for code, rows in sorted(codes.items()))
    days = ", ".join(sorted(filter(None, map(text_of, outcomes)))[:5]) + (" …" if len(outcomes) > 5 else "")
    hint = "`minimize drift` says what changed at the source; what stood before still stands"
    where = f" on {days}" if days else ""
    each = " each" if several else ""
    message = f"{codes.total()} of {read} rows would be in quarantine{where}: more than {limit or 0:.2%}{each} ({said})"
    return StoppedError(message, hint=hint)
