"""Lock of an output folder: one process at a time. The system releases it when the process ends, however it ends.

A bucket has no lock: there the ledger's lease on the output keeps other processes away.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from minimize.errors import OutputError
from minimize.output.folder import RUNS
from minimize.output.paths import check_folder
from minimize.stores import Location, ObjectPath, file_operations
from minimize.stores.durable_files import make_folder, with_output_errors
from minimize.stores.file_operations import sync_folder

LOCK_FILE: Final = ".lock"
PAUSE_S: Final = 0.01
TRIES: Final = 25


@contextmanager
def hold_lock(folder: Path, *, create: bool) -> Iterator[None]:
    """Holds the lock of an output folder. Raises OutputError where it is not there (`create=False`), or another holds it."""
    with _open_lock_file(folder, create) as file:
        take_lock(file.fileno())
        yield


def make_output_folder(folder: Location) -> None:
    """Makes an output folder where there is none. Raises OutputError where it cannot be made, or its bucket is missing."""
    check_folder(folder)
    if isinstance(folder, ObjectPath):
        check_bucket(folder)
    else:
        with_output_errors(_make_on_disk, folder)


def check_bucket(folder: ObjectPath) -> None:
    """Raises OutputError where the bucket is not there."""
    if not folder.has_bucket():
        raise OutputError(
            f"{folder.bucket} is not there", hint="make the bucket, or see that its name and region are right"
        )


def _make_on_disk(folder: Path) -> None:
    if not (folder / RUNS).exists():
        make_folder(folder.parent)
        file_operations.make_folder(folder, private=True)
        with suppress(PermissionError):  # its parent belongs to others, who made the folder
            sync_folder(folder.parent)
        make_folder(folder / RUNS)


def _open_lock_file(folder: Path, create: bool) -> FileIO:
    if not create and not (folder / RUNS).is_dir():
        raise OutputError("there is no output folder here", hint="`minimize run` makes one")
    make_output_folder(folder)
    return with_output_errors(file_operations.open_or_create, folder / RUNS / LOCK_FILE)


def is_locked(folder: Path) -> bool:
    """Whether a process has an output folder open for writing."""
    try:
        with (folder / RUNS / LOCK_FILE).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def take_lock(handle: int) -> None:
    """Takes the lock of an open file. Raises OutputError where another process has it, or the file system knows none.

    It is tried for a moment: whoever asks `is_locked` holds it for as long as the question takes.
    """
    for _ in range(TRIES):
        if with_output_errors(_try_lock, handle):
            return
        time.sleep(PAUSE_S)
    raise OutputError("another process is writing to this output folder", hint="wait until it is done")


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
