"""Rewrite of published files: the only way in which files in force change without a run.

Expiry, retraction, correction, deletion, restriction, its lifting, and key rotation are rewrites; they differ in their verdict on
each file. A rewrite is published in portions of whole dates, with one receipt each. After an interruption the same command
continues with the files that are left. Files of a partition that the rewrite does not touch are linked into the new partition,
so that a partition changes in one step. A file without remaining rows is removed, and so is its partition if it was the last one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Final, Protocol

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.arrow.scrub import scrub
from minimize.checkpoints import checkpoint
from minimize.datasets.erasure_list import erasure_list_digest
from minimize.datasets.inventory import RemovalInventory
from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.writing_run import RETENTION_PIPELINE_FILE, RETENTION_POLICY_FILE, WritingRun
from minimize.errors import ConfigurationError, OutputError, RefusedError, call_redacted
from minimize.keys import Kms, find_kms
from minimize.keys.keyring import Subkeys
from minimize.keys.parquet_encryption import OutputEncryption, RewriteEncryption
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.ledger.clock import ALLOW_TIME_HINT
from minimize.ledger.ledger import Ledger
from minimize.observability.destinations import NO_OBSERVABILITY
from minimize.output.folder import RESTRICTED, output_and_date
from minimize.output.publish import OpenOutput, Staging, open_output
from minimize.output.restricted import RestrictedSink, open_restricted
from minimize.output.sink import ParquetSink
from minimize.output.stored_file import StoredFile, open_stored_file
from minimize.output.subject_index import IndexKey, SubjectIndexer
from minimize.output.subject_search import open_index_file, read_index
from minimize.policy.approval import policy_reference
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import (
    Receipt,
    ReceiptFile,
    ReceiptKind,
    files_in_force,
    quarantine_files_in_force,
    restricted_files_in_force,
    sha256_text,
)
from minimize.receipts.chain import effective_receipts
from minimize.receipts.shown_counts import seal_counts
from minimize.records import PIPELINE_FILE, POLICY_FILE, RECORDS, Batch, BatchCounts, FileRef, Stage, WrittenFile
from minimize.removal.rewrite_receipt import PlannedFile, RewriteReceipt, RewriteResult
from minimize.removal.verdict import ApplyVerdict
from minimize.runs.execution import ProgressCallback, ProgressCounter
from minimize.runs.guards import ALLOW_REMOVAL_HINT, check_change_time, covers_dates, later_time
from minimize.runs.receipt_builder import RunContext
from minimize.runs.runner import no_progress
from minimize.runs.session import record_missed_receipts, record_published, run_session
from minimize.stores import Location, location_text
from minimize.stores.durable_files import has_digest
from minimize.text import count_noun
from minimize.times import time_text
from minimize.workspace import Workspace

log = logging.getLogger("minimize")

FILES_PER_PORTION: Final = 32
"""Number of rewritten files that are published together. After an interruption, at most so many are processed again."""
Partition = tuple[str, str | None]
"""An output and a batch date; None for an output without dates."""


class RecordsTransfer(Protocol):
    """Moves records of a group of files in the publication that changes the files."""

    @property
    def partitions(self) -> set[Partition]:
        """The partitions to which it adds files."""
        ...

    def observe_with(self, observer_factory: ObserverFactory) -> ObserverFactory:
        """The observers of the files that are read, in addition to the given ones."""
        ...

    def stage(self, staging: Staging) -> RewriteResult:
        """Stages the added files."""
        ...


class PlannedChange(Protocol):
    """The planned change of one output."""

    @property
    def due(self) -> Sequence[PlannedFile]:
        """The files to change."""
        ...

    @property
    def tables_left(self) -> Mapping[tuple[str, str], Collection[str]]:
        """The tables that stay although some of their records are removed: per name and date, the dates of the records."""
        ...


@dataclass(frozen=True)
class Rewrite:
    """A change to published files of one output."""

    kind: ReceiptKind
    """The kind of its receipts."""
    workspace: Workspace = field(repr=False)
    """The workspace of the output, with today's pipeline."""
    as_of: datetime | None = None
    """The reference time of today's policy; None if the decisions of the runs that wrote the files stay."""
    at_given: bool = False
    tables_left: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)
    """The tables that stay although some of their records are removed: per name and date, the dates of the records."""
    allow_shrink: bool = False
    """Whether an implausible time is accepted."""
    progress: ProgressCallback = no_progress
    """Receives the number of files that were read to their end."""
    transfer: Callable[[Sequence[PlannedFile]], RecordsTransfer] | None = None
    """Moves records of files into or out of the seal of a restriction, in the same publication."""
    finished: Callable[[RewriteResult], object] = lambda result: None
    """Receives the result of each publication."""

    def execute(self, files: Iterable[PlannedFile]) -> Iterator[Receipt]:
        """Publishes portion by portion. Returns one receipt each: for files of one policy and pipeline, and whole dates.

        Sealed files of restricted subjects have receipts of their own.
        """
        groups: dict[tuple[object, ...], list[PlannedFile]] = {}
        for file in files:
            groups.setdefault((file.name == RESTRICTED, *self._group_key(file.written_by)), []).append(file)
        counter = ProgressCounter(sum(not file.is_whole for group in groups.values() for file in group), self.progress)
        self.progress(0, counter.of)
        for group in groups.values():
            for portion in split_by_date(group, FILES_PER_PORTION):
                yield call_redacted(partial(self._publish, portion, counter))

    def _group_key(self, written: WritingRun) -> tuple[object, ...]:
        """The decisions that files must share to be stated in one receipt."""
        return (written.receipt.run_id,) if self.as_of is None else written.rewrite_group

    def _publish(self, files: Sequence[PlannedFile], counter: ProgressCounter) -> Receipt:
        # lineage and metrics describe runs only
        context = RunContext(
            self.kind, "local", self.workspace.clock(), no_progress, NO_OBSERVABILITY, clock=self.workspace.clock
        )
        output, keys = self.workspace.target, self.workspace.keyring()
        with (
            run_session(self.workspace, context) as session,
            open_output(output, create=False, lease=session.head) as folder,
        ):
            chain = folder.receipts()
            record_missed_receipts(session, chain)
            check_change_time(
                session.ledger,
                output,
                chain,
                self.as_of,
                is_given=self.at_given,
                is_allowed=self.allow_shrink,
                hint=ALLOW_REMOVAL_HINT if self.kind in ("expire", "retract") else ALLOW_TIME_HINT,
            )
            if self.as_of is not None:
                _check_as_of(
                    output, self.as_of, chain, {each.date for each in files}, context.clock(), is_given=self.at_given
                )
            attachments = self._attachments(files[0].written_by)
            kms = find_kms(keys, self.workspace.config)
            inventory = RemovalInventory.for_files(output, chain, [each.file.path for each in files], keys, kms)
            transfer = None if self.transfer is None else self.transfer(files)
            stated = self._receipt(session.run_id, context.started, chain, files)

            results: list[RewriteResult] = []

            def receipt(result: RewriteResult) -> Receipt:
                results.append(result)
                attachments.update(inventory.attachments())
                erasures = erasure_list_digest(output)
                unsigned = replace(stated.build(result, attachments), audit=session.head(), erasures=erasures)
                shown, sealed = seal_counts(unsigned, keys, has_records=stated.has_records)
                attachments.update(sealed)
                return shown.with_signature(keys)

            signed = rewrite_files(
                folder,
                session.run_id,
                {each.file.path: _stage_of(each) for each in files if not each.is_whole},
                receipt,
                attachments,
                removes=[each.file.path for each in files if each.is_whole],
                keys=keys,
                kms=kms,
                also=None if transfer is None else transfer.stage,
                adds=() if transfer is None else transfer.partitions,
                shown=inventory if transfer is None else transfer.observe_with(inventory),
                advance=counter.advance,
            )
            record_published(session, signed)
        checkpoint("rewrite.published", signed)
        _check_removed(output, signed)
        for result in results:
            self.finished(result)
        _log_publication(signed, is_rotation=self.as_of is None)
        return signed

    def _receipt(
        self, run_id: str, started: datetime, chain: Sequence[Receipt], files: Sequence[PlannedFile]
    ) -> RewriteReceipt:
        first = files[0].written_by.receipt
        stays = self.as_of is None
        return RewriteReceipt(
            kind=self.kind,
            run_id=run_id,
            started=started,
            chain=chain,
            files=files,
            at=self.as_of or first.at,
            at_given=first.at_given if stays else self.at_given,
            retention=first.retention if stays else policy_reference(self.workspace.job),
            unchanged=self._unchanged_tables(files),
            clock=self.workspace.clock,
        )

    def _unchanged_tables(self, files: Sequence[PlannedFile]) -> dict[str, tuple[str, ...]]:
        """The tables that keep their statistics although records of these files are removed: dates by name."""
        dates = {each.date or "" for each in files if each.name in (RECORDS, RESTRICTED)}
        dates_by_table: dict[str, tuple[str, ...]] = {}
        for (name, on), record_dates in sorted(self.tables_left.items()):
            if dates & set(record_dates):
                dates_by_table[name] = (*dates_by_table.get(name, ()), on)
        return dates_by_table

    def _attachments(self, written: WritingRun) -> dict[str, bytes]:
        if self.as_of is None:
            return written.all_attachments
        return {**written.attachments, **retention_attachments(self.workspace.job, written)}


