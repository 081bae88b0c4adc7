"""Guards of a run, and its exit code.

The guards check for another pipeline's output, another ledger or keyring, later receipts, too much quarantine, fewer rows and an
implausible clock.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from minimize.errors import RefusedError
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt
from minimize.stores import (
    Location,
    ObjectPath,
    location_text,
)

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cache

from minimize.engines.base import BatchOutcome
from minimize.errors import KeyringError, OutputError, StoppedError
from minimize.ledger.clock import (
    ALLOW_TIME_HINT,
    CLOCK_SKEW,
    IMPLAUSIBLE_TIME,
    doubt_time,
    is_time_allowed,
    time_difference,
)
from minimize.ledger.database import server_time
from minimize.output.folder import batch_date_of, read_exact_receipt
from minimize.output.publish import OpenOutput
from minimize.receipts.chain import effective_receipts
from minimize.receipts.shown_counts import rows_text
from minimize.records import RECORDS, RUNS
from minimize.results import LogMessage
from minimize.runs.batch_dates import BatchDate, SkippedDate, date_text, reads_source, worst_exit_code
from minimize.runs.resolve import ResolvedRun
from minimize.stages.risk_bound import RiskDecision
from minimize.text import count_noun
from minimize.times import time_text

_DRIFT_HINT: Final = "Run `minimize drift` to see what changed in the source. The output of this date is unchanged."


def quarantine_exceeded(receipt: Receipt, pipeline: Pipeline) -> str:
    """The message for a share of quarantined rows above the pipeline's `warn_above`; otherwise empty."""
    limit = pipeline.quarantine.warning_share
    above = receipt.quarantine.above_limit if receipt.rows.is_sealed else _is_above(receipt, limit)
    if limit is None or not above:
        return ""
    read = rows_text(receipt.rows.read, sealed=receipt.rows.is_sealed)
    return f"published, but {receipt.quarantine.rows} of {read} rows are in quarantine: more than {limit:.2%}"


def state_quarantine_limit(receipt: Receipt, pipeline: Pipeline) -> Receipt:
    """The receipt of a run with exact counts; states whether its quarantine is above `warn_above` if no records are published,
    because then the number of rows read is sealed."""
    if RECORDS in receipt.outputs:
        return receipt
    above = _is_above(receipt, pipeline.quarantine.warning_share)
    return replace(receipt, quarantine=replace(receipt.quarantine, above_limit=above))


def _is_above(receipt: Receipt, limit: float | None) -> bool:
    return limit is not None and receipt.quarantine_share > limit


def unfinished_parts(receipt: Receipt) -> str:
    """The message for parts of the run that could not be done; otherwise empty."""
    parts = []
    if receipt.skipped:
        parts.append(f"{count_noun(len(receipt.skipped), 'date')} skipped")
    for name, output in receipt.outputs.items():
        if output.unpublished:
            parts.append(f"{name}: {count_noun(len(output.unpublished), 'event day')} not published")
    return "; ".join(parts)


def exit_code(receipt: Receipt, pipeline: Pipeline, skipped: Iterable[SkippedDate], *, pending: bool) -> int:
    """The exit code of a run. Of several dates, the first of 2, 3, 1, 4 that applies."""
    codes = [each.exit_code_of(pending) for each in skipped]
    codes += [1] if any(output.unpublished for output in receipt.outputs.values()) else []
    codes += [4] if quarantine_exceeded(receipt, pipeline) else []
    return worst_exit_code(codes)


def run_log_messages(
    runs: Iterable[tuple[Receipt, Pipeline]], failures: Iterable[SkippedDate] = ()
) -> list[LogMessage]:
    """Errors about completed runs: too much quarantine, unfinished parts, and dates that could not be run."""
    each_run = list(runs)
    faults = [("W012", receipt, quarantine_exceeded(receipt, pipeline)) for receipt, pipeline in each_run]
    faults += [("W015", receipt, unfinished_parts(receipt)) for receipt, _ in each_run]
    messages = [
        LogMessage(code, message, logging.ERROR, receipt.run_id) for code, receipt, message in faults if message
    ]
    return [*messages, *(each.log_message(logging.ERROR) for each in failures)]


def runs_exit_code(runs: Iterable[tuple[Receipt, Pipeline]], failures: Iterable[SkippedDate]) -> int:
    """The exit code of a command that ran several dates: the first of 2, 3, 1, 4 that applies."""
    codes = [each.exit_code for each in failures]
    for receipt, pipeline in runs:
        codes += [4] if quarantine_exceeded(receipt, pipeline) else []
        codes += [1] if unfinished_parts(receipt) else []
    return worst_exit_code(codes)


