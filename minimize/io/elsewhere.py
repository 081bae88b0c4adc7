"""Files that other processes write for a run: each attempt in a folder of its own, and only what is adopted is staged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from minimize import file_operations
from minimize.encryption import Encryption
from minimize.failpoints import fail_point
from minimize.io.base import Written
from minimize.io.durable import move_file, remove_tree, written
from minimize.io.index.lens import Subkeys
from minimize.io.index.write import Indexer
from minimize.io.sink import ParquetSink
from minimize.pointer import Pointer
from minimize.stores import Place, Remote

ATTEMPTS: Final = "attempts"
"""The folder below staging in which attempts write. It is gone before anything is published: who comes too late fails."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One partition of a run, for processes that see the same file system; it can be pickled.

    root    where the run stages its files
    folder  of the partition, relative to the root
    subject  the path of the column by which the files are indexed; None where they are not
    encryption  how they are encrypted; master keys are opened where the files are written
    """

    root: Place
    folder: str
    run_id: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    subject: Pointer | None = None
    encryption: Encryption | None = None

    def opened(self) -> Elsewhere:
        """Itself, ready for attempts."""
        written(_made, self.root / ATTEMPTS)
        return self

    def sink(self, attempt: str, keys: Subkeys | None = None) -> ParquetSink:
        """A sink for one attempt, whose name no other attempt has. Without rows it leaves no file, without keys no index."""
        root = self.root / ATTEMPTS / attempt
        _made(root)
        stem = f"{self.run_id}-{attempt}"
        watch = None if keys is None or self.subject is None else Indexer.of(keys, self.subject)
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

    def adopt(self, attempt: str, reported: Iterable[Written]) -> Sequence[Written]:
        """Stages the files that an attempt reported."""
        adopted = [*reported]
        for name in [
            name for file in adopted for name in (file.path, *(() if file.index is None else (file.index.path,)))
        ]:
            fail_point("adopt.before")
            written(move_file, self.root / ATTEMPTS / attempt / name, self.root / name)
            fail_point("adopt.after")
        return adopted


def _made(folder: Place) -> None:
    if isinstance(folder, Path):
        file_operations.make_folder(folder)


def let_go(root: Place) -> None:
    """Removes what was not adopted. Attempts that still run find their folder gone; what they write yet is in no file."""
    attempts, gone = root / ATTEMPTS, root / f"{ATTEMPTS}-gone"
    if isinstance(attempts, Remote):
        remove_tree(attempts)
    elif isinstance(gone, Path) and attempts.exists():
        file_operations.rename(attempts, gone)
        remove_tree(gone)