def _log_publication(receipt: Receipt, *, is_rotation: bool) -> None:
    if is_rotation:
        files = count_noun(len(receipt.replaces), "file")
        log.info("%s encrypted again", files, extra={"code": "I004", "run_id": receipt.run_id})
    else:
        rows = count_noun(receipt.rows.gated or 0, "row")
        log.info("%s removed", rows, extra={"code": "I003", "run_id": receipt.run_id})


def split_by_date(files: Sequence[PlannedFile], files_per_portion: int) -> Iterator[list[PlannedFile]]:
    """Splits files into portions of whole dates with at least so many files that must be read."""
    by_date: dict[str | None, list[PlannedFile]] = {}
    for file in files:
        by_date.setdefault(file.date, []).append(file)
    portion: list[PlannedFile] = []
    for on in sorted(by_date, key=str):
        portion += by_date[on]
        if sum(not each.is_whole for each in portion) >= files_per_portion:
            yield portion
            portion = []
    if portion:
        yield portion


def retention_attachments(today: Pipeline, written: WritingRun) -> dict[str, bytes]:
    """The bytes of today's policy, and of today's pipeline if aggregates have or had their own retention.

    Raises ConfigurationError if the files changed since they were loaded.
    """
    files = {RETENTION_POLICY_FILE: loaded_bytes(today.policy)}
    aggregates = (written.pipeline.get("aggregates") or {}).values()
    if today.own_retentions or any(each.get("retention") for each in aggregates):
        files |= {RETENTION_PIPELINE_FILE: loaded_bytes(today)}
    return files