def check_same_pipeline(resolved: ResolvedRun, folder: OpenOutput) -> None:
    """Raises OutputError if the output belongs to another pipeline or region, whose dates would be replaced."""
    chain, pipeline = folder.receipts(), resolved.pipeline.pipeline
    if chain and chain[-1].pipeline != pipeline:
        hint = "Write to another folder with --output DIR or `output:` in the pipeline."
        raise OutputError(f"the output belongs to the pipeline {chain[-1].pipeline}, not to {pipeline}", hint=hint)
    region, output_region = resolved.pipeline.region, chain[-1].region if chain else None
    if chain and (None if region is None else region.name) != (None if output_region is None else output_region.name):
        output_text = "no region" if output_region is None else f"the region {output_region.name}"
        run_text = "no region" if region is None else f"the region {region.name}"
        hint = "Write to another folder with --output DIR."
        raise OutputError(f"the output belongs to {output_text}, and the run is for {run_text}", hint=hint)


def later_time(at: datetime, chain: Sequence[Receipt], dates: Collection[str | None], now: datetime) -> datetime:
    """The time of a change of these dates that got its time from the clock, once it holds the lease.

    Another command may have published since the change got its time, or have a clock that is a little ahead. The change is then
    as of the latest time of the receipts. A receipt that is ahead of the clock stays later: one of the two is wrong.
    """
    limit = now + CLOCK_SKEW
    times = [each.at for each in effective_receipts(chain) if each.at <= limit and covers_dates(each, dates)]
    return max((at, *times))


def covers_dates(receipt: Receipt, dates: Collection[str | None]) -> bool:
    """Whether a receipt is about one of these dates; None stands for the one batch of a source without dates."""
    return not receipt.dates or None in dates or not set(receipt.dates).isdisjoint(dates)


def dates_with_later_receipt(resolved: ResolvedRun, chain: Sequence[Receipt]) -> list[SkippedDate]:
    """The dates with a receipt as of a later time. A run as of an earlier time would publish values that were gated since."""
    advice = "Pass a later --at or another --output. If that run used a wrong clock"
    if not resolved.at_given:
        advice = "Check the clock. Run again after that time, or pass a later --at. If that run's clock was ahead"
    later = [receipt for receipt in effective_receipts(chain) if receipt.at > resolved.at]
    skipped_dates = []
    for when in resolved.sources:
        covering_receipts = [each for each in later if when is None or not each.dates or date_text(when) in each.dates]
        if covering_receipts:
            message = (
                f"a later run ({covering_receipts[-1].run_id}) already covers these dates: "
                f"its time is {time_text(covering_receipts[-1].at)}, the time of this run is {time_text(resolved.at)}"
            )
            hint = f"{advice}, run {_void_command(covering_receipts[-1], resolved)}."
            skipped_dates.append(SkippedDate(when, "later", RefusedError.default_code, message, hint, exit_code=3))
    return skipped_dates


def _void_command(receipt: Receipt, resolved: ResolvedRun) -> str:
    return f"`minimize runs void {receipt.run_id} --output {location_text(resolved.output)} --reason TEXT`"


def check_quarantine_limit(pipeline: Pipeline, outcomes: Mapping[BatchDate, BatchOutcome]) -> list[SkippedDate]:
    """The dates whose share of quarantine is above the pipeline's `abort_above`. Each date is checked alone, not the total."""
    limit = pipeline.quarantine.highest_share
    bad = {
        when: outcome
        for when, outcome in outcomes.items()
        if limit is not None and outcome.rejects.total() > outcome.read * limit
    }
    return [
        SkippedDate(
            when,
            "stopped",
            StoppedError.default_code,
            _quarantine_text(when, outcome, limit or 0, sealed=pipeline.records is None),
            _DRIFT_HINT,
            exit_code=4,
        )
        for when, outcome in bad.items()
    ]


def check_risk(outcomes: Mapping[BatchDate, BatchOutcome]) -> list[SkippedDate]:
    """The dates whose records miss the bound on disclosure risk, each with the measures that miss it."""
    return [
        SkippedDate(when, "risk", RISK_CODE, _risk_text(when, outcome.risk), _RISK_HINT, exit_code=3)
        for when, outcome in outcomes.items()
        if outcome.risk is not None and outcome.risk.missed
    ]


