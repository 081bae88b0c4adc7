"""`run`: pipeline → receipt. Everything is checked before the first byte is read, and published at once or not at all."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from os import PathLike
from typing import Any, Final

from minimize.engines import ENGINES
from minimize.engines.base import Job, Outcome, row_key
from minimize.engines.passes import passes
from minimize.errors import ConfigurationError, RefusedError, StoppedError, quietly
from minimize.io.base import Written
from minimize.io.elsewhere import Elsewhere
from minimize.io.publish import Output, Staging, open_output
from minimize.io.sink import ParquetSink
from minimize.job import account
from minimize.job.beside import beside
from minimize.job.given import Day, Given, resolve
from minimize.job.watched import Progress, watched
from minimize.keys import Keyring
from minimize.plan import Plan
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Digest, FileRef, PolicyRef, Receipt, in_force, new_run_id, sha256_text
from minimize.stages.generalize import memos_of

log = logging.getLogger("minimize")
NOTHING: Final = 0
"""The sequence of a receipt that was not published, because there was nothing to do."""


def run(
    pipeline: Pipeline | str | PathLike[str],
    *,
    date: date | str | None = None,
    at: datetime | str | None = None,
    engine: str = "local",
    input: str | PathLike[str] | None = None,
    settings: Any = None,
    output: str | PathLike[str] | None = None,
    keys: Keyring | str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Receipt:
    """Runs a pipeline: reads, gates, generalizes, aggregates, publishes.

    Takes a folder, a pipeline.yaml or a loaded Pipeline; a batch date (all dates found where none is given); the time of the
    run (aware; now); what stands in for the pipeline's source, settings, output folder and keyring;
    `progress` is told how many files were read, of how many.
    Gives the signed receipt. Where there is no input for the date, nothing is published, and the receipt has sequence 0.
    Raises PolicyError, SchemaError, KeyringError, OutputError (2), RefusedError (3) before anything is read, SourceError for
    damaged input, and StoppedError (4) above `quarantine.stop_above`; then nothing is published either.
    """
    started = datetime.now(UTC)
    move = _engine(engine)
    given = resolve(pipeline, date=date, at=at, input=input, settings=settings, output=output, keys=keys)
    if given.nothing:
        return _nothing(given, engine, started)
    with open_output(given.output, source=given.fence) as folder:
        _check_at(given, folder)
        how = _Run(engine, started, progress or _quiet)
        return quietly(lambda: _published(given, given.plan, folder, move, how))


def quarantine_exceeded(receipt: Receipt, pipeline: Pipeline) -> str:
    """What to say where the share of quarantined rows is above the pipeline's `fail_above`; nothing otherwise."""
    limit = pipeline.quarantine.fail_above
    share = receipt.rows.quarantined / receipt.rows.read if receipt.rows.read else 0.0
    if limit is None or share <= limit:
        return ""
    return f"done, but {receipt.rows.quarantined} of {receipt.rows.read} rows are in quarantine: more than {limit:.2%}"


@dataclass(frozen=True, slots=True)
class _Run:
    engine: str
    started: datetime
    progress: Progress


def _published(given: Given, plan: Plan, folder: Output, move: Any, how: _Run) -> Receipt:
    run_id = new_run_id(how.started)
    for name in (name for name, aggregate in given.pipeline.aggregates.items() if aggregate.late is not None):
        log.warning("%s: `late` has no effect yet", name, extra={"code": "W011", "run_id": run_id})
    with folder.begin(run_id) as staging:
        outcomes, files = _moved(given, plan, staging, move, how.progress)
        _check_quarantine(given.pipeline, list(outcomes.values()))
        attachments = beside(given.pipeline, plan)
        receipt = _receipt(given, plan, folder, staging, outcomes, files, attachments, how)
        signed = receipt.signed(given.keys)
        staging.publish(signed, attachments)
    log.info("published %d rows", signed.rows.written, extra={"code": "I001", "run_id": run_id})
    return signed


def _moved(
    given: Given, plan: Plan, staging: Staging, move: Any, progress: Progress
) -> tuple[dict[Day, Outcome], dict[str, list[Written]]]:
    settings = None if given.settings is None else given.settings.at(given.at)
    job = Job(plan, given.at, given.keys, settings, row_key=row_key(given.keys), memos=memos_of(plan))
    outcomes: dict[Day, Outcome] = {}
    files: dict[str, list[Written]] = {}
    gone = sorted(_standing(staging) - set(plan.outputs))
    for day, source in watched(given.sources, passes(plan), progress).items():
        for name in gone:  # what the pipeline no longer has goes with the date that is run anew
            staging.place(name, _text(day))
        outcomes[day] = _one_date(job, source, _text(day), staging, move, files)
    return outcomes, files


def _one_date(
    job: Job, source: Any, day: str | None, staging: Staging, move: Any, files: dict[str, list[Written]]
) -> Outcome:
    quarantine = staging.quarantine(day)
    sinks = _Sinks(job, day, staging)
    outcome: Outcome = move(job, source, sinks if "records" in job.plan.outputs else None, quarantine)
    for sink in sinks.opened:
        files.setdefault("records", []).extend(sink.close())
    files.setdefault("records", []).extend(sinks.taken)
    files.setdefault("quarantine", []).extend(quarantine.close())
    for name, result in outcome.aggregates.items():
        table = staging.sink(name, day, job.output_schema(name))
        for batch in result.table.to_batches():
            table.write(batch)
        files.setdefault(name, []).extend(table.close())
    return outcome


