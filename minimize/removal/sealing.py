"""Transfer of the records of restricted subjects: out of the files of records into sealed files, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import Bools
from minimize.arrow.pointers import Pointer
from minimize.arrow.scrub import scrub
from minimize.datasets.published_output import OutputFile
from minimize.errors import OutputError
from minimize.output.folder import RESTRICTED, batch_date_of
from minimize.output.publish import Staging
from minimize.output.restricted import RecordsOrigin, RestrictedSink, open_restricted, without_origin
from minimize.output.sink import ParquetSink
from minimize.output.stored_file import StoredFile
from minimize.output.subject_index import SubjectIndexer
from minimize.records import RECORDS, Batch, BatchCounts, WrittenFile
from minimize.removal.decision import FileInstructions, RewriteRequest
from minimize.removal.plan import DueFile
from minimize.removal.rewrite import BatchObserver, ObserverFactory, Partition, rewritten_columns, same_encryption
from minimize.removal.rewrite_receipt import PlannedFile, RewriteResult
from minimize.removal.verdict import ApplyVerdict, BatchJudge, BatchVerdict


@dataclass(frozen=True, slots=True)
class RemovedRecordsSealer:
    """Seals the restricted records of the files of a plan. They are read together with the rewrite of the files.

    What the files lose for another reason is not sealed.
    """

    request: RewriteRequest
    group: Sequence[PlannedFile]
    _sinks: dict[str, RestrictedSink] = field(default_factory=dict, repr=False)

    @property
    def partitions(self) -> set[Partition]:
        """The partitions of the sealed files."""
        return {(RESTRICTED, each.date) for each in self.group}

    def observe_with(self, observer_factory: ObserverFactory) -> ObserverFactory:
        """Observers that seal removed records."""

        def observer(stored: StoredFile) -> BatchObserver:
            due = next(each for each in self.group if each.file.path == stored.path)
            assert due.judge is not None
            encryption = same_encryption(self.request.output / stored.path, self.request.kms)
            sink = RestrictedSink(RecordsOrigin.of_file(due.file.entry), stored.schema, self.request.keys, encryption)
            self._sinks[stored.path] = sink
            return _SealingObserver(due.judge, self.request.removal_reason, sink, observer_factory(stored))

        return observer

    def stage(self, staging: Staging) -> RewriteResult:
        """Stages the sealed files. Raises OutputError if they do not have every removed record."""
        dates = {each.file.path: each.date for each in self.group}
        written: list[WrittenFile] = []
        for number, (path, sink) in enumerate(sorted(self._sinks.items())):
            folder = staging.reserve_partition(RESTRICTED, dates[path])
            written += sink.close(staging.root, folder, f"{staging.run_id}-{number}")
        reason = self.request.removal_reason
        if sum(each.rows for each in written) != sum(each.gated.get(reason, 0) for each in self.group):
            raise OutputError("the sealed records differ from the removed ones; nothing was published")
        return RewriteResult({RESTRICTED: tuple(written)})


@dataclass(frozen=True, slots=True)
class _SealingObserver:
    judge: BatchJudge
    reason: str
    sink: RestrictedSink
    other: BatchObserver | None

    def __call__(self, batch: pa.RecordBatch) -> None:
        if self.other is not None:
            self.other(batch)
        leaves = self.judge(batch).removed_records.get(self.reason)
        if leaves is not None:
            self.sink.write(batch.filter(pa.array(leaves)))

    def close(self) -> None:
        if self.other is not None:
            self.other.close()


@dataclass(frozen=True, slots=True)
class LiftInstructions:
    """The records that leave a sealed file when restrictions are lifted, and what becomes of them."""

    lifted: FileInstructions
    """Removes the records of the lifted restrictions."""
    restricted: FileInstructions
    """Removes the records of the restrictions that stay."""
    due: FileInstructions
    """Removes erased records, and records and values past their retention."""

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """The pointers of the file's fields, by key."""
        return self.due.pointers

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on records that leave the seal."""
        return self.due(batch)

    def lifted_records(self, batch: pa.RecordBatch) -> Bools:
        """The records that leave the seal."""
        rows = batch.num_rows
        is_unlifted = self.lifted(batch).remaining_rows(rows)
        is_restricted = ~self.restricted(batch).remaining_rows(rows)
        return np.asarray(~is_unlifted & ~is_restricted, np.bool_)


@dataclass(frozen=True, slots=True)
class LiftRequest:
    """The requests whose instructions decide about sealed files; see `LiftInstructions`."""

    lifted: RewriteRequest
    restricted: RewriteRequest
    due: RewriteRequest

    def find_due(self, file: OutputFile) -> tuple[DueFile, int] | None:
        """A sealed file and the number of its records that leave the seal; None if its keys were destroyed."""
        if file.is_shredded:
            return None
        judge = LiftInstructions(*(each.instructions(file) for each in (self.lifted, self.restricted, self.due)))
        stage, counts, rows = ApplyVerdict(judge), BatchCounts(), 0
        for batch in file.stored_file.batches():
            leaving = batch.filter(pa.array(judge.lifted_records(batch)))
            counts, rows = counts + stage(Batch(raw=leaving)).counts, rows + leaving.num_rows
        return DueFile(file, judge, is_whole=True, gated=counts.gated), rows


@dataclass(frozen=True, slots=True)
class RestrictedRecordsRestorer:
    """Publishes sealed records again, in the partitions from which they were removed. The other records are sealed again."""

    request: RewriteRequest
    group: Sequence[PlannedFile]

    @property
    def partitions(self) -> set[Partition]:
        """The partitions of the records and of the sealed files."""
        return {(name, file.date) for file in self.group for name in (RECORDS, RESTRICTED)}

    def observe_with(self, observer_factory: ObserverFactory) -> ObserverFactory:
        """No other observers, because the files are read when they are staged."""
        return observer_factory

    def stage(self, staging: Staging) -> RewriteResult:
        """Stages the files of records, and new sealed files for the other records."""
        return sum((self._stage_file(staging, *each) for each in enumerate(self.group)), RewriteResult())

    def _stage_file(self, staging: Staging, number: int, due: PlannedFile) -> RewriteResult:
        judge, keys = due.judge, self.request.keys
        assert isinstance(judge, LiftInstructions)
        opened = open_restricted(self.request.output, due.file.path, keys, self.request.kms)
        sealed = RestrictedSink(opened.origin, opened.stored.schema, keys, opened.encryption)
        schema, stage, counts = without_origin(opened.stored.schema), ApplyVerdict(judge), BatchCounts()
        subject = due.file.policy.subject
        sink: ParquetSink = staging.sink_in(
            str(PurePosixPath(opened.origin.path).parent),
            number,
            schema,
            empty=False,
            encryption=opened.encryption,
            watch=SubjectIndexer.from_keys(keys, Pointer.parse(subject)) if opened.origin.indexed and subject else None,
        )
        for batch in opened.stored.batches():
            leaving = judge.lifted_records(batch)
            sealed.write(batch.filter(pa.array(~leaving)))
            result = stage(Batch(raw=batch.filter(pa.array(leaving))))
            sink.write(scrub(rewritten_columns(result, schema), schema))
            counts += result.counts
        folder = staging.reserve_partition(RESTRICTED, batch_date_of(due.file.path))
        sealed_files = sealed.close(staging.root, folder, f"{staging.run_id}-{number}")
        return RewriteResult({RECORDS: tuple(sink.close()), RESTRICTED: sealed_files}, counts=counts)
