"""Bytes that are on the disk when we say so, and their digest, taken while they are written."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

from minimize.disk import sync, sync_folder
from minimize.errors import OutputError
from minimize.failpoints import fail_point
from minimize.stores import Place, Remote
from minimize.system import said

CHUNK = 1 << 20
T = TypeVar("T")


class HashingFile(io.RawIOBase):
    """A new file that hashes what is written to it and is on the disk once it is closed.

    Takes a path where nothing stands (its folder must be there). Raises FileExistsError where something does.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file: BinaryIO = path.open("xb", buffering=CHUNK)
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
        if not self.closed:
            self._file.flush()
            sync(self._file.fileno(), "data")
            self._file.close()
        super().close()

    def abandon(self) -> None:
        """Lets the file go without caring for its bytes; what is written to it from now on goes nowhere."""
        self._worthless = True
        with suppress(OSError):  # what waits to be written may find no room
            self._file.close()
        super().close()

    @property
    def digest(self) -> str:
        """`sha256:` of the bytes written so far."""
        return "sha256:" + self._hash.hexdigest()


def written(work: Callable[..., T], *given: Any, but: tuple[type[OSError], ...] = ()) -> T:
    """What the work gives. Raises OutputError where the system does not let it write, and the errors excepted as they are."""
    try:
        return work(*given)
    except but:
        raise
    except OSError as error:
        what, hint = said(error)
    raise OutputError(f"the output folder cannot be written: {what}", hint=hint)


def digest_of(path: Place) -> str:
    """`sha256:` of a file's bytes."""
    with path.stream() if isinstance(path, Remote) else path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def sync_tree(root: Path) -> None:
    """Brings the entries of a folder, and of every folder below, to the disk, deepest first."""
    for folder, _, _ in os.walk(root, topdown=False):
        sync_folder(Path(folder))


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, each on the disk when this returns. The umask decides who may enter."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def write_file(path: Path, content: bytes, written: str | None = None) -> None:
    """Writes a small file whole or not at all. `written` names the fail point before it takes its name."""
    half = path.with_name(path.name + ".tmp")
    with half.open("wb") as file:
        file.write(content)
        file.flush()
        sync(file.fileno(), "small")
    if written is not None:
        fail_point(written)
    half.replace(path)
    sync_folder(path.parent)


def link_file(path: Path, new: Path) -> None:
    """Lets a file stand at a second place, too; a copy where the file system has no links."""
    make_folder(new.parent)
    try:
        os.link(path, new)
    except OSError:
        with path.open("rb") as source, new.open("xb") as target:
            shutil.copyfileobj(source, target, CHUNK)
            target.flush()
            sync(target.fileno(), "copy")


def remove_tree(folder: Path) -> None:
    """Removes a folder and what is below, where it is there."""
    if folder.exists():
        shutil.rmtree(folder)
        sync_folder(folder.parent)


def private_file(path: Path) -> int:
    """Opens a new file that only its owner can read, for writing. Raises OutputError where it is there or cannot be made."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = error.strerror
    raise OutputError(f"{path} was not made: {reason}", hint="an export is never written over another file")


def write_private(path: Path, fill: Callable[[TextIO], T]) -> T:
    """Fills a new file that only its owner can read; gives what the filling gives.

    It is whole and on the disk when this returns, and gone where that fails. Raises OutputError where it is there or cannot be
    made, and what the filling raises.
    """
    handle, whole = private_file(path), False
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            given = fill(out)
            out.flush()
            sync(out.fileno(), "small")
        whole = True
        return given
    except OSError as error:
        what, hint = said(error)
    finally:
        if not whole:
            path.unlink(missing_ok=True)
    raise OutputError(f"{path} was not made: {what}", hint=hint)