def _standing(staging: Staging) -> set[str]:
    """The names of the outputs that stand from earlier runs."""
    return {name for name, files in in_force(staging.output.receipts()).items() if files}


@dataclass(slots=True)
class _Sinks:
    """Opens the sinks of one batch date's records, a file for each share, and takes in what others wrote of them."""

    job: Job
    day: str | None
    staging: Staging
    opened: list[ParquetSink] = field(default_factory=list)
    taken: list[Written] = field(default_factory=list)

    def __call__(self, number: int) -> ParquetSink:
        schema, by = self.job.records_schema, self._partition_by()
        sink = self.staging.sink("records", self.day, schema, part=number, partition_by=by)
        self.opened.append(sink)
        return sink

    def elsewhere(self) -> Elsewhere:
        """Where other processes write records."""
        schema, by = self.job.records_schema, self._partition_by()
        return self.staging.elsewhere("records", self.day, schema, partition_by=by)

    def take(self, attempt: str, written: Iterable[Written]) -> None:
        """Takes in the files that another process reported."""
        self.taken.extend(self.elsewhere().adopt(attempt, written))

    def _partition_by(self) -> tuple[str, ...]:
        records = self.job.plan.pipeline.records if self.job.plan.pipeline is not None else None
        return () if records is None else tuple(records.partition_by)


def _receipt(
    given: Given,
    plan: Plan,
    folder: Output,
    staging: Staging,
    outcomes: Mapping[Day, Outcome],
    files: Mapping[str, Sequence[Written]],
    attachments: Mapping[str, bytes],
    how: _Run,
) -> Receipt:
    chain = folder.receipts()
    found = list(outcomes.values())
    counts = account.total(found)
    return Receipt(
        run_id=staging.run_id,
        sequence=chain[-1].sequence + 1 if chain else 1,
        previous=chain[-1].digest if chain else None,
        pipeline=given.pipeline.pipeline,
        purpose=given.pipeline.purpose,
        engine=how.engine,
        at=given.at,
        at_given=given.at_given,
        started=how.started,
        finished=datetime.now(UTC),
        dates=tuple(day.isoformat() for day in outcomes if day is not None),
        policy=PolicyRef(plan.policy.policy, plan.policy.version, plan.policy.digest),
        plan=Digest(plan.digest),
        settings=None if given.settings is None else Digest(given.settings.digest),
        keys=account.key_ids(given),
        versions=account.versions(),
        inputs=account.inputs(given, outcomes),
        rows=account.rows(plan, found),
        gated_by=account.gated_by(counts),
        fields=account.fields(plan, counts),
        undeclared=account.undeclared(plan, found),
        outputs=account.outputs(plan, found, files),
        replaces=_replaced(chain, staging),
        quarantine=account.quarantine(found, files.get("quarantine", ())),
        files={name: sha256_text(content) for name, content in attachments.items()},
    )


def _replaced(chain: Sequence[Receipt], staging: Staging) -> tuple[FileRef, ...]:
    """The files that stand in the partitions of this run, with the digests that their receipts gave them."""
    known = {path: digest for receipt in chain for path, digest in _files_of(receipt)}
    return tuple(FileRef(path, known[path]) for path in staging.standing())


def _files_of(receipt: Receipt) -> Iterator[tuple[str, str]]:
    for output in receipt.outputs.values():
        yield from ((file.path, file.digest) for file in output.files)
    yield from ((file.path, file.digest) for file in receipt.quarantine.files)


def _nothing(given: Given, engine: str, started: datetime) -> Receipt:
    policy = given.pipeline.policy
    log.warning("nothing to do: no file matches %s", given.looked_at, extra={"code": "I002"})
    return Receipt(
        run_id=new_run_id(started),
        sequence=NOTHING,
        pipeline=given.pipeline.pipeline,
        purpose=given.pipeline.purpose,
        engine=engine,
        at=given.at,
        at_given=given.at_given,
        started=started,
        finished=datetime.now(UTC),
        policy=PolicyRef(policy.policy, policy.version, policy.digest),
        plan=Digest(given.plan.digest),
    )


def _check_at(given: Given, folder: Output) -> None:
    """No run may be as of a time before the last receipt of its dates: it would undo what was gated since."""
    days = {_text(day) for day in given.sources}
    for receipt in folder.receipts():
        if receipt.at > given.at and (None in days or not receipt.dates or days & set(receipt.dates)):
            hint = "give a later --at, or write to another folder"
            raise RefusedError(f"a receipt of these dates is as of a later time ({receipt.run_id})", hint=hint)


def _check_quarantine(pipeline: Pipeline, outcomes: Sequence[Outcome]) -> None:
    limit = pipeline.quarantine.stop_above
    read = sum(outcome.read for outcome in outcomes)
    quarantined = sum(outcome.rejects.total() for outcome in outcomes)
    if limit is not None and read and quarantined / read > limit:
        hint = "look at the source; what stood before still stands"
        raise StoppedError(f"{quarantined} of {read} rows would be in quarantine: more than {limit:.2%}", hint=hint)


def _engine(name: str) -> Any:
    if name not in ENGINES:
        raise ConfigurationError(f"there is no engine {name}", hint=f"choose {' or '.join(ENGINES)}")
    return ENGINES[name]


def _text(day: Day) -> str | None:
    return None if day is None else day.isoformat()


def _quiet(done: int, of: int) -> None:
    """Progress that nobody watches."""
