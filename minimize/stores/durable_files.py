"""Files that are synced to disk when a function returns, and their digests, taken while they are written."""

from __future__ import annotations

import hashlib
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
from minimize.stores.file_operations import path_exists, sync, sync_folder

COPY_CHUNK = 1 << 20
T = TypeVar("T")


class HashingFile(io.RawIOBase):
    """A new file that hashes what is written to it and is on the disk once it is closed.

    Takes a path where nothing stands; folders above it are made. Raises FileExistsError where something does. In a bucket it
    is an object once it is closed.
    """

    _opened = False
    """Python closes what it lets go, one that could not be opened, too."""

    def __init__(self, path: Location) -> None:
        super().__init__()
        self._file: BinaryIO | ObjectUpload = (
            path.upload() if isinstance(path, ObjectPath) else _create_with_folders(path)
        )
        self._opened = True
        self._hash = hashlib.sha256()
        self._size = 0
        self._worthless = False

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Takes bytes in, all of them."""
        view = memoryview(data).cast("B")
        if self._worthless:
            return len(view)
        self._hash.update(view)
        self._file.write(view)
        self._size += len(view)
        return len(view)

    def tell(self) -> int:
        """How many bytes were written."""
        return self._size

    def close(self) -> None:
        """Brings the bytes to the disk."""
        if self._opened and not self.closed:
            if not isinstance(self._file, ObjectUpload):
                self._file.flush()
                sync(self._file.fileno(), "data")
            self._file.close()
        super().close()

    def abandon(self) -> None:
        """Lets the file go without caring for its bytes; what is written to it from now on goes nowhere."""
        self._worthless = True
        with suppress(OSError, OutputError):  # what waits to be written may find no room
            self._file.close()
        super().close()

    @property
    def digest(self) -> str:
        """`sha256:` of the bytes written so far."""
        return "sha256:" + self._hash.hexdigest()


def _create_with_folders(path: Path) -> BinaryIO:
    file_operations.make_folders(path.parent)
    return file_operations.create(path)


def with_output_errors(work: Callable[..., T], *arguments: Any, but: tuple[type[OSError], ...] = ()) -> T:
    """What the work gives. Raises OutputError where the system does not let it write, and the errors excepted as they are."""
    try:
        return work(*arguments)
    except but:
        raise
    except OSError as error:
        what, hint = describe_os_error(error)
    raise OutputError(f"cannot write to the output folder: {what}", hint=hint)


def file_exists(path: Location) -> bool:
    """Whether a file that is never empty stands here: some stores make an object before its bytes are there.

    Raises OSError, of a bucket what a store's refusal is, where that cannot be seen.
    """
    return path.is_file() and path.size() > 0 if isinstance(path, ObjectPath) else path_exists(path)


def file_digest(path: Location) -> str:
    """`sha256:` of a file's bytes."""
    with path.stream() if isinstance(path, ObjectPath) else path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def sync_tree(root: Location) -> None:
    """Brings the entries of a folder, and of every folder below, to the disk, deepest first."""
    if isinstance(root, ObjectPath):  # an object is there once it is put
        return
    for folder, _, _ in os.walk(root, topdown=False):
        sync_folder(Path(folder))


def make_folder(folder: Location) -> None:
    """Makes a folder and those above it, each on the disk when this returns. The umask decides who may enter."""
    if isinstance(folder, ObjectPath):  # a prefix needs no making
        return
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        file_operations.make_folder(each)
        sync_folder(each.parent)


def write_file(path: Location, content: bytes, written: str | None = None) -> None:
    """Writes a small file whole or not at all. `with_output_errors` names the fail point before it takes its name."""
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
    """Lets a file stand at a second place, too; a copy where the file system has no links."""
    make_folder(new.parent)
    try:
        file_operations.link(path, new)
    except OSError:
        with path.open("rb") as source, file_operations.create(new) as target:
            shutil.copyfileobj(source, target, COPY_CHUNK)
            target.flush()
            sync(target.fileno(), "copy")


def move_file(path: Location, to: Location) -> None:
    """Gives a file another name in its file system or bucket."""
    if isinstance(path, ObjectPath) and isinstance(to, ObjectPath):
        path.copy_to(to, path.size())
        path.unlink()
    elif isinstance(path, Path) and isinstance(to, Path):
        file_operations.make_folders(to.parent)
        file_operations.rename(path, to)


def remove_tree(folder: Location) -> None:
    """Removes a folder and what is below, where it is there."""
    if isinstance(folder, ObjectPath):
        folder.remove_tree()
        return
    if folder.exists():
        file_operations.remove_tree(folder)
        sync_folder(folder.parent)


def create_private_file(path: Path) -> BinaryIO:
    """Opens a new file that only its owner can read, for writing. Raises OutputError where it is there or cannot be made."""
    try:
        return file_operations.create(path, private=True)
    except OSError as error:
        reason = error.strerror
    raise OutputError(f"cannot create {path}: {reason}", hint="Choose another path. An export never replaces a file.")


def write_private_file(path: Path, fill: Callable[[TextIO], T]) -> T:
    """Fills a new file that only its owner can read; gives what the filling gives.

    It is whole and on the disk when this returns, and gone where that fails. Raises OutputError where it is there or cannot be
    made, and what the filling raises.
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