def check_risk_of_all_dates(missed: Sequence[str]) -> None:
    """Raises RefusedError if all dates in force together miss measures of the bound on disclosure risk."""
    if missed:
        raise RefusedError(
            f"the records of all dates in force together miss the bound on disclosure risk: {', '.join(missed)}",
            code=RISK_CODE,
            hint="Run the other dates again under the bound, or let them end with their retention.",
        )


RISK_CODE: Final = "E305"
_RISK_HINT: Final = (
    "Make quasi-identifiers coarser, or let the run remove or coarsen records: "
    "`records: risk: otherwise: suppress`. `minimize risk` shows which field makes records rare."
)


def _risk_text(when: BatchDate, decision: RiskDecision) -> str:
    where = "" if when is None else f" of {when}"
    return f"the records{where} miss the bound on disclosure risk: {'; '.join(decision.missed)}"


def _quarantine_text(when: BatchDate, outcome: BatchOutcome, limit: float, *, sealed: bool) -> str:
    codes = ", ".join(f"{code} {rows}" for code, rows in sorted(outcome.rejects.items()))
    where = "" if when is None else f" on {when}"
    read = rows_text(outcome.read, sealed=sealed)
    rows = f"{outcome.rejects.total()} of {read} rows would be in quarantine{where}"
    return f"{rows}: more than {limit:.2%} ({codes})"


