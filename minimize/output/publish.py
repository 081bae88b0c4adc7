"""Publication of a run: files are staged, committed, swapped in partition by partition, and listed in a receipt.

    with open_output(folder) as output:                      takes the lock; completes or undoes an earlier publication
        with output.begin(run_id) as staging:
            sink = staging.sink("records", "2026-11-24", schema)
            ...
            staging.publish(receipt, {"policy.yaml": ...})   leaving the block without it undoes everything

A crash at any point leaves either the old or the new output after recovery. A partition folder contains data files and an empty
`_SUCCESS`, nothing else, because engines read all other files. Folders follow the umask, except the output folder: only its owner
may enter it (0700) until they change its mode.

Working folders: files are assembled there and then renamed. Folders of killed processes are removed.

The name identifies the process: `.PURPOSE-PID-BORN-MACHINE-RANDOM`. The next process that creates a working folder of this
purpose in the same folder removes those of processes that have certainly ended: on this machine, since its last start.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa

from minimize.checkpoints import checkpoint
from minimize.errors import OutputError
from minimize.output import commit
from minimize.output.commit import REPLACED, STAGING, FolderExchange, Intent, exchange_folders
from minimize.output.folder import (
    FORMER_SKETCHES,
    INTENT,
    SUCCESS,
    check_apart,
    check_bucket,
    check_partition,
    hold_lock,
    is_companion,
    is_locked,
    is_run_id,
    list_data_files,
    make_output_folder,
    read_receipts,
)
from minimize.output.sink import QUARANTINE_SCHEMA, ParquetSink, QuarantineWriter, WorkerFiles, remove_attempts
from minimize.output.subject_index import INDEX_FOLDER
from minimize.receipts import Receipt, ReceiptFile, files_with_companions, paths_in_force_below
from minimize.records import RECEIPT_FILE, RECORDS, RUNS
from minimize.stores import Location, ObjectPath, file_operations
from minimize.stores.durable_files import (
    ProcessIdentity,
    link_file,
    make_folder,
    remove_tree,
    sync_tree,
    with_output_errors,
    write_file,
)
from minimize.stores.file_operations import sync_folder

QUARANTINE: Final = "quarantine"
LeaseCheck = Callable[[], object]
"""Raises LedgerError if the lease on the output was lost."""


@contextmanager
def open_output(
    folder: Location,
    *,
    source: Location | None = None,
    create: bool = True,
    exchange: FolderExchange = exchange_folders,
    lease: LeaseCheck | None = None,
) -> Iterator[OpenOutput]:
    """Opens an output folder for writing, for one process at a time. Earlier publications are completed or undone first.

    Takes the folder, and the root of the source if there is one. A folder in a bucket cannot be locked; it needs a check that the
    lease is still held. Raises OutputError if the folder does not exist (`create=False`), another process has it open, one of
    folder and source is inside the other, or a folder in a bucket is passed without a lease.
    """
    folder = folder if isinstance(folder, ObjectPath) else Path(os.path.abspath(folder))
    check_apart(folder, source)
    with _exclusive_access(folder, lease, create):
        with_output_errors(commit.recover_output, folder, exchange)
        yield OpenOutput(folder, exchange, lease if isinstance(folder, ObjectPath) else None)


def _exclusive_access(folder: Location, lease: LeaseCheck | None, create: bool) -> AbstractContextManager[object]:
    if isinstance(folder, Path):
        return hold_lock(folder, create=create)
    if lease is None:
        hint = "Pass a ledger outside the bucket (--ledger, MINIMIZE_LEDGER, or `ledger:` in minimize.yaml)."
        message = (
            "an output in an object store needs a ledger outside the bucket: it prevents two runs from writing at once"
        )
        raise OutputError(message, hint=hint)
    check_bucket(folder)
    lease()
    return nullcontext()


@dataclass(frozen=True, slots=True)
class OpenOutput:
    """An output folder that only this process may write to until the block ends."""

    folder: Location
    exchange: FolderExchange = exchange_folders
    check_lease: LeaseCheck | None = None
    """Called right before the commit if no lock excludes other processes."""
    _known_receipts: list[tuple[Receipt, ...]] = field(default_factory=list, init=False, repr=False, compare=False)

    def receipts(self) -> tuple[Receipt, ...]:
        """The receipts of the output, by sequence. Under the lock they are read again only after a publication."""
        if self.check_lease is not None:
            return read_receipts(self.folder)
        if not self._known_receipts:
            self._known_receipts.append(read_receipts(self.folder))
        return self._known_receipts[0]

    def forget_receipts(self) -> None:
        """Reads the receipts again when they are next needed."""
        self._known_receipts.clear()

    def begin(self, run_id: str) -> Staging:
        """Begins the staging of a run. Raises OutputError for an id that was used before or cannot name a folder."""
        run = self.folder / RUNS / run_id
        if not is_run_id(run_id) or run.exists():
            raise OutputError("the run id has characters other than letters, digits and dashes, or was used before")
        checkpoint("begin.before")
        staging = Staging(self, run_id)
        try:
            with_output_errors(make_folder, staging.root)
        except OutputError:
            staging.discard()
            raise
        checkpoint("begin.after")
        return staging


@dataclass(slots=True)
class Staging:
    """The staged files of one run, in the layout of the output folder, under `runs/<run id>/staging`."""

    output: OpenOutput
    run_id: str
    _partitions: list[str] = field(default_factory=list)
    _sinks: list[ParquetSink] = field(default_factory=list)
    _kept_paths: set[str] = field(default_factory=set)
    _undated: dict[str, bool] = field(default_factory=dict)
    _is_published: bool = False

    @property
    def run(self) -> Location:
        """The run's folder."""
        return self.output.folder / RUNS / self.run_id

    @property
    def root(self) -> Location:
        """The folder of staged files. A sink in another process writes below it."""
        return self.run / STAGING

    def reserve_partition(self, name: str, date: str | None) -> str:
        """Reserves a whole partition for this run; returns its folder relative to `root`.

        The current files of the partition are replaced by the staged ones, or removed if there are none. The same applies to the
        indexes of records. Takes the batch date, or None if the output has no dates and is replaced as a whole.
        Raises OutputError as `check_partition` does.
        """
        for folder_name in _folders_with_companions(name):
            path = _partition_path(folder_name, date)
            if path not in self._partitions:
                check_partition(self.output.folder, folder_name, date, self._undated)
                self._partitions.append(path)
        return _partition_path(name, date)

    def sink(self, name: str, date: str | None, schema: pa.Schema, *, part: int = 0, **options: Any) -> ParquetSink:
        """A sink for one partition; `part` distinguishes several sinks of a partition. Options: those of `ParquetSink`."""
        return self.sink_in(self.reserve_partition(name, date), part, schema, **options)

    def sink_in(self, folder: str, part: int, schema: pa.Schema, **options: Any) -> ParquetSink:
        """A sink for a folder within a reserved partition."""
        sink = ParquetSink(self.root, folder, f"{self.run_id}-{part}", schema, **options)
        self._sinks.append(sink)
        return sink

    def worker_files(self, name: str, date: str | None, schema: pa.Schema, **options: Any) -> WorkerFiles:
        """The folder in which other processes write files of one partition. Files that are not adopted are removed before
        publication.

        Options: those of `WorkerFiles`.
        """
        return WorkerFiles(self.root, self.reserve_partition(name, date), self.run_id, schema, **options)

    def quarantine(self, date: str | None) -> QuarantineWriter:
        """The quarantine of one date. Without rejects its partition is removed instead of being left empty."""
        place = self.reserve_partition(QUARANTINE, date)
        sink = ParquetSink(self.root, place, self.run_id, QUARANTINE_SCHEMA, empty=False)
        self._sinks.append(sink)
        return QuarantineWriter(sink, self.run_id, self.worker_files(QUARANTINE, date, QUARANTINE_SCHEMA))

    def current_files(self) -> tuple[str, ...]:
        """The current files of this run's partitions, relative to the output folder: those that it replaces or removes.

        A file that a receipt lists and that is missing is included, so that a run of its date repairs the output. Indexes are
        removed with their files and are not included.
        """
        existing_paths = {path for path in self._existing_files() if not is_companion(path)}
        return tuple(sorted(existing_paths | paths_in_force_below(self.output.receipts(), self._partitions)))

    def keep_file(self, file: ReceiptFile) -> None:
        """Keeps an unchanged file and its index in the new partition."""
        for path in _file_with_companions(file):
            checkpoint("keep.before")
            self._keep(self.output.folder / path, self.root / path, path)
            checkpoint("keep.after")

    def _keep(self, location: Location, new: Location, path: str) -> None:
        """On disk the file is linked, because a partition is swapped as a whole. In a bucket it stays in its place."""
        if isinstance(location, Path) and isinstance(new, Path):
            with_output_errors(link_file, location, new)
        else:
            self._kept_paths.add(path)

    def publish(self, receipt: Receipt, attachments: Mapping[str, bytes] | None = None) -> None:
        """Publishes all staged files or, before the commit point, none.

        Takes the run's receipt, and its attachments by name. Raises OutputError if the receipt does not list the staged files or
        does not follow the previous receipt, or if the operating system refuses to write. After the commit point the code is
        E208, and the next command completes the publication.
        """
        intent = with_output_errors(self._build_intent, receipt, attachments or {})
        self._is_published = True
        self.output.forget_receipts()
        commit.finish_publication(self.output.folder, intent, self.output.exchange)

    def _build_intent(self, receipt: Receipt, attachments: Mapping[str, bytes]) -> Intent:
        remove_attempts(self.root)
        staged = {path: self._staged(path) for path in sorted(self._partitions)}
        swaps = {path: files for path, files in staged.items() if files}
        removes = tuple(path for path in sorted(self._partitions) if path not in swaps)
        if (self.output.folder / FORMER_SKETCHES).exists():
            removes += (FORMER_SKETCHES,)
        self._check(receipt, swaps)
        for turn, path in enumerate(swaps):
            checkpoint("success.before", turn)
            mark = self.root / path / SUCCESS
            if isinstance(mark, Path) and not is_companion(f"{path}/"):
                file_operations.touch(mark)
            checkpoint("success.after", turn)
        self._attach(attachments)
        sync_tree(self.run)
        if self.output.check_lease is not None:
            self.output.check_lease()
        intent = Intent(self.run_id, swaps, removes, receipt.file_text())
        intent.write(self.run)
        return intent

    def discard(self) -> None:
        """Removes the staged files. If the operating system refuses, the next command removes them. Does nothing after
        publication."""
        if not self._is_published:
            for sink in self._sinks:
                sink.abandon()
            with suppress(OSError, OutputError):
                if self.run.exists():
                    commit.roll_back(self.run)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _staged(self, path: str) -> tuple[str, ...]:
        """The new files of a partition, by their path within it."""
        kept = {file.removeprefix(f"{path}/") for file in self._kept_paths if file.startswith(f"{path}/")}
        return tuple(sorted(kept.union(list_data_files(self.root / path))))

    def _existing_files(self) -> tuple[str, ...]:
        folders = ((path, self.output.folder / path) for path in self._partitions)
        return tuple(
            f"{path}/{file}" for path, folder in folders if folder.is_dir() for file in list_data_files(folder)
        )

    def _attach(self, attachments: Mapping[str, bytes]) -> None:
        for name, content in attachments.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or path.parts[:1] in _RESERVED_NAMES or not path.parts:
                raise OutputError("the name of an attachment is reserved, or is not a path below the run's folder")
            make_folder((self.run / path).parent)
            write_file(self.run / path, content)
        checkpoint("attach.after")

    def _check(self, receipt: Receipt, swaps: Mapping[str, Sequence[str]]) -> None:
        """Raises OutputError if the receipt does not match the staged files."""
        before = self.output.receipts()
        head = (before[-1].sequence, before[-1].digest) if before else (0, None)
        if (receipt.run_id, receipt.sequence - 1, receipt.previous) != (self.run_id, *head):
            raise _internal_error("the receipt does not follow the previous one")
        staged = {f"{path}/{file}" for path, files in swaps.items() for file in files}
        existing_paths = set(self._existing_files())
        listed = [file for written_output in receipt.outputs.values() for file in files_with_companions(written_output)]
        listed += [*receipt.quarantine.files, *(receipt.restricted or ())]
        if {path for file in listed for path in _file_with_companions(file)} != staged - existing_paths:
            raise _internal_error("the receipt does not list the staged files")
        if {file.path for file in (*receipt.replaces, *receipt.removes)} != set(self.current_files()) - staged:
            raise _internal_error("the receipt does not list the replaced files")


