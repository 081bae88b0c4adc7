"""Execution of a run: the records of each batch date through the engine into staged files, with progress.

Progress counts the files that were read to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from minimize.arrow.pointers import Pointer
from minimize.engines.base import BatchOutcome, Job, derive_noise_key, derive_row_key
from minimize.engines.passes import count_passes
from minimize.errors import SourceError
from minimize.keys.keyring import Subkeys
from minimize.keys.parquet_encryption import OutputEncryption
from minimize.ledger.runs import OtherReleases
from minimize.output.folder import batch_date_of
from minimize.output.publish import Staging
from minimize.output.sink import ParquetSink, QuarantineWriter, WorkerFiles
from minimize.output.subject_index import SubjectIndexer
from minimize.plan.model import as_removal, plan_subject_index
from minimize.receipts import Receipt, files_in_force
from minimize.records import Chunk, WrittenFile
from minimize.runs.batch_dates import BatchDate, SkippedDate, date_text
from minimize.runs.inputs import check_source_unchanged
from minimize.runs.late_aggregates import LateAggregates
from minimize.runs.releases import PastReleases, release_tables
from minimize.runs.resolve import ResolvedRun, output_encryption
from minimize.sources.base import Source, SourcePart
from minimize.sources.files import WrappingPart, WrappingSource
from minimize.spill import SpillSpace
from minimize.stages.generalize import empty_memos

K = TypeVar("K")
ProgressCallback = Callable[[int, int], None]
"""Called with the number of files done and the number of all files. A file that is read twice counts twice."""


@dataclass(slots=True)
class ProgressCounter:
    """The progress of a run."""

    of: int
    report: ProgressCallback
    done: int = 0

    def advance(self) -> None:
        """One more file is done."""
        self.done += 1
        self.report(self.done, self.of)


@dataclass(frozen=True, slots=True)
class ProgressPart(WrappingPart):
    """A part that advances the progress bar after it was read to its end."""

    bar: ProgressCounter = field(repr=False)

    def pieces(self) -> Sequence[SourcePart]:
        """The part's pieces; the last of them advances the bar."""
        *others, last = self.part.pieces()
        return (*others, ProgressPart(last, self.bar))

    def read(self) -> Iterator[Chunk]:
        """The part's chunks."""
        yield from self.part.read()
        self.bar.advance()

    def was_read(self) -> None:
        """Records that another process read the part to its end."""
        self.bar.advance()

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the part without progress."""
        return _unwatched_part, (self.part,)


@dataclass(frozen=True, slots=True)
class ProgressSource(WrappingSource):
    """A source whose parts report progress."""

    bar: ProgressCounter = field(repr=False)

    @property
    def parts(self) -> tuple[ProgressPart, ...]:
        """The source's parts, with progress."""
        return tuple(ProgressPart(part, self.bar) for part in self.source.parts)

    def only(self, keys: Collection[str]) -> ProgressSource:
        """The source with fewer fields, with progress."""
        return ProgressSource(self.source.only(keys), self.bar)


def _unwatched_part(part: SourcePart) -> SourcePart:
    return part


def with_progress(sources: Mapping[K, Source], passes: int, report: ProgressCallback) -> dict[K, ProgressSource]:
    """The same sources. Each file read to its end is reported, once per pass."""
    bar = ProgressCounter(passes * sum(len(source.parts) for source in sources.values()), report)
    report(0, bar.of)
    return {key: ProgressSource(source, bar) for key, source in sources.items()}


@dataclass(slots=True)
class ProcessedDates:
    """Results per batch date, the staged files by output name (including `quarantine`), and the dates that cannot be read.

    If a date cannot be read, aggregates that wait for late rows are incomplete: the other dates are processed again.
    """

    outcomes: dict[BatchDate, BatchOutcome] = field(default_factory=dict)
    files: dict[str, list[WrittenFile]] = field(default_factory=dict)
    unreadable: list[SkippedDate] = field(default_factory=list)


