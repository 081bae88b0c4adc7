"""Every operation that changes files on a disk: create, write, sync, rename, exchange, link, remove.

Publication, rewriting, recovery, keyrings and the ledger's file use no other operations. This is the only module that calls
fsync, so that each call has a name at which a test can end the process. Each operation passes the checkpoint `file.operation`
after it is done. Tests record a publication that way and check every state that a power cut could leave.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import io
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, Final

from minimize.checkpoints import checkpoint, is_watched

BUFFER: Final = 1 << 20
"""Bytes of a new file that are buffered before they are passed to the operating system."""


class OperationKind(Enum):
    """The kind of an operation."""

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
    """One operation on a disk."""

    kind: OperationKind
    path: Path | None = None
    """The file or folder; None if only the open file is known, as for a write and for a file's sync."""
    new: Path | None = None
    """The second name, for a rename, an exchange or a link."""
    inode: int = 0
    """The inode of the open file, which does not change with its name."""
    offset: int = 0
    """The position of the written bytes."""
    content: bytes = b""
    """The written bytes."""


_CHECKPOINT: Final = "file.operation"


def _notify(operation: Operation) -> None:
    checkpoint(_CHECKPOINT, operation)


def path_exists(path: Path) -> bool:
    """Whether a path exists. Raises OSError if that cannot be determined; that is not the same as a missing path."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


class _RecordedFile(io.FileIO):
    """An open file that passes the checkpoint with the bytes that reach the operating system."""

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
    return _RecordedFile(handle, mode) if is_watched(_CHECKPOINT) else io.FileIO(handle, mode)


def create(path: Path, *, private: bool = False) -> BinaryIO:
    """Create a file for writing; if `private`, only its owner can read it. Raises FileExistsError, OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600 if private else 0o666)
    _notify_opened(OperationKind.CREATE, path, handle)
    return io.BufferedWriter(_wrap_handle(handle, "wb"), BUFFER)


def create_or_take_empty(path: Path) -> BinaryIO:
    """Create a file that only its owner can read for writing, or open one that is empty, locked until it is closed.

    Raises FileExistsError if the file has content, is not private, or another process writes it; OSError.
    """
    try:
        state = path.lstat()
    except FileNotFoundError:
        file = create(path, private=True)
    else:
        if state.st_size or not stat.S_ISREG(state.st_mode) or stat.S_IMODE(state.st_mode) & 0o077:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        _notify_opened(OperationKind.OPEN, path, handle)
        file = io.BufferedWriter(_wrap_handle(handle, "wb"), BUFFER)
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_size == 0:
            return file
    file.close()
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def overwrite(path: Path) -> BinaryIO:
    """Create a file for writing, or truncate the existing one. Raises OSError."""
    file = open_or_create(path)
    try:
        file.truncate(0)
    except BaseException:
        file.close()
        raise
    return io.BufferedWriter(file, BUFFER)


def open_or_create(path: Path) -> io.FileIO:
    """Open a file for reading and writing, without a buffer; create an empty one if there is none. Raises OSError."""
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
    """Create an empty file if there is none. Raises OSError."""
    open_or_create(path).close()


def _notify_opened(kind: OperationKind, path: Path, handle: int) -> None:
    if is_watched(_CHECKPOINT):
        _notify(Operation(kind, path, inode=os.fstat(handle).st_ino))


def sync(handle: int, what: str, folder: Path | None = None) -> None:
    """Sync a handle to disk. Takes the kind of file, one of `SYNCED`, and the path if it is a folder.

    Raises OSError.
    """
    checkpoint(f"sync.{what}.before")
    os.fsync(handle)
    if is_watched(_CHECKPOINT):
        _notify(Operation(OperationKind.SYNC, folder, inode=os.fstat(handle).st_ino))
    checkpoint(f"sync.{what}.after")


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(handle, "folder", folder)
    finally:
        os.close(handle)


def make_folder(folder: Path, *, private: bool = False) -> None:
    """Create a folder; if `private`, only its owner can enter it. Does nothing if it exists. Raises OSError."""
    try:
        folder.mkdir(mode=0o700 if private else 0o777)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        _notify(Operation(OperationKind.MAKE_FOLDER, folder))


def make_folders(folder: Path) -> None:
    """Create a folder and those above it. Raises OSError."""
    for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        make_folder(path)


def rename(path: Path, new: Path) -> None:
    """Rename a file or a folder; an existing file of the new name is replaced. Raises OSError."""
    path.replace(new)
    _notify(Operation(OperationKind.RENAME, path, new))


def link(path: Path, new: Path) -> None:
    """Give a file a second name. Raises FileExistsError, OSError."""
    os.link(path, new, follow_symlinks=False)
    _notify(Operation(OperationKind.LINK, path, new))


def remove(path: Path, *, missing: bool = False) -> None:
    """Remove a file; with `missing`, it need not exist. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        if not missing:
            raise
    else:
        _notify(Operation(OperationKind.REMOVE, path))


def remove_tree(folder: Path) -> None:
    """Remove a folder and everything below it; links are removed, not followed. Raises OSError."""
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(folder / entry.name)
        else:
            remove(folder / entry.name)
    remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove an empty folder. Raises OSError."""
    folder.rmdir()
    _notify(Operation(OperationKind.REMOVE_FOLDER, folder))


_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def exchange(first: Path, second: Path) -> bool:
    """Swap two names of one file system atomically (Linux `renameat2`). Returns false if the system does not support it.

    Raises OSError.
    """
    call = _renameat2()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")
    _notify(Operation(OperationKind.EXCHANGE, first, second))
    return True


def _renameat2() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        call.restype = ctypes.c_int
    return call