def _internal_error(fault: str) -> OutputError:
    hint = "Run again. If it repeats, report it with the run id."
    return OutputError(f"internal check failed; nothing was published: {fault}", hint=hint)


def _partition_path(name: str, date: str | None) -> str:
    return name if date is None else f"{name}/date={date}"


def _folders_with_companions(name: str) -> tuple[str, ...]:
    """An output and, for records, the folder of its indexes."""
    return (RECORDS, INDEX_FOLDER) if name == RECORDS else (name,)


def _file_with_companions(file: ReceiptFile) -> tuple[str, ...]:
    return (file.path,) if file.index is None else (file.path, file.index.path)


_RESERVED_NAMES: Final = tuple((name,) for name in (RECEIPT_FILE, INTENT, STAGING, REPLACED))


__all__ = [
    "QUARANTINE",
    "OpenOutput",
    "Staging",
    "check_apart",
    "is_locked",
    "make_output_folder",
    "make_working_folder",
    "open_output",
    "remove_abandoned_folders",
    "write_new_folder",
]


_OWNER: Final = re.compile(r"(\d+)-(\d+)-([0-9a-f]{16})-[0-9a-f]{16}")


def make_working_folder(parent: Path, purpose: str) -> Path:
    """A new folder that only its owner can read. Raises OSError."""
    remove_abandoned_folders(parent, purpose)
    ours = ProcessIdentity.current()
    owner = f"{ours.pid}-{ours.born}-{_machine_digest(ours)}-{secrets.token_hex(8)}"
    folder = parent / f".{purpose}-{owner}"
    file_operations.make_folder(folder, private=True)
    return folder


