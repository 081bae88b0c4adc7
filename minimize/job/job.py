"""`run`: pipeline → receipt. Everything is checked before the first byte is read, and published at once or not at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from os import PathLike
from typing import TYPE_CHECKING, Any

from minimize.engines import ENGINES
from minimize.engines.base import Outcome
from minimize.errors import ConfigurationError, MinimizeError, quietly, without_values
from minimize.io.publish import Output, Staging, open_output
from minimize.job.beside import beside
from minimize.job.booking import booked, catch_up, told
from minimize.job.dates import Day, Wanted
from minimize.job.encrypting import tell_made
from minimize.job.erasing import check_still, first_read
from minimize.job.erasure_list import check_list, store
from minimize.job.given import Given, as_pipeline, resolve
from minimize.job.late import Late
from minimize.job.leaving import leaving
from minimize.job.ledgers import check_ledger_of
from minimize.job.limits import check_quarantine, check_whose, too_early
from minimize.job.moving import moved
from minimize.job.observers import figures, observer_of, told_if_refused
from minimize.job.pending import READING, Skipped, error_of
from minimize.job.sender import check_same_sender, warn_of_gated, warn_without
from minimize.job.shrinking import check_shrinking, clock_beside
from minimize.job.told import How, nothing_done, receipt_of
from minimize.job.watched import Progress
from minimize.keys import Keyring
from minimize.observability import observed
from minimize.observability.places import places
from minimize.policy.pipeline import Pipeline
from minimize.policy.unapproved import check_approval
from minimize.receipt import Receipt
from minimize.stores import Anywhere

if TYPE_CHECKING:
    from minimize.ledger.booking import Booking

log = logging.getLogger("minimize")


@dataclass(frozen=True, slots=True)
class Instead:
    """What stands in for the pipeline's source, settings, output folder, keyring, ledger, and places of lineage and metrics.

    recipients  the folder of recipients; `having` prerequisites of what is received that are met
    """

    input: str | PathLike[str] | None = None
    settings: Any = None
    output: Anywhere | None = None
    keys: Keyring | str | PathLike[str] | None = None
    ledger: str | PathLike[str] | None = None
    lineage: str | PathLike[str] | None = None
    metrics: str | PathLike[str] | None = None
    recipients: str | PathLike[str] | None = None
    having: tuple[str, ...] = ()

    def resolved(self, job: Pipeline, wanted: Wanted, at: datetime | str | None = None) -> Given:
        """What a run of these dates is asked, with these places in place of the pipeline's. Raises what `resolve` raises."""
        return resolve(
            job,
            wanted=wanted,
            at=at,
            input=self.input,
            settings=self.settings,
            output=self.output,
            keys=self.keys,
            ledger=self.ledger,
            recipients=self.recipients,
            having=self.having,
        )


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did: its receipt, and the dates that it left alone."""

    receipt: Receipt
    skipped: tuple[Skipped, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The receipt, and under `failures` the dates that were left alone, if there are any."""
        failures = [each.as_json() for each in self.skipped]
        return self.receipt.as_json() | ({"failures": failures} if failures else {})


