"""What stops a run, and the exit code that follows: a time before an earlier receipt's, or too much in quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from minimize.counts import counted
from minimize.engines.base import Outcome
from minimize.errors import OutputError, RefusedError, StoppedError
from minimize.io.publish import Output
from minimize.job.dates import Day
from minimize.job.given import Given, text_of
from minimize.job.pending import Skipped, worst
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt
from minimize.receipt.void import counting
from minimize.stores import written

_DRIFT: Final = "`minimize drift` says what changed at the source; what stood before still stands"


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
        parts.append(f"{counted(len(receipt.skipped), 'date')} left alone")
    for name, output in receipt.outputs.items():
        if output.unpublished:
            parts.append(f"{name}: {len(output.unpublished)} event days were not published")
    return "; ".join(parts)


def exit_code(receipt: Receipt, pipeline: Pipeline, skipped: Iterable[Skipped], *, pending: bool) -> int:
    """The exit code of a run: of several dates the first of 2, 3, 1, 4 that applies."""
    codes = [each.exit_code_of(pending) for each in skipped]
    codes += [1] if any(output.unpublished for output in receipt.outputs.values()) else []
    codes += [4] if quarantine_exceeded(receipt, pipeline) else []
    return worst(codes)


def check_whose(given: Given, folder: Output) -> None:
    """No pipeline takes the place of another's dates. Raises OutputError."""
    chain, mine = folder.receipts(), given.pipeline.pipeline
    if chain and chain[-1].pipeline != mine:
        hint = "write to another folder: --output DIR, or `output:` of the pipeline"
        raise OutputError(f"the output is one of the pipeline {chain[-1].pipeline}, and this is {mine}", hint=hint)


def too_early(given: Given, chain: Sequence[Receipt]) -> list[Skipped]:
    """The dates that have a receipt as of a later time: a run as of an earlier one would undo what was gated since."""
    void = f"`minimize runs void RUN --output {written(given.output)}`"
    hint = f"give a later --at, or write to another folder; {void} takes back a run by a wrong clock"
    if not given.at_given:
        hint = (
            "did the clock go back? it goes on by itself once the clock is past that time, or with a later --at; "
            f"{void} takes back a run by a clock that was ahead"
        )
    later = [receipt for receipt in counting(chain) if receipt.at > given.at]
    found = []
    for when in given.sources:
        of = [each for each in later if when is None or not each.dates or text_of(when) in each.dates]
        if of:
            message = f"a receipt of these dates is as of a later time ({of[-1].run_id})"
            found.append(Skipped(when, "later", RefusedError.default_code, message, hint, exit_code=3))
    return found


def check_quarantine(pipeline: Pipeline, outcomes: Mapping[Day, Outcome]) -> list[Skipped]:
    """The dates of which more is in quarantine than the pipeline's `stop_above`: a bad one does not hide among others."""
    limit = pipeline.quarantine.stop_above
    bad = {
        when: each for when, each in outcomes.items() if limit is not None and each.rejects.total() > each.read * limit
    }
    return [
        Skipped(when, "stopped", StoppedError.default_code, _quarantined(when, each, limit or 0), _DRIFT, exit_code=4)
        for when, each in bad.items()
    ]


def _quarantined(when: Day, outcome: Outcome, limit: float) -> str:
    codes = ", ".join(f"{code} {rows}" for code, rows in sorted(outcome.rejects.items()))
    where = "" if when is None else f" on {when}"
    rows = f"{outcome.rejects.total()} of {outcome.read} rows would be in quarantine{where}"
    return f"{rows}: more than {limit:.2%} ({codes})"