@contextmanager
def write_new_folder(folder: Path, purpose: str) -> Iterator[Path]:
    """Yields a working folder. It is renamed to the new folder at the end of the block, and removed if the block fails.

    Raises OSError, including FileExistsError.
    """
    if os.path.lexists(folder):
        raise FileExistsError(errno.EEXIST, "it already exists")
    file_operations.make_folders(folder.parent)
    work = make_working_folder(folder.parent, purpose)
    try:
        yield work
        sync_folder(work)
        file_operations.rename(work, folder)
        sync_folder(folder.parent)
    finally:
        remove_tree(work)


def remove_abandoned_folders(parent: Path, purpose: str) -> None:
    """Removes the folders of a purpose whose processes have ended. A folder that cannot be removed is left."""
    with suppress(OSError):
        for folder in sorted(parent.glob(f".{purpose}-*")):
            if _is_abandoned(folder.name.removeprefix(f".{purpose}-")) and not folder.is_symlink():
                with suppress(OSError):
                    remove_tree(folder)


def _is_abandoned(owner: str) -> bool:
    match, ours = _OWNER.fullmatch(owner), ProcessIdentity.current()
    if match is None or match[3] != _machine_digest(ours):
        return False
    return ProcessIdentity(ours.host, ours.machine, int(match[1]), int(match[2])).is_dead()


def _machine_digest(process: ProcessIdentity) -> str:
    return hashlib.sha256(process.machine.encode()).hexdigest()[:16]
