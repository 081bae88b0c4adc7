"""Files that are synced to disk before a function returns, and their digests, computed while they are written.

Identity of a process, by which another process on the same machine can find out whether it is still running.

Digests of data files, inputs and outputs: BLAKE3, written `blake3:` and 64 hexadecimal digits.

Receipts of earlier versions have digests that begin with `sha256:`. A file is compared with a digest by the digest's algorithm.
Digests of documents (policies, receipts, settings) are always SHA-256: see `minimize.receipts.parts`.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final, TextIO, TypeVar

from blake3 import blake3

from minimize.checkpoints import checkpoint
from minimize.errors import OutputError, describe_os_error
from minimize.stores import Location, ObjectPath, ObjectUpload, file_operations
from minimize.stores.file_operations import path_exists, sync, sync_folder

ALGORITHM: Final = "blake3"
"""The algorithm of new digests. It runs in one thread, because more threads need more CPU time."""
_ALGORITHMS: Final[Mapping[str, Callable[[], Any]]] = MappingProxyType({ALGORITHM: blake3, "sha256": hashlib.sha256})
KNOWN_ALGORITHMS: Final = tuple(_ALGORITHMS)
"""The algorithms of digests that a file can be compared with."""
_DIGEST: Final = re.compile(rf"({'|'.join(KNOWN_ALGORITHMS)}):[0-9a-f]{{64}}")


class FileHash:
    """The digest of bytes that are added one after the other.

    >>> state = FileHash()
    >>> state.update(b"abc")
    >>> state.digest[:15], state.size
    ('blake3:6437b3ac', 3)
    """

    def __init__(self) -> None:
        self._state = _ALGORITHMS[ALGORITHM]()
        self.size = 0

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        self._state.update(data)
        self.size += len(data)

    @property
    def digest(self) -> str:
        """The digest of the bytes so far."""
        return f"{ALGORITHM}:{self._state.hexdigest()}"


def digest_algorithm(digest: str) -> str | None:
    """The algorithm of a digest; None for an unknown algorithm or a digest of another form.

    >>> digest_algorithm("sha256:" + 64 * "0"), digest_algorithm("md5:" + 32 * "0")
    ('sha256', None)
    """
    found = _DIGEST.fullmatch(digest)
    return None if found is None else found[1]


def open_bytes(path: Location) -> Any:
    """A file, opened to be read from its start. Raises OSError."""
    return path.stream() if isinstance(path, ObjectPath) else path.open("rb", buffering=0)


def file_digest(content: Location | bytes, algorithm: str | None = None) -> str:
    """The digest of a file, or of its bytes, by today's algorithm unless one is passed. Raises OSError."""
    algorithm = algorithm or ALGORITHM
    checkpoint("file.hashed", content)
    with io.BytesIO(content) if isinstance(content, bytes) else open_bytes(content) as file:
        return f"{algorithm}:{hashlib.file_digest(file, _ALGORITHMS[algorithm]).hexdigest()}"


def has_digest(content: Location | bytes, digest: str) -> bool:
    """Whether a file, or its bytes, have this digest. False if the digest has no known algorithm. Raises OSError."""
    algorithm = digest_algorithm(digest)
    return algorithm is not None and file_digest(content, algorithm) == digest


class HashingReader(io.RawIOBase):
    """Reads a file from its start to its end, and computes the digest of what is read. Errors are those of the file."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file
        self.hash = FileHash()

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes; returns none at the end."""
        data: bytes = self._file.read(size)
        self.hash.update(data)
        return data


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
    for ancestor in reversed(missing):
        file_operations.make_folder(ancestor)
        sync_folder(ancestor.parent)


def write_file(path: Location, content: bytes, written: str | None = None) -> None:
    """Write a small file completely or not at all. `written` is a checkpoint before the file gets its name."""
    if isinstance(path, ObjectPath):
        if written is not None:
            checkpoint(written)
        path.write_bytes(content)
        return
    half = path.with_name(path.name + ".tmp")
    with file_operations.overwrite(half) as file:
        file.write(content)
        file.flush()
        sync(file.fileno(), "small")
    if written is not None:
        checkpoint(written)
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
        reason = describe_os_error(error)[0]
    raise OutputError(f"cannot create {path}: {reason}", hint="Choose another path. An export never replaces a file.")


def write_private_file(path: Path, fill: Callable[[TextIO], T]) -> T:
    """Write a new file that only its owner can read. Returns the result of `fill`.

    The file is complete and synced to disk when this returns, and removed if it fails. Raises OutputError if the file exists or
    cannot be created, and the errors of `fill`.
    """
    file, whole = create_private_file(path), False
    try:
        with io.TextIOWrapper(file, encoding="utf-8", newline="") as out:
            result = fill(out)
            out.flush()
            sync(out.fileno(), "small")
        sync_folder(path.parent)
        whole = True
        return result
    except OSError as error:
        what, hint = describe_os_error(error)
    finally:
        if not whole:
            file_operations.remove(path, missing=True)
    raise OutputError(f"cannot create {path}: {what}", hint=hint)


_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process: host name, machine (boot and process namespace; empty if unknown), pid, start time in ticks."""

    host: str
    machine: str
    pid: int
    born: int

    @classmethod
    def current(cls) -> ProcessIdentity:
        """This process."""
        return cls(socket.gethostname(), _machine_id(), os.getpid(), _start_ticks(os.getpid()) or 0)

    def is_dead(self) -> bool:
        """Whether the process is known to have ended. Always False for processes of other machines."""
        if not self.machine or self.machine != _machine_id():
            return False
        return _start_ticks(self.pid) != self.born


def _machine_id() -> str:
    try:
        return f"{_BOOT.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_ticks(pid: int) -> int | None:
    """Start time of a process in ticks since the boot; None if it does not exist or is a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(fields[18])