def loaded_bytes(document: Policy | Pipeline) -> bytes:
    """The bytes of a policy or pipeline file. Raises ConfigurationError if the file changed since it was loaded."""
    content = b"" if document.path is None else document.path.read_bytes()
    if sha256_text(content) != document.digest:
        name = POLICY_FILE if isinstance(document, Policy) else PIPELINE_FILE
        raise ConfigurationError(f"{name} was changed while this command was running", hint="Run the command again.")
    return content


def check_rewrite_time(
    ledger: Ledger, outputs: Iterable[PublishedOutput], planned: Mapping[str, PlannedChange], now: datetime
) -> None:
    """Raises RefusedError if the time is implausible (E304) or too early (E300) for an output whose folder is planned to change.

    Commands that record a request call it before, because each rewrite refuses later, under its lease.
    """
    for output in outputs:
        plan = planned.get(str(output.folder))
        if plan is not None:
            check_change_time(ledger, output.folder, output.chain, now)
            if plan.due:
                _check_as_of(output.folder, now, output.chain, {each.date for each in plan.due}, ledger.now)


def _check_as_of(
    output: Location,
    as_of: datetime,
    chain: Sequence[Receipt],
    dates: set[str | None],
    now: datetime,
    *,
    is_given: bool = False,
) -> None:
    """Refuses an earlier time than that of a receipt for the same dates.

    A time from the clock may be a little earlier: another command published since this one got its time. The files that it
    read are compared with their receipts, so that it cannot replace what the other one published.
    """
    at = as_of if is_given else later_time(as_of, chain, dates, now)
    for receipt in effective_receipts(chain):
        if receipt.at > at and covers_dates(receipt, dates):
            message = (
                f"a later run ({receipt.run_id}) already covers these dates: "
                f"its time is {time_text(receipt.at)}, the requested time is {time_text(at)}"
            )
            advice = "Pass a later --at." if is_given else "Check the clock."
            void = f"`minimize runs void {receipt.run_id} --output {location_text(output)} --reason TEXT`"
            hint = f"{advice} If that run's clock was ahead, run {void}."
            raise RefusedError(message, hint=hint)