def process_dates(
    resolved: ResolvedRun,
    staging: Staging,
    move: Any,
    late: LateAggregates,
    progress: ProgressCallback,
    others: Mapping[str, OtherReleases],
    *,
    is_removal: bool = False,
) -> ProcessedDates:
    """Processes every batch date. Takes the releases of its source by other outputs, by date.

    `is_removal`: the run removes data, so a bound on disclosure risk refuses nothing.
    """
    plan = as_removal(resolved.plan) if is_removal else resolved.plan
    job = Job(
        plan,
        resolved.at,
        resolved.keys,
        row_key=derive_row_key(resolved.keys),
        noise=derive_noise_key(resolved.keys, plan),
        memos=empty_memos(plan),
        space=SpillSpace(resolved.memory),
        **resolved.job_inputs(resolved.at),
    )
    processed = ProcessedDates()
    chain = staging.output.receipts()
    past = PastReleases.from_receipts(chain, others)
    encryption = output_encryption(plan, "records", resolved.kms) if "records" in plan.outputs else None
    for day, source in with_progress(resolved.sources, count_passes(plan), progress).items():
        _remove_dropped_outputs(staging, chain, set(plan.outputs), date_text(day))
        date_job = replace(job, date=date_text(day), event_days=late.reach(day), space=job.space.with_own_file())
        quarantine = staging.quarantine(date_text(day))
        sinks = _RecordSinks(date_job, date_text(day), staging, resolved.keys, encryption)
        try:
            outcome: BatchOutcome = move(date_job, source, sinks if "records" in plan.outputs else None, quarantine)
            _stage_outcome(outcome, sinks, quarantine, past, processed.files)
            check_source_unchanged(source)
        except SourceError as error:
            processed.unreadable.append(SkippedDate.unreadable(day, error, [part.name for part in source.parts]))
        else:
            processed.outcomes[day] = outcome
            late.take(day, outcome.late)
    if not processed.unreadable:
        late.read_other_batches(job, move)
        for name, written in late.publish(job, staging, past):
            processed.files.setdefault(name, []).extend(written)
    return processed


def _stage_outcome(
    outcome: BatchOutcome,
    sinks: _RecordSinks,
    quarantine: QuarantineWriter,
    past: PastReleases,
    files: dict[str, list[WrittenFile]],
) -> None:
    """Closes the files of a batch date, and writes the date's publishable aggregates."""
    job, day = sinks.job, sinks.day
    for sink in sinks.opened:
        files.setdefault("records", []).extend(sink.close())
    files.setdefault("records", []).extend(sinks.taken)
    files.setdefault("quarantine", []).extend(quarantine.close())
    definitions = {name: each.definition for name, each in job.plan.aggregates.items()}
    tables, staying = release_tables(definitions, outcome.aggregates, past.of_date(day, waits=False), day, job.at)
    left_alone = {name: outcome.aggregates[name].select_none() for name in staying}
    outcome.aggregates = {**{name: table.result for name, table in tables.items()}, **left_alone}
    outcome.releases = {name: table.release for name, table in tables.items() if table.release is not None}
    outcome.unchanged = tuple(sorted(staying))
    for name, table in tables.items():
        files.setdefault(name, []).extend(table.write(sinks.staging, name, day, job.output_schema(name)))


def _remove_dropped_outputs(
    staging: Staging, chain: Sequence[Receipt], names: Collection[str], date: str | None
) -> None:
    """Removes the outputs of a date that the pipeline no longer has, when the date is run again."""
    for name, files in files_in_force(chain).items():
        dropped_files = [] if name in names else [file for file in files if date in (None, batch_date_of(file.path))]
        if dropped_files:
            staging.reserve_partition(name, date)


@dataclass(slots=True)
class _RecordSinks:
    """Opens the sinks of one batch date's records, one file per share, and adds files that other processes wrote."""

    job: Job
    day: str | None
    staging: Staging
    keys: Subkeys
    encryption: OutputEncryption | None
    opened: list[ParquetSink] = field(default_factory=list)
    taken: list[WrittenFile] = field(default_factory=list)
    _watch: SubjectIndexer | None = None

    def __call__(self, number: int) -> ParquetSink:
        schema, partition_by = self.job.records_schema, self._partition_by()
        if self._watch is None and self._subject is not None:
            self._watch = SubjectIndexer.from_keys(self.keys, self._subject)
        options = {"partition_by": partition_by, "watch": self._watch, "encryption": self.encryption}
        sink = self.staging.sink("records", self.day, schema, part=number, **options)
        self.opened.append(sink)
        return sink

    def worker_files(self) -> WorkerFiles:
        """The paths to which other processes write records."""
        schema, partition_by = self.job.records_schema, self._partition_by()
        options = {"partition_by": partition_by, "subject": self._subject, "encryption": self.encryption}
        return self.staging.worker_files("records", self.day, schema, **options)

    def take(self, attempt: str, written: Iterable[WrittenFile]) -> None:
        """Adds the files that another process reported."""
        self.taken.extend(self.worker_files().adopt(attempt, written))

    @property
    def _subject(self) -> Pointer | None:
        return plan_subject_index(self.job.plan).subject

    def _partition_by(self) -> tuple[str, ...]:
        records = self.job.plan.pipeline.records if self.job.plan.pipeline is not None else None
        return () if records is None else tuple(records.partition_by)
