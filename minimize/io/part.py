"""What files share as parts of a source: a name, a digest of the stored bytes, and errors that say which file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from minimize.errors import ConfigurationError, OutOfMemoryError, SourceError
from minimize.io.base import Part
from minimize.io.durable import digest_of
from minimize.io.find import Shown, name_of
from minimize.stores import Place, Remote
from minimize.stores.reasons import Reason, why

T = TypeVar("T")
Mark = tuple[int | str, ...]
"""Device, inode, size and time of the last change of a file; size, time and tag of an object."""


@dataclass(frozen=True)
class FilePart:
    """One file of a source."""

    path: Place
    root: Place
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
            return self.path.size() if isinstance(self.path, Remote) else self.path.stat().st_size
        raise unreadable(self.name)

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: the name as it is shown, without what shows it, which may hold a key."""
        return {"path": self.path, "root": self.root, "shown": None, "name": self.name, "seen": self.seen}

    @cached_property
    def digest(self) -> str:
        """`sha256:` of the stored bytes, read once. Raises SourceError, also where the file changed since it was first seen."""
        found = None
        reason = None
        try:
            found = digest_of(self.path)
        except OSError as error:
            reason = why(error)
        if reason is not None:
            raise lost(self.name, reason)
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


def _mark(path: Place) -> Mark | None:
    with suppress(OSError):
        if isinstance(path, Remote):
            return path.mark()
        found = path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return None


def damaged(name: str) -> SourceError:
    """The error of a file whose bytes do not decode."""
    return SourceError(f"{name} is damaged: it does not decode to its end", hint="fetch the file again")


def lost(name: str, reason: Reason) -> SourceError:
    """The error of a file whose store refused while it was read."""
    return SourceError(f"{name} could not be read to its end: its store {reason.message}", hint=reason.hint)


def broken(name: str, error: BaseException) -> ConfigurationError:
    """The error of a file that failed while it was read: damaged, its store refused, or memory was used up."""
    if isinstance(error, MemoryError):
        return OutOfMemoryError.at(f"while {name} was read")
    reason = why(error)
    return damaged(name) if reason is None else lost(name, reason)


def steady(things: Iterator[T], error: SourceError, name: str = "") -> Iterator[T]:
    """The things of an iterator; where it fails, this error instead of its own, whose text may hold values.

    Takes the name of the file that is read, too, for the case that its store refuses.
    """
    while True:
        got: list[T] | None = None
        reason: Reason | None = None
        is_full = False
        with suppress(Exception):
            try:
                got = [*islice(things, 1)]
            except MemoryError:  # Arrow's own is one
                is_full = True
            except (OSError, pa.ArrowException) as caught:
                reason = why(caught)
        if is_full:
            raise OutOfMemoryError.at(f"while {name} was read" if name else "while a file was read")
        if got is None:
            raise error if reason is None else lost(name, reason)
        if not got:
            return
        yield got[0]
