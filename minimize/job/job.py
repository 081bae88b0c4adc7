"""`run`: pipeline → receipt. Everything is checked before the first byte is read, and published at once or not at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from os import PathLike
from typing import TYPE_CHECKING, Any

from minimize.engines import ENGINES
from minimize.errors import ConfigurationError, quietly, without_values
from minimize.io.publish import Output, Staging, open_output
from minimize.job.beside import beside
from minimize.job.booking import booked, catch_up, told
from minimize.job.dates import Wanted
from minimize.job.encrypting import tell_made
from minimize.job.erasing import check_still, first_read
from minimize.job.erasure_list import store
from minimize.job.given import Given, as_pipeline, resolve
from minimize.job.late import Late
from minimize.job.leaving import leaving
from minimize.job.ledgers import check_ledger_of
from minimize.job.limits import check_at, check_quarantine, check_whose, too_much
from minimize.job.moving import moved
from minimize.job.observers import figures, observer_of, told_if_refused
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
) -> Receipt:
    """Runs a pipeline: reads, gates, generalizes, aggregates, publishes.

    Takes a folder, a pipeline.yaml or a loaded Pipeline; a batch date, or the first and the last of a span (all dates found
    where none is given), of these only the `pending` ones: those whose inputs changed since their last receipt; the time of the
    run (aware; now); what stands in for the pipeline's source, settings, output folder, keyring and ledger;
    `progress` is told how many files were read, of how many; a file for lineage events, and a file or folder for metrics (`off`
    for none).
    Gives the signed receipt. Where there is no input for the date, nothing is published, and the receipt has sequence 0.
    Raises PolicyError, SchemaError, KeyringError, OutputError, LedgerError (2), RefusedError (3) before anything is read,
    SourceError for damaged input, and StoppedError (4) above `quarantine.stop_above`; then nothing is published either.
    """
    job, wanted = as_pipeline(pipeline), Wanted.of(date, since, until, pending=pending)
    target = job.target(output)
    where = places(job.folder, target, job.pipeline, lineage, metrics)
    how = How("run", engine_named(engine), datetime.now(UTC), progress or quiet, where, ledger=ledger)
    with told_if_refused(job, target, how):
        check_ledger_of(target, job.folder, ledger)
        given = resolve(
            job, wanted=wanted, at=at, input=input, settings=settings, output=output, keys=keys, ledger=ledger
        )
    if not given.nothing:
        check_approval(given.pipeline.policy, given.pipeline.folder)
    return perform(given, how)


def perform(given: Given, how: How) -> Receipt:
    """Does what was resolved. Gives and raises what `run` does."""
    if given.nothing:
        receipt, observer = nothing_done(given, how), observer_of(given, how, "")
        (observer.incomplete if given.incomplete else observer.idle)(receipt.finished)
        return receipt
    return quietly(lambda: _performed(given, how))


def engine_named(name: str) -> str:
    """The engine's name, if there is one. Raises ConfigurationError."""
    if name not in ENGINES:
        raise ConfigurationError(f"there is no engine {name}", hint=f"choose {' or '.join(ENGINES)}")
    return name


def _performed(given: Given, how: How) -> Receipt:
    with (
        booked(given, how) as booking,
        open_output(given.output, source=given.fence, lease=booking.head) as folder,
    ):
        catch_up(booking, folder.receipts())
        check_whose(given, folder)
        check_at(given, folder)
        with observed(observer_of(given, how, booking.run_id), how.started) as observer:
            receipt = quietly(lambda: _published(_with_reads(given, folder), folder, how, booking))
        tell_made(booking, given.keys, how.started)
        observer.published(receipt)
        return receipt


def _with_reads(given: Given, folder: Output) -> Given:
    """The same with when each file was first read, if somebody was erased."""
    return replace(given, read=first_read(folder.receipts())) if given.people.erased.rows else given


def _published(given: Given, folder: Output, how: How, booking: Booking) -> Receipt:
    """Publishes all dates, or none; of pending ones those of which not too much is in quarantine."""
    late = Late.of(given, folder.receipts())
    with folder.begin(booking.run_id) as staging:
        outcomes, files = moved(given, staging, ENGINES[how.engine], late, how.progress)
        bad = check_quarantine(given.pipeline, outcomes)
        if not bad:
            attachments = beside(given.pipeline, given.plan, how.backfill)
            attachments |= leaving(folder.folder, folder.receipts(), staging.standing(), given.keys)
            receipt = receipt_of(given, staging, outcomes, late, files, attachments, how)
            return _signed(receipt, given, staging, attachments, booking)
    if given.pending and len(bad) < len(outcomes):
        return _published(given.without(bad), folder, how, booking)
    raise too_much(given.pipeline, bad)


def _signed(
    receipt: Receipt, given: Given, staging: Staging, attachments: Mapping[str, bytes], booking: Booking
) -> Receipt:
    signed = replace(receipt, audit=booking.head()).signed(given.keys)
    check_still(booking.ledger, given.people)
    store(given.output, given.people.recorded, given.keys)
    staging.publish(signed, attachments)
    told(booking, signed)
    data = figures(signed)
    log.info("published %d rows", signed.rows.written, extra={"code": "I001", "run_id": signed.run_id, "data": data})
    return signed


def quiet(done: int, of: int) -> None:
    """Progress that nobody watches."""
