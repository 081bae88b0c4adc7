"""Files in force through a Stage, published in their own place, told in a receipt.

Expiry, correction, deletion and key rotation are this with different stages. What the stage leaves alone in a partition is
linked over, so that a partition changes in one step; a file of which nothing is left goes, and so does its partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Protocol

import pyarrow as pa

from minimize.encryption import AsBefore, Encryption, material_of
from minimize.errors import OutputError
from minimize.io.base import Written
from minimize.io.durable import digest_of, there
from minimize.io.index.lens import Lens, Subkeys
from minimize.io.index.opened import open_file, opened
from minimize.io.index.write import Indexer
from minimize.io.places import place_of
from minimize.io.publish import Output, Staging
from minimize.io.sink import ParquetSink
from minimize.io.stored import Stored, open_stored
from minimize.keys import Kms
from minimize.pointer import Pointer
from minimize.receipt import FileRef, OutputFile, Receipt, in_force, kept_sketches, quarantine_in_force
from minimize.scrub import scrub
from minimize.stage import Batch, Counts, Stage
from minimize.stores import Place


@dataclass(frozen=True, slots=True)
class EachFile:
    """A stage of its own for each file, by what the receipts say of it."""

    of: Callable[[OutputFile], Stage]


class Showing(Protocol):
    """What the batches of one file are shown to, as they stand there."""

    def __call__(self, batch: pa.RecordBatch) -> object:
        """Takes a batch in."""
        ...

    def close(self) -> object:
        """Knows that it was the last one."""
        ...


Shown = Callable[[Stored], Showing | None]
"""Who wants to see the batches of a file, if anybody does."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a rewrite did, for its receipt.

    written   the new files, by output name (`quarantine` among them where its files were given)
    replaces  the files that they stand in for
    removes   the files of which nothing was left
    read      rows of the files given
    counts    what the stage counted
    """

    written: Mapping[str, tuple[Written, ...]] = field(default_factory=dict)
    replaces: tuple[FileRef, ...] = ()
    removes: tuple[FileRef, ...] = ()
    read: int = 0
    counts: Counts = field(default_factory=Counts)

    def __add__(self, other: Rewritten) -> Rewritten:
        names = {**self.written, **other.written}
        return Rewritten(
            {name: (*self.written.get(name, ()), *other.written.get(name, ())) for name in names},
            (*self.replaces, *other.replaces),
            (*self.removes, *other.removes),
            self.read + other.read,
            self.counts + other.counts,
        )


def rewrite(
    output: Output,
    run_id: str,
    files: Sequence[str],
    stage: Stage | EachFile,
    receipt: Callable[[Rewritten], Receipt],
    attachments: Mapping[str, bytes] | None = None,
    *,
    removes: Sequence[str] = (),
    keys: Subkeys | None = None,
    kms: Kms | None = None,
    also: Callable[[Staging], Rewritten] | None = None,
    shown: Shown = lambda stored: None,
) -> Receipt:
    """Puts files in force through a stage and publishes what comes out in their place.

    Takes paths relative to the output folder; a stage whose batches have the released columns as `raw`, those that are
    folders included; what makes the signed receipt. What leaves the stage is `raw`, with the columns that `released` has,
    by name, in their place; schema and field metadata stay. Files that are to be removed are not read. With `keys` what stands
    in for a file that has an index gets one, without them none. What was encrypted is encrypted again, by the newest versions of
    its master keys, which `kms` keeps. `also` stages what else changes with them. `shown` sees what is read, which nobody need
    read again; what making the receipt adds to the attachments is published, too. Raises OutputError for a file that is not in
    force or whose bytes are not those that its receipt tells, before anything is written; KeyringError without a key.
    """
    force = _force(output)
    chosen = [_checked(output, path, force) for path in sorted(set(files))]
    gone = [_in_force(path, force) for path in sorted(set(removes))]
    if not chosen and not gone:
        raise OutputError("there is nothing to rewrite", hint="name files that are in force")
    with output.begin(run_id) as staging:
        _keep_others(staging, force, {file.path for file in (*chosen, *gone)})
        done = Rewritten(removes=tuple(FileRef(file.path, file.digest) for file in gone))
        for number, file in enumerate(chosen):
            watch = None if file.index is None or keys is None else _indexer(output, file, keys)
            each = stage.of(file) if isinstance(stage, EachFile) else stage
            done += _Rewriting(staging, file, number, watch, kms, shown).through(each)
        done += Rewritten() if also is None else also(staging)
        made = receipt(done)
        staging.publish(made, attachments)
    return made


def _force(output: Output) -> dict[str, OutputFile]:
    said = output.receipts()
    found = [file for each in in_force(said).values() for file in each] + quarantine_in_force(said)
    found += [OutputFile(each.path, 0, each.digest) for each in kept_sketches(said)]
    return {file.path: file for file in found}


def _checked(output: Output, path: str, force: Mapping[str, OutputFile]) -> OutputFile:
    """A file that was changed behind our back must not come under a new signature."""
    file, full = _in_force(path, force), output.folder / path
    if not full.is_file() or digest_of(full) != file.digest:
        raise OutputError(f"{path} is not what its receipt tells", hint="`minimize verify` checks all files")
    return file


def _in_force(path: str, force: Mapping[str, OutputFile]) -> OutputFile:
    if path not in force:
        raise OutputError("a file that is to be rewritten is not in force", hint="`minimize verify` lists what is")
    return force[path]


def _keep_others(staging: Staging, force: Mapping[str, OutputFile], chosen: set[str]) -> None:
    places = {place_of(path) for path in chosen}
    for name, on in sorted(places, key=str):
        staging.place(name, on)
    for path in force.keys() - chosen:
        if place_of(path) in places:
            staging.keep(force[path])


def _indexer(output: Output, file: OutputFile, keys: Subkeys) -> Indexer:
    """Who indexes what stands in for a file, by the column that the file's own index is about."""
    with open_file(output.folder, file) as handle:
        subject = opened(handle, file, lambda version: Lens.of(keys, version)).contents.subject
    return Indexer.of(keys, Pointer.parse(subject))