def _stage_of(file: PlannedFile) -> Stage:
    judge = file.rewrite_judge
    return _unchanged if judge is None else ApplyVerdict(judge)


def _unchanged(batch: Batch) -> Batch:
    return batch


def _check_removed(output: Location, receipt: Receipt) -> None:
    """Raises OutputError if a replaced or removed file still exists."""
    remaining_paths = [file.path for file in (*receipt.replaces, *receipt.removes) if (output / file.path).exists()]
    if remaining_paths:
        raise OutputError(
            f"{len(remaining_paths)} files still exist after their removal", hint="Run `minimize verify` to list them."
        )


class BatchObserver(Protocol):
    """Receives the original batches of one file."""

    def __call__(self, batch: pa.RecordBatch) -> object:
        """Receives a batch."""
        ...

    def close(self) -> object:
        """Called after the last batch."""
        ...


ObserverFactory = Callable[[StoredFile], BatchObserver | None]
"""Returns the observer of a file's batches; None if there is none."""


def rewrite_files(
    output: OpenOutput,
    run_id: str,
    stages: Mapping[str, Stage],
    receipt: Callable[[RewriteResult], Receipt],
    attachments: Mapping[str, bytes] | None = None,
    *,
    removes: Sequence[str] = (),
    keys: Subkeys | None = None,
    kms: Kms | None = None,
    also: Callable[[Staging], RewriteResult] | None = None,
    adds: Collection[Partition] = (),
    shown: ObserverFactory = lambda stored: None,
    advance: Callable[[], object] = lambda: None,
) -> Receipt:
    """Passes files in force through stages and publishes the result in their place.

    Takes a stage for each path relative to the output folder, and a function that makes the signed receipt. A stage receives the
    released columns as `raw`, including folder columns. The new file has the columns of `raw`, replaced by those of `released`
    with the same name. Schema and field metadata stay. Files in `removes` are not read.

    With `keys`, the replacement of an indexed file gets an index; without them it gets none. Encrypted files are encrypted
    again under the newest versions of their master keys, which `kms` holds. Sealed files of restricted subjects are sealed again.
    `also` stages further changes in the same publication; `adds` are the partitions to which it adds files. `shown` receives the
    batches that are read, so that no second read is needed. `advance` is called after each file. Attachments that `receipt` adds
    are published, too.

    Raises OutputError before any write if a file is not in force or its bytes do not match its receipt; KeyringError without
    a key.
    """
    force = _files_in_force(output)
    chosen = [_check_digest(output, path, force) for path in sorted(stages)]
    removed = [_require_in_force(path, force) for path in sorted(set(removes))]
    if not chosen and not removed:
        raise OutputError("there is nothing to rewrite", hint="Pass files that are in force.")
    with output.begin(run_id) as staging:
        _keep_others(staging, force, {file.path for file in (*chosen, *removed)}, adds)
        result = RewriteResult(removes=tuple(FileRef(file.path, file.digest) for file in removed))
        indexers: dict[str, SubjectIndexer] = {}
        for number, file in enumerate(chosen):
            watch = None if file.index is None or keys is None else _indexer_like(output, file, keys, indexers)
            result += _FileRewrite(staging, file, number, watch, keys, kms, shown).apply_stage(stages[file.path])
            advance()
        result += RewriteResult() if also is None else also(staging)
        signed = receipt(result)
        staging.publish(signed, attachments)
    return signed


def _files_in_force(output: OpenOutput) -> dict[str, ReceiptFile]:
    receipts = output.receipts()
    files = [file for group in files_in_force(receipts).values() for file in group] + quarantine_files_in_force(
        receipts
    )
    files += restricted_files_in_force(receipts)
    return {file.path: file for file in files}


def _check_digest(output: OpenOutput, path: str, force: Mapping[str, ReceiptFile]) -> ReceiptFile:
    """Refuses a file that was modified outside `minimize`, so that it does not get a new signature."""
    file, full = _require_in_force(path, force), output.folder / path
    if not full.is_file() or not has_digest(full, file.digest):
        raise OutputError(f"{path} does not match its receipt", hint="Run `minimize verify` to check all files.")
    return file


def _require_in_force(path: str, force: Mapping[str, ReceiptFile]) -> ReceiptFile:
    if path not in force:
        raise OutputError("a file to rewrite is not in force", hint="Run `minimize verify` to list the files in force.")
    return force[path]


