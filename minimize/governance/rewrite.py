"""Rewrite of published files.

The verdict on a batch, the stage that applies and counts it, and the publication of the new files with a receipt. Expiry,
retraction, correction, deletion and key rotation are rewrites; they differ in their verdict or stage. Files of a partition
that the rewrite does not touch are linked into the new partition, so that a partition changes in one step. A file of which
no row remains is removed, and so is its partition if it was the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.batch import Batch, BatchCounts, FieldCounts, Stage
from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.nested import assemble, leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.arrow.scrub import scrub
from minimize.errors import OutputError
from minimize.keys import Kms
from minimize.keys.parquet_encryption import OutputEncryption, RewriteEncryption
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.keys.sealing import Subkeys
from minimize.output.folder import output_and_date
from minimize.output.publish import OpenOutput, Staging
from minimize.output.sink import ParquetSink
from minimize.output.stored_file import StoredFile, open_stored_file
from minimize.output.subject_index import IndexKey, SubjectIndexer
from minimize.output.subject_search import open_index_file, read_index
from minimize.receipts import (
    FileRef,
    Receipt,
    ReceiptFile,
    files_in_force,
    quarantine_files_in_force,
    retained_sketches,
)
from minimize.sources.base import WrittenFile
from minimize.stages.raw_values import mask_values
from minimize.stores import Location
from minimize.stores.durable_files import file_digest, file_exists


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """Rows and values of one batch that a rewrite removes or replaces.

    removed_records  per reason, the records to remove, each counted once
    removed_values   per field key, the values to remove, in remaining and removed records
    replacements     per field key, the values in the required form
    emptied_records  per field key of which every value can be removed, the records in which that happens
    """

    removed_records: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    removed_values: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    replacements: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    emptied_records: Mapping[str, Bools] = field(default_factory=dict, repr=False)

    def remaining_rows(self, rows: int) -> Bools:
        """The remaining records."""
        return np.asarray(~np.logical_or.reduce([np.zeros(rows, np.bool_), *self.removed_records.values()]), np.bool_)


class BatchJudge(Protocol):
    """Decides on each batch of a file. Also has the pointers of the file's fields."""

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """The pointers of the file's fields, by key."""
        ...

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on one batch."""
        ...


@dataclass(frozen=True, slots=True)
class ApplyVerdict:
    """Applies verdicts: takes a batch of a file's columns and returns it without the removed rows and values.

    Counts whole records by reason. Per field, counts values of remaining records: removed ones as `gated`, replaced ones
    as `changed`.
    """

    judge: BatchJudge

    def __call__(self, batch: Batch) -> Batch:
        """The remaining batch."""
        verdict = self.judge(batch.raw)
        stays = verdict.remaining_rows(batch.raw.num_rows)
        counts = verdict_counts(batch.raw, verdict, stays, self.judge.pointers)
        left = _RemainingBatch(batch.raw, verdict, stays, self.judge.pointers)
        return Batch(raw=left.raw, released=dict(left.columns()), counts=batch.counts + counts)


def verdict_counts(
    raw: pa.RecordBatch, verdict: BatchVerdict, stays: Bools, pointers: Mapping[str, Pointer]
) -> BatchCounts:
    """The counts of what a verdict removes from a batch: records by reason, and values by field."""
    gated = {reason: int(mask.sum()) for reason, mask in verdict.removed_records.items() if mask.any()}
    present = {key: place for key, place in pointers.items() if place.top in raw.schema.names}
    left = int(stays.sum())
    fields = {key: _field_counts(raw, verdict, stays, left, key, place) for key, place in present.items()}
    return BatchCounts(gated=gated, fields=fields)


def _field_counts(
    raw: pa.RecordBatch, verdict: BatchVerdict, stays: Bools, left: int, key: str, place: Pointer
) -> FieldCounts:
    found = leaf(raw, place)
    if key not in verdict.removed_values and key not in verdict.replacements:
        if left == raw.num_rows:
            return FieldCounts(len(found.values) - found.values.null_count)
        if not found.parents and not found.values.null_count:
            return FieldCounts(left)
    present = found.values.is_valid().to_numpy(zero_copy_only=False)
    if left < raw.num_rows:
        present = present & stays[row_indices(found, raw.num_rows)]
    closed = verdict.removed_values.get(key, np.zeros(len(present), np.bool_))
    changed = 0
    if key in verdict.replacements:
        same = (
            pc.equal(decode_dictionary(found.values), verdict.replacements[key])
            .fill_null(False)
            .to_numpy(zero_copy_only=False)
        )
        changed = int((present & ~closed & ~same).sum())
    return FieldCounts(int(present.sum()), changed, int((present & closed).sum()))


@dataclass(frozen=True)
class _RemainingBatch:
    """The rest of a batch. Only columns with removed or replaced values are rebuilt."""

    whole: pa.RecordBatch = field(repr=False)
    verdict: BatchVerdict = field(repr=False)
    stays: Bools = field(repr=False)
    pointers: Mapping[str, Pointer]

    @property
    def raw(self) -> pa.RecordBatch:
        """The remaining records, with unchanged values."""
        return self._filter_batch(self.whole)

    def columns(self) -> Iterator[tuple[str, pa.Array]]:
        """The columns with removed or replaced values, by name."""
        touched = {self.pointers[key].top for key in (*self.verdict.removed_values, *self.verdict.replacements)}
        schema = pa.schema([each for each in self.whole.schema if each.name in touched])
        if not len(schema):
            return
        keys = {key: place for key, place in self.pointers.items() if place.top in touched}
        closed = {
            place: pa.array(self.verdict.removed_values[key])
            for key, place in keys.items()
            if key in self.verdict.removed_values
        }
        released = {place: self._values(key, place) for key, place in keys.items()}
        made = assemble(self.whole, released, closed, dict(self._emptied_lists(keys)), schema)
        yield from zip(made.schema.names, self._filter_batch(made).columns, strict=True)

    def _values(self, key: str, place: Pointer) -> pa.Array:
        values = self.verdict.replacements.get(key, leaf(self.whole, place).values)
        closed = self.verdict.removed_values.get(key)
        return values if closed is None else mask_values(values, pa.array(closed))

    def _emptied_lists(self, keys: Mapping[str, Pointer]) -> Iterator[tuple[Pointer, pa.BooleanArray]]:
        """The lists of which every leaf can be removed. If all are removed, even an empty list must not remain visible."""
        for star in dict.fromkeys(star for place in keys.values() for star in place.stars):
            below = [self.verdict.emptied_records.get(key) for key, place in keys.items() if place.within(star)]
            masks = [mask for mask in below if mask is not None]
            if len(masks) == len(below):
                slots = row_indices(leaf(self.whole, Pointer(star.parts[:-1])), self.whole.num_rows)
                yield star, pa.array(np.logical_and.reduce(masks)[slots])

    def _filter_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch if self.stays.all() else batch.filter(pa.array(self.stays))


@dataclass(frozen=True, slots=True)
class StagePerFile:
    """A separate stage for each file, chosen by its entry in the receipts."""

    stage_for: Callable[[ReceiptFile], Stage]


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


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """Result of a rewrite, for its receipt.

    written   the new files, by output name (including `quarantine` if its files were given)
    replaces  the files that they replace
    removes   the files of which no row remains
    read      rows of the given files
    counts    the counts of the stage
    """

    written: Mapping[str, tuple[WrittenFile, ...]] = field(default_factory=dict)
    replaces: tuple[FileRef, ...] = ()
    removes: tuple[FileRef, ...] = ()
    read: int = 0
    counts: BatchCounts = field(default_factory=BatchCounts)

    def __add__(self, other: RewriteResult) -> RewriteResult:
        names = {**self.written, **other.written}
        return RewriteResult(
            {name: (*self.written.get(name, ()), *other.written.get(name, ())) for name in names},
            (*self.replaces, *other.replaces),
            (*self.removes, *other.removes),
            self.read + other.read,
            self.counts + other.counts,
        )


def rewrite_files(
    output: OpenOutput,
    run_id: str,
    files: Sequence[str],
    stage: Stage | StagePerFile,
    receipt: Callable[[RewriteResult], Receipt],
    attachments: Mapping[str, bytes] | None = None,
    *,
    removes: Sequence[str] = (),
    keys: Subkeys | None = None,
    kms: Kms | None = None,
    also: Callable[[Staging], RewriteResult] | None = None,
    shown: ObserverFactory = lambda stored: None,
) -> Receipt:
    """Passes files in force through a stage and publishes the result in their place.

    Takes paths relative to the output folder, a stage, and a function that makes the signed receipt. The stage receives the
    released columns as `raw`, including folder columns. The new file has the columns of `raw`, replaced by those of `released`
    with the same name. Schema and field metadata stay. Files in `removes` are not read.

    With `keys`, the replacement of an indexed file gets an index; without them it gets none. Encrypted files are encrypted
    again under the newest versions of their master keys, which `kms` holds. `also` stages further changes in the same
    publication. `shown` receives the batches that are read, so that no second read is needed. Attachments that `receipt` adds are
    published, too.

    Raises OutputError before any write if a file is not in force or its bytes do not match its receipt; KeyringError without
    a key.
    """
    force = _files_in_force(output)
    chosen = [_check_digest(output, path, force) for path in sorted(set(files))]
    removed = [_require_in_force(path, force) for path in sorted(set(removes))]
    if not chosen and not removed:
        raise OutputError("there is nothing to rewrite", hint="Pass files that are in force.")
    with output.begin(run_id) as staging:
        _keep_others(staging, force, {file.path for file in (*chosen, *removed)})
        done = RewriteResult(removes=tuple(FileRef(file.path, file.digest) for file in removed))
        for number, file in enumerate(chosen):
            watch = None if file.index is None or keys is None else _indexer_like(output, file, keys)
            each = stage.stage_for(file) if isinstance(stage, StagePerFile) else stage
            done += _FileRewrite(staging, file, number, watch, kms, shown).apply_stage(each)
        done += RewriteResult() if also is None else also(staging)
        made = receipt(done)
        staging.publish(made, attachments)
    return made


def _files_in_force(output: OpenOutput) -> dict[str, ReceiptFile]:
    receipts = output.receipts()
    found = [file for each in files_in_force(receipts).values() for file in each] + quarantine_files_in_force(receipts)
    found += [ReceiptFile(each.path, 0, each.digest) for each in retained_sketches(receipts)]
    return {file.path: file for file in found}


def _check_digest(output: OpenOutput, path: str, force: Mapping[str, ReceiptFile]) -> ReceiptFile:
    """Refuses a file that was modified outside `minimize`, so that it does not get a new signature."""
    file, full = _require_in_force(path, force), output.folder / path
    if not full.is_file() or file_digest(full) != file.digest:
        raise OutputError(f"{path} does not match its receipt", hint="Run `minimize verify` to check all files.")
    return file


def _require_in_force(path: str, force: Mapping[str, ReceiptFile]) -> ReceiptFile:
    if path not in force:
        raise OutputError("a file to rewrite is not in force", hint="Run `minimize verify` to list the files in force.")
    return force[path]


def _keep_others(staging: Staging, force: Mapping[str, ReceiptFile], chosen: set[str]) -> None:
    places = {output_and_date(path) for path in chosen}
    for name, on in sorted(places, key=str):
        staging.reserve_partition(name, on)
    for path in force.keys() - chosen:
        if output_and_date(path) in places:
            staging.keep_file(force[path])


def _indexer_like(output: OpenOutput, file: ReceiptFile, keys: Subkeys) -> SubjectIndexer:
    """The indexer for the replacement of a file, for the same subject column as the existing index."""
    with open_index_file(output.folder, file) as handle:
        subject = read_index(handle, file, lambda version: IndexKey.from_keys(keys, version)).contents.subject
    return SubjectIndexer.from_keys(keys, Pointer.parse(subject))


@dataclass(frozen=True, slots=True)
class _FileRewrite:
    """Rewrite of one file. Low-cardinality text and subjects are read and written as dictionaries."""

    staging: Staging
    file: ReceiptFile
    number: int
    watch: SubjectIndexer | None
    kms: Kms | None
    shown: ObserverFactory

    def apply_stage(self, stage: Stage) -> RewriteResult:
        """Passes the file through the stage and stages the result."""
        stored, counts, read = self._open_stored(), BatchCounts(), 0
        sink, showing = self._sink(stored.schema), self.shown(stored)
        for batch in stored.batches():
            if showing is not None:
                showing(batch)
            result = stage(Batch(raw=batch))
            sink.write(scrub(_rewritten_columns(result, stored.schema), stored.schema))
            counts, read = counts + result.counts, read + batch.num_rows
            del batch, result  # free the memory before the next batch is read
        if showing is not None:
            showing.close()
        return self._complete_result(tuple(sink.close()), RewriteResult(read=read, counts=counts))

    def _open_stored(self) -> StoredFile:
        also = [] if self.watch is None else [self.watch.subject.top]
        return open_stored_file(self.staging.output.folder, self.file.path, self.kms, encoded=True, also=also)

    def _sink(self, schema: pa.Schema) -> ParquetSink:
        encryption = _same_encryption(self.staging.output.folder / self.file.path, self.kms)
        folder = str(PurePosixPath(self.file.path).parent)
        return self.staging.sink_in(folder, self.number, schema, empty=False, encryption=encryption, watch=self.watch)

    def _complete_result(self, written: tuple[WrittenFile, ...], done: RewriteResult) -> RewriteResult:
        original = (FileRef(self.file.path, self.file.digest),)
        if not written:
            return replace(done, removes=original)
        sketches = None if self.file.sketches is None else self.staging.output.folder / self.file.sketches.path
        if sketches is not None and file_exists(sketches):  # sketches keep removed rows, because they were published
            written = tuple(self.staging.attach_sketches(each, sketches.read_bytes()) for each in written)
        return replace(done, written={output_and_date(self.file.path)[0]: written}, replaces=original)


def _same_encryption(place: Location, kms: Kms | None) -> OutputEncryption | None:
    material = read_encrypted_columns(place)
    return None if kms is None or not material.masters else RewriteEncryption(kms, material)


def _rewritten_columns(result: Batch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of the file after the stage; folder columns stay unchanged."""
    arrays = [result.released.get(name, result.raw[name]) for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)