@without_values
def run(
    pipeline: Pipeline | str | PathLike[str],
    *,
    date: date | str | None = None,
    since: date | str | None = None,
    until: date | str | None = None,
    pending: bool = False,
    at: datetime | str | None = None,
    engine: str = "local",
    input: str | PathLike[str] | None = None,
    settings: Any = None,
    output: Anywhere | None = None,
    keys: Keyring | str | PathLike[str] | None = None,
    ledger: str | PathLike[str] | None = None,
    progress: Progress | None = None,
    lineage: str | PathLike[str] | None = None,
    metrics: str | PathLike[str] | None = None,
    allow_shrink: bool = False,
) -> Receipt:
    """Runs a pipeline: reads, gates, generalizes, aggregates, publishes.

    Takes a folder, a pipeline.yaml or a loaded Pipeline; a batch date, or the first and the last of a span (all dates found
    where none is given), of these only the `pending` ones: those whose inputs changed since their last receipt; the time of the
    run (aware; now); what stands in for the pipeline's source, settings, output folder, keyring and ledger;
    `progress` is told how many files were read, of how many; a file for lineage events, and a file or folder for metrics (`off`
    for none); and whether the shrink guard is off, which leaves a date alone that has far fewer rows than at its last receipt.
    Gives the signed receipt. Its `skipped` names the dates that were left alone, for example because a file cannot be read; the
    log says why. If there is no input for the date, or all pending dates were left alone, nothing is published, and the receipt
    has sequence 0.
    Raises PolicyError, SchemaError, KeyringError, OutputError, LedgerError (2), RefusedError (3) before anything is read. If no
    date is left: SourceError for files that cannot be read, RefusedError, CheckFailed (1) of the shrink guard, StoppedError (4)
    above `quarantine.stop_above`.
    """
    instead = Instead(input, settings, output, keys, ledger, lineage, metrics)
    wanted = Wanted.of(date, since, until, pending=pending)
    options: dict[str, Any] = {"at": at, "engine": engine, "progress": progress, "allow_shrink": allow_shrink}
    return run_dates(pipeline, wanted, instead, **options).receipt


def run_dates(
    pipeline: Pipeline | str | PathLike[str],
    wanted: Wanted,
    instead: Instead,
    *,
    at: datetime | str | None = None,
    engine: str = "local",
    progress: Progress | None = None,
    allow_shrink: bool = False,
) -> RunResult:
    """Runs the dates that are wanted. Raises what `run` raises."""
    job = as_pipeline(pipeline)
    target = job.target(instead.output)
    where = places(job.folder, target, job.pipeline, instead.lineage, instead.metrics)
    how = How(
        "run", engine_named(engine), datetime.now(UTC), progress or quiet, where, None, instead.ledger, allow_shrink
    )
    with told_if_refused(job, target, how):
        check_ledger_of(target, job.folder, instead.ledger)
        given = instead.resolved(job, wanted, at)
    if not given.nothing:
        check_approval(given.pipeline.policy, given.pipeline.folder)
    return performed(given, how)


def perform(given: Given, how: How) -> Receipt:
    """Does what was resolved. Gives and raises what `run` does."""
    return performed(given, how).receipt


def performed(given: Given, how: How) -> RunResult:
    """Does what was resolved, and says which dates were left alone. Raises what `run` raises."""
    done, skipped = attempted(given, how)
    if done is not None:
        return done
    if not given.pending or not _may_wait(skipped):
        raise error_of(skipped)
    return RunResult(nothing_done(replace(given, sources={}, skipped=skipped), how), skipped)


def attempted(given: Given, how: How) -> tuple[RunResult | None, tuple[Skipped, ...]]:
    """Does what was resolved. Gives no result if no date was left, but the dates and why.

    Raises what is wrong with more than single dates.
    """
    if given.nothing:
        receipt, observer = nothing_done(given, how), observer_of(given, how, "")
        (observer.incomplete if given.skipped else observer.idle)(receipt.finished)
        return RunResult(receipt, given.skipped), ()
    all_: list[Skipped] = []
    try:
        return quietly(lambda: _performed(given, how, all_)), ()
    except MinimizeError:
        if not all_:
            raise
    return None, tuple(all_)


def _may_wait(skipped: Sequence[Skipped]) -> bool:
    """Whether a pending run that leaves all of its dates alone is no error, but exits with 1."""
    codes = {each.exit_code_of(True) for each in skipped}
    return codes == {1} and not all(each.reason == "stopped" for each in skipped)


def engine_named(name: str) -> str:
    """The engine's name, if there is one. Raises ConfigurationError."""
    if name not in ENGINES:
        raise ConfigurationError(f"there is no engine {name}", hint=f"choose {' or '.join(ENGINES)}")
    return name