ReferenceClock = Callable[[], datetime | None]
"""The time of a clock other than this machine's; None if there is none."""
SHRINK_CODE: Final = "E102"
_ALLOW_HINT: Final = "pass --allow-shrink (allow_shrink=True) to publish anyway."


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows of one date: how many were read, and how many of these were neither quarantined nor past their retention."""

    read: int
    retained: int

    @classmethod
    def from_outcome(cls, outcome: BatchOutcome) -> KeptRows:
        """The rows of a processed date."""
        lost = outcome.rejects.total() + outcome.counts.gated.get("retention", 0)
        return cls(outcome.read, outcome.read - lost)

    @classmethod
    def at_receipt(cls, receipt: Receipt, when: BatchDate) -> KeptRows:
        """The rows of a date at its last receipt.

        A receipt of several dates has one retention count for all of them. The result is then a lower bound for the date.
        """
        retention = receipt.gated_by.retention or 0
        if len(receipt.dates) < 2:
            return cls(receipt.rows.read, receipt.rows.read - receipt.quarantine.rows - retention)
        date = date_text(when)
        read = sum(each.rows or 0 for each in receipt.inputs if each.date == date)
        rejected = sum(file.rows for file in receipt.quarantine.files if batch_date_of(file.path) == date)
        records = receipt.outputs[RECORDS].files if RECORDS in receipt.outputs else ()
        written = sum(file.rows for file in records if batch_date_of(file.path) == date)
        return cls(read, max(read - rejected - retention, written))


def check_shrink(
    resolved: ResolvedRun, outcomes: Mapping[BatchDate, BatchOutcome], chain: Sequence[Receipt], clock: ReferenceClock
) -> list[SkippedDate]:
    """The dates that the guard skips. Asks the clock only if rows were lost to quarantine or retention."""
    doubt = partial(time_doubt, resolved.at, chain, clock, is_given=resolved.at_given)
    skipped_dates = []
    for when, outcome in outcomes.items():
        last = next(
            (
                receipt
                for receipt in reversed(effective_receipts(chain))
                if reads_source(receipt) and _covers_date(receipt, when)
            ),
            None,
        )
        skipped = (
            _check_first_run(when, outcome, doubt, sealed=RECORDS not in resolved.plan.outputs)
            if last is None
            else _check_date(resolved, when, KeptRows.from_outcome(outcome), last, doubt)
        )
        if skipped is not None:
            skipped_dates.append(skipped)
    return skipped_dates


ALLOW_REMOVAL_HINT: Final = "Check the clock, or pass --allow-shrink (allow_shrink=True) to remove the data anyway."


def check_change_time(
    ledger: Ledger,
    output: Location,
    chain: Sequence[Receipt],
    at: datetime | None = None,
    *,
    is_given: bool = False,
    is_allowed: bool = False,
    hint: str = ALLOW_TIME_HINT,
) -> None:
    """Raises RefusedError (E304) if a change of published files has an implausible time. Every rewrite calls it under its lease.

    at        the reference time; None for a change that no time decides, such as a key rotation
    is_given  whether a person stated it (`--at`), instead of the clock
    """
    if is_allowed or is_time_allowed():
        return
    now = ledger.now
    clock = cache(reference_clock(ledger, output, now))
    doubt = time_doubt(at or now, chain, clock, is_given=is_given)
    if not doubt and is_given and at is not None and at > now + CLOCK_SKEW and clock() is None:
        doubt = f"in the future ({time_difference(at, now)})"
    if doubt:
        raise RefusedError(f"nothing was removed: the time is {doubt}", code=IMPLAUSIBLE_TIME, hint=hint)


TimeDoubt = Callable[[], str]
"""Why the time of the run is implausible; empty if it is plausible."""


def _check_first_run(
    when: BatchDate, outcome: BatchOutcome, doubt_run: TimeDoubt, *, sealed: bool
) -> SkippedDate | None:
    """The guard for a date without a receipt. Waiting loses nothing; a wrong clock would publish the date without its rows."""
    expired = outcome.counts.gated.get("retention", 0)
    if not expired or 2 * expired < outcome.read:
        return None
    doubt = doubt_run()
    if not doubt:
        return None
    message = (
        f"retention would remove {rows_text(expired, sealed=sealed)} of {rows_text(outcome.read, sealed=sealed)} rows "
        "of a date that was never run, "
        f"and the run's time is {doubt}"
    )
    return SkippedDate(when, "implausible_time", SHRINK_CODE, message, f"Check the clock, or {_ALLOW_HINT}")


def _check_date(
    resolved: ResolvedRun,
    when: BatchDate,
    now: KeptRows,
    last: Receipt,
    doubt_run: TimeDoubt,
) -> SkippedDate | None:
    exact = last
    with suppress(KeyringError):  # if the key was destroyed, the rounded number is compared
        exact = read_exact_receipt(resolved.output, last, resolved.keys)
    before = KeptRows.at_receipt(exact, when)
    text = partial(rows_text, sealed=RECORDS not in resolved.plan.outputs or last.rows.is_sealed)
    if 2 * now.read < before.read:
        message = f"only {text(now.read)} rows were read; the last run ({last.run_id}) read {text(before.read)}"
        hint = f"Restore the missing input, or {_ALLOW_HINT}"
        return SkippedDate(when, "fewer_rows", SHRINK_CODE, message, hint)
    if 2 * now.retained >= before.retained:
        return None
    doubt = doubt_run()
    if not doubt:
        return None
    message = (
        f"quarantine and retention would leave {text(now.retained)} of {text(now.read)} rows "
        f"({text(before.retained)} at the last run, {last.run_id}), and the run's time is {doubt}"
    )
    hint = f"Check the clock. If that run used a wrong clock, run {_void_command(last, resolved)}. Else {_ALLOW_HINT}"
    return SkippedDate(when, "implausible_time", SHRINK_CODE, message, hint)


def time_doubt(at: datetime, chain: Sequence[Receipt], clock: ReferenceClock, *, is_given: bool) -> str:
    """Why the time of a change is implausible; empty if it is plausible, or if nothing was published before.

    A time from the clock (not `is_given`) is also compared with the clock at the last publication, whose time may be another.
    """
    newest = next((each for each in reversed(effective_receipts(chain)) if each.kind != "rotate"), None)
    if newest is None or is_time_allowed():
        return ""
    return doubt_time(at, clock(), newest.at if is_given else max(newest.at, newest.finished))


def _covers_date(receipt: Receipt, when: BatchDate) -> bool:
    return not receipt.dates if when is None else when.isoformat() in receipt.dates


def reference_clock(ledger: Ledger, output: Location, started: datetime) -> ReferenceClock:
    """The clock of the ledger's server, else of the output's object store, as of the start of the run."""

    def read_clock() -> datetime | None:
        reference_time = _server_time(ledger) or _store_time(output)
        return None if reference_time is None else reference_time - (ledger.now - started)

    return read_clock


def _server_time(ledger: Ledger) -> datetime | None:

    return ledger.read(server_time)


def _store_time(output: Location) -> datetime | None:
    """The time that the store reports for an object written for this purpose. None if the output is a folder."""
    if not isinstance(output, ObjectPath):
        return None
    probe = output / RUNS / ".clock"
    probe.write_bytes(b"clock")
    try:
        return probe.modified_at()
    finally:
        probe.unlink()
