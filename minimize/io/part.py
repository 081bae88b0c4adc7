"""What files share as parts of a source: a name, a digest of the stored bytes, and errors that say which file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from minimize.errors import SourceError
from minimize.io.base import Part
from minimize.io.find import Shown, name_of

T = TypeVar("T")
Mark = tuple[int, int, int, int]
"""Device, inode, size and time of the last change of a file."""


@dataclass(frozen=True)
class FilePart:
    """One file of a source."""

    path: Path
    root: Path
    shown: Shown | None = None
    """Says for a hive partition what to show instead of its value; None shows names as they are on disk."""

    def __post_init__(self) -> None:
        """Looks at the file before anything of it is read."""
        _ = self.seen

    @cached_property
    def seen(self) -> Mark | None:
        """What tells whether the file is still the one that was first seen; None where there was none."""
        return _mark(self.path)

    @cached_property
    def name(self) -> str:
        """The path relative to the source's root."""
        return name_of(self.path, self.root, self.shown)

    @cached_property
    def size(self) -> int:
        """Stored bytes. Raises SourceError."""
        with suppress(OSError):
            return self.path.stat().st_size
        raise unreadable(self.name)

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: the name as it is shown, without what shows it, which may hold a key."""
        return {"path": self.path, "root": self.root, "shown": None, "name": self.name, "seen": self.seen}

    @cached_property
    def digest(self) -> str:
        """`sha256:` of the stored bytes, read once. Raises SourceError, also where the file changed since it was first seen."""
        found = None
        with suppress(OSError), self.path.open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if found is None:
            raise unreadable(self.name)
        if _mark(self.path) != self.seen:
            raise changing(self.name)
        return found


@dataclass(frozen=True, slots=True)
class OfFile:
    """What every part that is a file (or some of one) has of its file."""

    file: FilePart

    @property
    def name(self) -> str:
        """The path relative to the source's root."""
        return self.file.name

    @property
    def digest(self) -> str:
        """`sha256:` of the stored bytes."""
        return self.file.digest

    @property
    def size(self) -> int:
        """Stored bytes."""
        return self.file.size


@dataclass(frozen=True, slots=True)
class Around:
    """What a part around another has of that one."""

    part: Part

    @property
    def name(self) -> str:
        """As the part has it."""
        return self.part.name

    @property
    def digest(self) -> str:
        """As the part has it."""
        return self.part.digest

    @property
    def size(self) -> int:
        """As the part has it."""
        return self.part.size


@dataclass(frozen=True, slots=True)
class FileSource:
    """Files bound to a request."""

    schema: pa.Schema
    parts: Sequence[Part]
    narrow: Callable[[Collection[str]], FileSource] | None = None
    """Binds the files again, to fewer fields; None where that saves nothing."""

    def only(self, keys: Collection[str]) -> FileSource:
        """The same records with no more than these fields and what is required."""
        return self if self.narrow is None else self.narrow(keys)


def unreadable(name: str) -> SourceError:
    """The error of a file that cannot be opened."""
    return SourceError(f"{name} cannot be read", hint="is it there, and may you read it?")


def changing(name: str) -> SourceError:
    """The error of a file that is not what it was when it was first looked at."""
    hint = "let files arrive under another name and be renamed when they are whole; then run again"
    return SourceError(f"{name} changed while it was read", hint=hint)


def _mark(path: Path) -> Mark | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return None


def damaged(name: str) -> SourceError:
    """The error of a file whose bytes do not decode."""
    return SourceError(f"{name} is damaged: it does not decode to its end", hint="fetch the file again")


def steady(things: Iterator[T], error: SourceError) -> Iterator[T]:
    """The things of an iterator; where it fails, this error instead of its own, whose text may hold values."""
    while True:
        got: list[T] | None = None
        with suppress(Exception):
            got = [*islice(things, 1)]
        if got is None:
            raise error
        if not got:
            return
        yield got[0]
