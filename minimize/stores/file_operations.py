"""Every operation that changes files on a disk: create, write, sync, rename, exchange, link, remove.

Publication, rewriting, recovery, keyrings and the ledger's file use no other. This is the only module that calls
fsync, so that each call has a name at which a test can end the process. An observer sees each operation after it
is done. Tests record a publication that way and check what a power cut could leave of it.
"""

from __future__ import annotations

import ctypes
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Final

from minimize.failpoints import fail_point

BUFFER: Final = 1 << 20
"""Bytes of a new file that are collected before they reach the operating system."""


class OperationKind(Enum):
    """What an operation does."""

    CREATE = "create"
    OPEN = "open"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    MAKE_FOLDER = "make folder"
    RENAME = "rename"
    EXCHANGE = "exchange"
    LINK = "link"
    REMOVE = "remove"
    REMOVE_FOLDER = "remove folder"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on a disk.

    path     the file or folder; None if only the open file is known, as of a write and of a file's sync
    new      its second name, of a rename, an exchange or a link
    inode    of the open file, which keeps it whatever its name
    offset   where bytes were written
    content  the bytes
    """

    kind: OperationKind
    path: Path | None = None
    new: Path | None = None
    inode: int = 0
    offset: int = 0
    content: bytes = b""


Observer = Callable[[Operation], object]
_observers: Final[list[Observer]] = []


@contextmanager
def record_operations(observer: Observer) -> Iterator[None]:
    """Shows an observer every operation of this process until the block ends."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def _notify(operation: Operation) -> None:
    for observer in _observers:
        observer(operation)


def path_exists(path: Path) -> bool:
    """Whether something stands at a place. Raises OSError where that cannot be seen: what cannot be seen is not gone."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


class _RecordedFile(io.FileIO):
    """An open file that shows the observers what reaches the operating system."""

    def write(self, data: Any) -> int:
        offset, view = self.tell(), memoryview(data).cast("B")
        count = super().write(view)
        inode = os.fstat(self.fileno()).st_ino
        _notify(Operation(OperationKind.WRITE, inode=inode, offset=offset, content=bytes(view[:count])))
        return count

    def truncate(self, size: int | None = None) -> int:
        kept = super().truncate(size)
        _notify(Operation(OperationKind.TRUNCATE, inode=os.fstat(self.fileno()).st_ino, offset=kept))
        return kept


def _wrap_handle(handle: int, mode: str) -> io.FileIO:
    return _RecordedFile(handle, mode) if _observers else io.FileIO(handle, mode)


def create(path: Path, *, private: bool = False) -> BinaryIO:
    """Creates a file for writing; only its owner can read one that is private. Raises FileExistsError, OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600 if private else 0o666)
    _notify_opened(OperationKind.CREATE, path, handle)
    return io.BufferedWriter(_wrap_handle(handle, "wb"), BUFFER)


def overwrite(path: Path) -> BinaryIO:
    """Creates a file for writing, or empties the one that is there. Raises OSError."""
    file = open_or_create(path)
    try:
        file.truncate(0)
    except BaseException:
        file.close()
        raise
    return io.BufferedWriter(file, BUFFER)


def open_or_create(path: Path) -> io.FileIO:
    """Opens a file for reading and writing, without a buffer; creates an empty one if there is none. Raises OSError."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        handle = os.open(path, flags)
        _notify_opened(OperationKind.OPEN, path, handle)
        return _wrap_handle(handle, "r+b")
    _notify_opened(OperationKind.CREATE, path, handle)
    return _wrap_handle(handle, "r+b")


def touch(path: Path) -> None:
    """Creates an empty file if there is none. Raises OSError."""
    open_or_create(path).close()


def _notify_opened(kind: OperationKind, path: Path, handle: int) -> None:
    if _observers:
        _notify(Operation(kind, path, inode=os.fstat(handle).st_ino))


def sync(handle: int, what: str, folder: Path | None = None) -> None:
    """Brings what was written through a handle to the disk. Takes what that is, one of `SYNCED`, and the folder if it is one.

    Raises OSError.
    """
    fail_point(f"sync.{what}.before")
    os.fsync(handle)
    if _observers:
        _notify(Operation(OperationKind.SYNC, folder, inode=os.fstat(handle).st_ino))
    fail_point(f"sync.{what}.after")


def sync_folder(folder: Path) -> None:
    """Brings a folder's entries to the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(handle, "folder", folder)
    finally:
        os.close(handle)


def make_folder(folder: Path, *, private: bool = False) -> None:
    """Makes a folder; only its owner can enter one that is private. Does nothing if it is there. Raises OSError."""
    try:
        folder.mkdir(mode=0o700 if private else 0o777)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        _notify(Operation(OperationKind.MAKE_FOLDER, folder))


def make_folders(folder: Path) -> None:
    """Makes a folder and those above it. Raises OSError."""
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        make_folder(each)


def rename(path: Path, new: Path) -> None:
    """Gives a file or a folder another name; a file that has the name is replaced. Raises OSError."""
    path.replace(new)
    _notify(Operation(OperationKind.RENAME, path, new))


def link(path: Path, new: Path) -> None:
    """Gives a file a second name. Raises FileExistsError, OSError."""
    os.link(path, new, follow_symlinks=False)
    _notify(Operation(OperationKind.LINK, path, new))


def remove(path: Path, *, missing: bool = False) -> None:
    """Removes a file; `missing` allows that there is none. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        if not missing:
            raise
    else:
        _notify(Operation(OperationKind.REMOVE, path))


def remove_tree(folder: Path) -> None:
    """Removes a folder and everything below it; a link is removed, not followed. Raises OSError."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(folder / entry.name)
        else:
            remove(folder / entry.name)
    remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Removes an empty folder. Raises OSError."""
    folder.rmdir()
    _notify(Operation(OperationKind.REMOVE_FOLDER, folder))


_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def exchange(one: Path, other: Path) -> bool:
    """Swaps two names of one file system in one step (Linux `renameat2`). Gives false if the system has no such step.

    Raises OSError.
    """
    call = _renameat2()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")
    _notify(Operation(OperationKind.EXCHANGE, one, other))
    return True


def _renameat2() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        call.restype = ctypes.c_int
    return call