def _keep_others(
    staging: Staging, force: Mapping[str, ReceiptFile], chosen: set[str], adds: Collection[Partition]
) -> None:
    places = {*adds, *map(output_and_date, chosen)}
    for name, on in sorted(places, key=str):
        staging.reserve_partition(name, on)
    for path in force.keys() - chosen:
        if output_and_date(path) in places:
            staging.keep_file(force[path])


def _indexer_like(
    output: OpenOutput, file: ReceiptFile, keys: Subkeys, indexers: dict[str, SubjectIndexer]
) -> SubjectIndexer:
    """The indexer for the replacement of a file, for the same subject column as the existing index.

    Files with the same column share it, so that a subject of several files is hashed once.
    """
    with open_index_file(output.folder, file) as handle:
        subject = read_index(handle, file, lambda version: IndexKey.from_keys(keys, version)).contents.subject
    if subject not in indexers:
        indexers[subject] = SubjectIndexer.from_keys(keys, Pointer.parse(subject))
    return indexers[subject]


@dataclass(frozen=True, slots=True)
class _FileRewrite:
    """Rewrite of one file. Low-cardinality text and subjects are read and written as dictionaries."""

    staging: Staging
    file: ReceiptFile
    number: int
    watch: SubjectIndexer | None
    keys: Subkeys | None
    kms: Kms | None
    shown: ObserverFactory

    def apply_stage(self, stage: Stage) -> RewriteResult:
        """Passes the file through the stage and stages the result."""
        if self.keys is not None and output_and_date(self.file.path)[0] == RESTRICTED:
            return self._apply_to_sealed(stage, self.keys)
        stored, counts, read = self._open_stored(), BatchCounts(), 0
        sink, showing = self._sink(stored.schema), self.shown(stored)
        for batch in stored.batches():
            if showing is not None:
                showing(batch)
            result = stage(Batch(raw=batch))
            sink.write(scrub(rewritten_columns(result, stored.schema), stored.schema))
            counts, read = counts + result.counts, read + batch.num_rows
            del batch, result  # free the memory before the next batch is read
        if showing is not None:
            showing.close()
        return self._complete_result(tuple(sink.close()), self._result(read, counts))

    def _apply_to_sealed(self, stage: Stage, keys: Subkeys) -> RewriteResult:
        opened = open_restricted(self.staging.output.folder, self.file.path, keys, self.kms)
        sink, counts, read = (
            RestrictedSink(opened.origin, opened.stored.schema, keys, opened.encryption),
            BatchCounts(),
            0,
        )
        for batch in opened.stored.batches():
            result = stage(Batch(raw=batch))
            sink.write(rewritten_columns(result, opened.stored.schema))
            counts, read = counts + result.counts, read + batch.num_rows
        folder = str(PurePosixPath(self.file.path).parent)
        written = sink.close(self.staging.root, folder, f"{self.staging.run_id}-{self.number}")
        return self._complete_result(written, self._result(read, counts))

    def _result(self, read: int, counts: BatchCounts) -> RewriteResult:
        return RewriteResult(read=read, counts=counts, gated={self.file.path: counts.gated})

    def _open_stored(self) -> StoredFile:
        also = [] if self.watch is None else [self.watch.subject.top]
        return open_stored_file(self.staging.output.folder, self.file.path, self.kms, encoded=True, also=also)

    def _sink(self, schema: pa.Schema) -> ParquetSink:
        encryption = same_encryption(self.staging.output.folder / self.file.path, self.kms)
        folder = str(PurePosixPath(self.file.path).parent)
        return self.staging.sink_in(folder, self.number, schema, empty=False, encryption=encryption, watch=self.watch)

    def _complete_result(self, written: tuple[WrittenFile, ...], result: RewriteResult) -> RewriteResult:
        original = (FileRef(self.file.path, self.file.digest),)
        if not written:
            return replace(result, removes=original)
        return replace(result, written={output_and_date(self.file.path)[0]: written}, replaces=original)


def same_encryption(place: Location, kms: Kms | None) -> OutputEncryption | None:
    """Encryption of the same columns as in a file, under the newest versions of their master keys; None without such columns."""
    material = read_encrypted_columns(place)
    return None if kms is None or not material.masters else RewriteEncryption(kms, material)


def rewritten_columns(result: Batch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of the file after the stage; folder columns stay unchanged."""
    arrays = [result.released.get(name, result.raw[name]) for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)
