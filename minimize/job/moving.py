"""The records of each batch date through the engine into staged files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from minimize.encryption import Encryption
from minimize.engines.base import Job, Outcome, row_key, sketch_key
from minimize.engines.passes import passes
from minimize.errors import SourceError
from minimize.io.base import Source, Written
from minimize.io.elsewhere import Elsewhere
from minimize.io.index.lens import Subkeys
from minimize.io.index.write import Indexer
from minimize.io.places import place_of
from minimize.io.publish import Staging
from minimize.io.sink import ParquetSink
from minimize.job.dates import Day
from minimize.job.disclosure_guard import guarded
from minimize.job.encrypting import encryption_of
from minimize.job.given import Given, text_of
from minimize.job.late import Late
from minimize.job.pending import Skipped
from minimize.job.releases import Releases
from minimize.job.watched import Progress, watched
from minimize.plan.indexed import index_of
from minimize.pointer import Pointer
from minimize.receipt import CompanionFile, Receipt, in_force
from minimize.spill import Aside
from minimize.stages.generalize import memos_of


@dataclass(slots=True)
class Moved:
    """What came of each batch date, the staged files by output name (`quarantine` among them), and the dates that cannot be read.

    If a date cannot be read, the aggregates that wait for late rows are not complete: the other dates are moved anew.
    """

    outcomes: dict[Day, Outcome] = field(default_factory=dict)
    files: dict[str, list[Written]] = field(default_factory=dict)
    unreadable: list[Skipped] = field(default_factory=list)


def moved(given: Given, staging: Staging, move: Any, late: Late, progress: Progress) -> Moved:
    """Moves every batch date."""
    plan = given.plan
    job = Job(
        plan,
        given.at,
        given.keys,
        row_key=row_key(given.keys),
        sketch_key=sketch_key(given.keys),
        memos=memos_of(plan),
        aside=Aside(given.memory),
        **given.told(given.at),
    )
    done = Moved()
    chain = staging.output.receipts()
    releases = Releases.of(staging.output.folder, chain, given.keys, given.kms)
    encryption = encryption_of(plan, "records", given.kms) if "records" in plan.outputs else None
    for day, source in watched(given.sources, passes(plan), progress).items():
        _remove_others(staging, chain, set(plan.outputs), text_of(day))
        each = replace(job, reach=late.reach(day), aside=job.aside.anew())
        try:
            outcome = _one_date(each, source, text_of(day), staging, move, done.files, releases, encryption)
            check_unchanged(source)
        except SourceError as error:
            done.unreadable.append(Skipped.unreadable(day, error, [part.name for part in source.parts]))
        else:
            done.outcomes[day] = outcome
            late.take(day, outcome.late)
    if not done.unreadable:
        late.look(job, move)
        for name, written in late.publish(job, staging, releases):
            done.files.setdefault(name, []).extend(written)
    return done


def check_unchanged(source: Source) -> None:
    """Raises SourceError if a file is not the one that was read. The receipt takes the digests from here."""
    for part in source.parts:
        _ = part.digest


def _one_date(
    job: Job,
    source: Any,
    day: str | None,
    staging: Staging,
    move: Any,
    files: dict[str, list[Written]],
    releases: Releases,
    encryption: Encryption | None,
) -> Outcome:
    quarantine = staging.quarantine(day)
    sinks = _Sinks(job, day, staging, releases.keys, encryption)
    outcome: Outcome = move(job, source, sinks if "records" in job.plan.outputs else None, quarantine)
    for sink in sinks.opened:
        files.setdefault("records", []).extend(sink.close())
    files.setdefault("records", []).extend(sinks.taken)
    files.setdefault("quarantine", []).extend(quarantine.close())
    definitions = {name: job.plan.aggregates[name].definition for name in outcome.aggregates}
    final = {name for name, each in definitions.items() if releases.is_final(each, name, day, job.at)}
    made = {name: result for name, result in outcome.aggregates.items() if name not in final}
    found = guarded(definitions, made, releases, day, job.at)
    left_alone = {name: outcome.aggregates[name].unpublished() for name in final}
    outcome.aggregates = {**{name: each.result for name, each in found.items()}, **left_alone}
    outcome.stays = tuple(sorted(final))
    for name, each in found.items():
        files.setdefault(name, []).extend(each.write(staging, releases, name, day, job.output_schema(name)))
    return outcome


def _remove_others(staging: Staging, chain: Sequence[Receipt], names: Collection[str], date: str | None) -> None:
    """Removes what the pipeline no longer has of a date that is run anew.

    Sketches stay until the retention of the date ends: a table that returns is compared with what it published before.
    """
    for name, files in in_force(chain).items():
        mine = [] if name in names else [file for file in files if date in (None, place_of(file.path)[1])]
        if mine:
            staging.place(name, date)
        for file in mine if date is not None else ():
            if file.sketches is not None:
                staging.keep_sketches(CompanionFile(file.sketches.path, file.sketches.digest, file.path))


@dataclass(slots=True)
class _Sinks:
    """Opens the sinks of one batch date's records, a file for each share, and takes in what others wrote of them."""

    job: Job
    day: str | None
    staging: Staging
    keys: Subkeys
    encryption: Encryption | None
    opened: list[ParquetSink] = field(default_factory=list)
    taken: list[Written] = field(default_factory=list)

    def __call__(self, number: int) -> ParquetSink:
        schema, by = self.job.records_schema, self._partition_by()
        watch = None if self._subject is None else Indexer.of(self.keys, self._subject)
        how = {"partition_by": by, "watch": watch, "encryption": self.encryption}
        sink = self.staging.sink("records", self.day, schema, part=number, **how)
        self.opened.append(sink)
        return sink

    def elsewhere(self) -> Elsewhere:
        """Where other processes write records."""
        schema, by = self.job.records_schema, self._partition_by()
        how = {"partition_by": by, "subject": self._subject, "encryption": self.encryption}
        return self.staging.elsewhere("records", self.day, schema, **how)

    def take(self, attempt: str, written: Iterable[Written]) -> None:
        """Takes in the files that another process reported."""
        self.taken.extend(self.elsewhere().adopt(attempt, written))

    @property
    def _subject(self) -> Pointer | None:
        return index_of(self.job.plan).subject

    def _partition_by(self) -> tuple[str, ...]:
        records = self.job.plan.pipeline.records if self.job.plan.pipeline is not None else None
        return () if records is None else tuple(records.partition_by)
