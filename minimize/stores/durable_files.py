"""Files that are synced to disk before a function returns, and their digests, computed while they are written."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

from minimize.errors import OutputError, describe_os_error
from minimize.failpoints import fail_point
from minimize.stores import Location, ObjectPath, ObjectUpload, file_operations
from minimize.stores.digests import FileHash
from minimize.stores.file_operations import path_exists, sync, sync_folder

COPY_CHUNK = 1 << 20
T = TypeVar("T")


class HashingFile(io.RawIOBase):
    """A new file that hashes what is written to it and is synced to disk when it is closed.

    Takes a path that must not exist; the folders above it are created. Raises FileExistsError if it exists. In a bucket it
    becomes an object when it is closed.
    """

    _opened = False
    """Python also closes an object that could not be opened when it is garbage-collected."""

    def __init__(self, path: Location) -> None:
        super().__init__()
        self._file: BinaryIO | ObjectUpload = (
            path.upload() if isinstance(path, ObjectPath) else _create_with_folders(path)
        )
        self._opened = True
        self._hash = FileHash()
        self._worthless = False

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any) -> int:
        """Write all bytes."""
        view = memoryview(data).cast("B")
        if self._worthless:
            return len(view)
        self._hash.update(view)
        self._file.write(view)
        return len(view)

    def tell(self) -> int:
        """Number of bytes written."""
        return self._hash.size

    def close(self) -> None:
        """Write the remaining bytes and sync them to disk."""
        if self._opened and not self.closed:
            if not isinstance(self._file, ObjectUpload):
                self._file.flush()
                sync(self._file.fileno(), "data")
            self._file.close()
        super().close()

    def abandon(self) -> None:
        """Close the file without writing or syncing the remaining bytes; later writes are ignored."""
        self._worthless = True
        with suppress(OSError, OutputError):  # the remaining bytes may not fit on the disk
            self._file.close()
        super().close()

    @property
    def digest(self) -> str:
        """The digest of the bytes written so far."""
        return self._hash.digest


def _create_with_folders(path: Path) -> BinaryIO:
    file_operations.make_folders(path.parent)
    return file_operations.create(path)


def with_output_errors(work: Callable[..., T], *arguments: Any, but: tuple[type[OSError], ...] = ()) -> T:
    """The result of the work. Raises OutputError for an error of the operating system, except the types in `but`."""
    try:
        return work(*arguments)
    except but:
        raise
    except OSError as error:
        what, hint = describe_os_error(error)
    raise OutputError(f"cannot write to the output folder: {what}", hint=hint)


def file_exists(path: Location) -> bool:
    """Whether a file that is never empty exists. Some stores create an object before its bytes are written.

    Raises OSError, or for a bucket the error of the store, if that cannot be determined.
    """
    return path.is_file() and path.size() > 0 if isinstance(path, ObjectPath) else path_exists(path)


def sync_tree(root: Location) -> None:
    """Sync the entries of a folder and of every folder below it to disk, deepest first."""
    if isinstance(root, ObjectPath):  # an object is durable after the upload
        return
    for folder, _, _ in os.walk(root, topdown=False):
        sync_folder(Path(folder))


def make_folder(folder: Location) -> None:
    """Create a folder and those above it, synced to disk. The umask determines the permissions."""
    if isinstance(folder, ObjectPath):  # a prefix need not be created
        return
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        file_operations.make_folder(each)
        sync_folder(each.parent)


def write_file(path: Location, content: bytes, written: str | None = None) -> None:
    """Write a small file completely or not at all. `written` is a fail point before the file gets its name."""
    if isinstance(path, ObjectPath):
        if written is not None:
            fail_point(written)
        path.write_bytes(content)
        return
    half = path.with_name(path.name + ".tmp")
    with file_operations.overwrite(half) as file:
        file.write(content)
        file.flush()
        sync(file.fileno(), "small")
    if written is not None:
        fail_point(written)
    file_operations.rename(half, path)
    sync_folder(path.parent)


def link_file(path: Path, new: Path) -> None:
    """Add a second name to a file; copy it if the file system has no links."""
    make_folder(new.parent)
    try:
        file_operations.link(path, new)
    except OSError:
        with path.open("rb") as source, file_operations.create(new) as target:
            shutil.copyfileobj(source, target, COPY_CHUNK)
            target.flush()
            sync(target.fileno(), "copy")


def move_file(path: Location, to: Location) -> None:
    """Rename a file in its file system or bucket."""
    if isinstance(path, ObjectPath) and isinstance(to, ObjectPath):
        path.copy_to(to, path.size())
        path.unlink()
    elif isinstance(path, Path) and isinstance(to, Path):
        file_operations.make_folders(to.parent)
        file_operations.rename(path, to)


def remove_tree(folder: Location) -> None:
    """Remove a folder and everything below it, if it exists."""
    if isinstance(folder, ObjectPath):
        folder.remove_tree()
        return
    if folder.exists():
        file_operations.remove_tree(folder)
        sync_folder(folder.parent)


def create_private_file(path: Path) -> BinaryIO:
    """Create a file that only its owner can read, for writing. Raises OutputError if it exists or cannot be created.

    An empty private file counts as none: a process that was killed before it wrote leaves one.
    """
    try:
        return file_operations.create_or_take_empty(path)
    except OSError as error:
        reason = error.strerror
    raise OutputError(f"cannot create {path}: {reason}", hint="Choose another path. An export never replaces a file.")


def write_private_file(path: Path, fill: Callable[[TextIO], T]) -> T:
    """Write a new file that only its owner can read. Returns the result of `fill`.

    The file is complete and synced to disk when this returns, and removed if it fails. Raises OutputError if the file exists or
    cannot be created, and the errors of `fill`.
    """
    file, whole = create_private_file(path), False
    try:
        with io.TextIOWrapper(file, encoding="utf-8", newline="") as out:
            given = fill(out)
            out.flush()
            sync(out.fileno(), "small")
        sync_folder(path.parent)
        whole = True
        return given
    except OSError as error:
        what, hint = describe_os_error(error)
    finally:
        if not whole:
            file_operations.remove(path, missing=True)
    raise OutputError(f"cannot create {path}: {what}", hint=hint)
