"""Files that worker processes write for a run: each attempt in its own folder, and only adopted files are staged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.failpoints import fail_point
from minimize.keys.parquet_encryption import OutputEncryption
from minimize.output.sink import ParquetSink
from minimize.output.subject_index import SubjectIndexer, Subkeys
from minimize.sources.base import WrittenFile
from minimize.stores import Location, ObjectPath, file_operations
from minimize.stores.durable_files import move_file, remove_tree, with_output_errors

ATTEMPTS_FOLDER: Final = "attempts"
"""The folder below staging in which attempts write. It is gone before anything is published: who comes too late fails."""


@dataclass(frozen=True, slots=True)
class WorkerFiles:
    """One partition of a run, for processes that see the same file system; it can be pickled.

    root    where the run stages its files
    folder  of the partition, relative to the root
    subject  the path of the column by which the files are indexed; None where they are not
    encryption  how they are encrypted; master keys are opened where the files are written
    """

    root: Location
    folder: str
    run_id: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    subject: Pointer | None = None
    encryption: OutputEncryption | None = None

    def prepare(self) -> WorkerFiles:
        """Itself, ready for attempts."""
        with_output_errors(_make_attempt_folder, self.root / ATTEMPTS_FOLDER)
        return self

    def sink(self, attempt: str, keys: Subkeys | None = None) -> ParquetSink:
        """A sink for one attempt, whose name no other attempt has. Without rows it leaves no file, without keys no index."""
        root = self.root / ATTEMPTS_FOLDER / attempt
        _make_attempt_folder(root)
        stem = f"{self.run_id}-{attempt}"
        watch = None if keys is None or self.subject is None else SubjectIndexer.from_keys(keys, self.subject)
        return ParquetSink(
            root,
            self.folder,
            stem,
            self.schema,
            partition_by=self.partition_by,
            empty=False,
            encryption=self.encryption,
            watch=watch,
        )

    def adopt(self, attempt: str, reported: Iterable[WrittenFile]) -> Sequence[WrittenFile]:
        """Stages the files that an attempt reported."""
        adopted = [*reported]
        for name in [
            name for file in adopted for name in (file.path, *(() if file.index is None else (file.index.path,)))
        ]:
            fail_point("adopt.before")
            with_output_errors(move_file, self.root / ATTEMPTS_FOLDER / attempt / name, self.root / name)
            fail_point("adopt.after")
        return adopted


def _make_attempt_folder(folder: Location) -> None:
    if isinstance(folder, Path):
        file_operations.make_folder(folder)


def remove_attempts(root: Location) -> None:
    """Removes what was not adopted. Attempts that still run find their folder gone; what they write yet is in no file."""
    attempts, gone = root / ATTEMPTS_FOLDER, root / f"{ATTEMPTS_FOLDER}-gone"
    if isinstance(attempts, ObjectPath):
        remove_tree(attempts)
    elif isinstance(gone, Path) and attempts.exists():
        file_operations.rename(attempts, gone)
        remove_tree(gone)