@dataclass(frozen=True, slots=True)
class _Rewriting:
    """One file on its way. Texts of few values, and subjects, come as dictionaries and are written so."""

    staging: Staging
    file: OutputFile
    number: int
    watch: Indexer | None
    kms: Kms | None
    shown: Shown

    def through(self, stage: Stage) -> Rewritten:
        """What the stage leaves of it, staged."""
        stored, counts, read = self._stored(), Counts(), 0
        sink, showing = self._sink(stored.schema), self.shown(stored)
        for batch in stored.batches():
            if showing is not None:
                showing(batch)
            result = stage(Batch(raw=batch))
            sink.write(scrub(_leaving(result, stored.schema), stored.schema))
            counts, read = counts + result.counts, read + batch.num_rows
            del batch, result  # or they would stay in memory while the next ones are read
        if showing is not None:
            showing.close()
        return self._told(tuple(sink.close()), Rewritten(read=read, counts=counts))

    def _stored(self) -> Stored:
        also = [] if self.watch is None else [self.watch.subject.top]
        return open_stored(self.staging.output.folder, self.file.path, self.kms, encoded=True, also=also)

    def _sink(self, schema: pa.Schema) -> ParquetSink:
        encryption = _as_before(self.staging.output.folder / self.file.path, self.kms)
        folder = str(PurePosixPath(self.file.path).parent)
        return self.staging.sink_in(folder, self.number, schema, empty=False, encryption=encryption, watch=self.watch)

    def _told(self, written: tuple[Written, ...], done: Rewritten) -> Rewritten:
        gone = (FileRef(self.file.path, self.file.digest),)
        if not written:
            return replace(done, removes=gone)
        sketches = None if self.file.sketches is None else self.staging.output.folder / self.file.sketches.path
        if sketches is not None and there(sketches):  # rows that were removed stay in them: they were published
            written = tuple(self.staging.attach_sketches(each, sketches.read_bytes()) for each in written)
        return replace(done, written={place_of(self.file.path)[0]: written}, replaces=gone)


def _as_before(place: Place, kms: Kms | None) -> Encryption | None:
    material = material_of(place)
    return None if kms is None or not material.masters else AsBefore(kms, material)


def _leaving(result: Batch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of the file, as the stage leaves them; those that are folders stay what they are."""
    arrays = [result.released.get(name, result.raw[name]) for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)