def _performed(given: Given, how: How, all_: list[Skipped]) -> RunResult:
    with (
        booked(given, how) as booking,
        open_output(given.output, source=given.fence, lease=booking.head) as folder,
    ):
        catch_up(booking, folder.receipts())
        check_list(folder.receipts(), given.output, given.keys)
        check_whose(given, folder)
        check_same_sender(given.pipeline, folder.receipts())
        given = _remaining(given, too_early(given, folder.receipts()), all_)
        if given.sender is not None:
            warn_without(given.people.consents, given.sender)
        with observed(observer_of(given, how, booking.run_id), how.started) as observer:
            done = quietly(lambda: _published(_with_reads(given, folder), folder, how, booking, all_))
        tell_made(booking, given.keys, how.started)
        observer.published(done.receipt)
        if given.sender is not None:
            warn_of_gated(given.people.consents, given.sender, done.receipt)
        return done


def _with_reads(given: Given, folder: Output) -> Given:
    """The same with when each file was first read, if somebody was erased."""
    return replace(given, read=first_read(folder.receipts(), given.shown)) if given.people.erased.all else given


def _remaining(given: Given, skipped: Sequence[Skipped], all_: list[Skipped]) -> Given:
    """The run without some dates. If no other is left, adds all that are skipped to `all_`, and raises their error."""
    rest = given.without(skipped)
    if not rest.sources:
        all_.extend(rest.skipped)
        raise error_of(all_)
    return rest


def _published(given: Given, folder: Output, how: How, booking: Booking, all_: list[Skipped]) -> RunResult:
    """Publishes all dates but those that are left alone, which are known once all were read; the others are then moved anew."""
    late = Late.of(given, folder.receipts())
    with folder.begin(booking.run_id) as staging:
        done = moved(given, staging, ENGINES[how.engine], late, how.progress)
        stopped = check_quarantine(given.pipeline, done.outcomes)
        rest = {when: each for when, each in done.outcomes.items() if when not in {bad.day for bad in stopped}}
        skipped = [*done.unreadable, *stopped, *_shrunk(given, rest, staging, how, booking)]
        if not skipped:
            manifest = None if given.sender is None else given.sender.party.recipient
            attachments = beside(given.pipeline, given.plan, how.backfill, manifest)
            attachments |= leaving(folder.folder, folder.receipts(), staging.standing(), given.keys)
            receipt = receipt_of(given, staging, done.outcomes, late, done.files, attachments, how)
            return RunResult(_signed(receipt, given, staging, attachments, booking), given.skipped)
    if stopped and not given.pending:
        all_.extend(skipped)
        raise error_of(skipped)
    return _published(_remaining(given, skipped, all_), folder, how, booking, all_)


def _shrunk(
    given: Given, outcomes: Mapping[Day, Outcome], staging: Staging, how: How, booking: Booking
) -> list[Skipped]:
    """The dates that the shrink guard does not let pass. It is for runs and replays."""
    if how.allow_shrink or how.kind not in READING:
        return []
    clock = clock_beside(booking.ledger, staging.output.folder, how.started)
    return check_shrinking(given, outcomes, staging.output.receipts(), clock)


def _signed(
    receipt: Receipt, given: Given, staging: Staging, attachments: Mapping[str, bytes], booking: Booking
) -> Receipt:
    check_still(booking.ledger, given.pipeline, given.people)
    erasures = store(given.output, given.people.erased.rows, given.keys)
    signed = replace(receipt, audit=booking.head(), erasures=erasures).signed(given.keys)
    staging.publish(signed, attachments)
    told(booking, signed)
    data = figures(signed)
    log.info("published %d rows", signed.rows.written, extra={"code": "I001", "run_id": signed.run_id, "data": data})
    return signed


def quiet(done: int, of: int) -> None:
    """Progress that nobody watches."""
