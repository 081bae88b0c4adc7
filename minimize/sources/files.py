"""Files of a source: name, size and digest, errors that name the file, and bytes as blocks of whole lines.

Files are decompressed as a stream, in bounded memory. Each block of lines has its byte position.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import pyarrow as pa

from minimize.errors import ConfigurationError, OutOfMemoryError, SourceError
from minimize.sources.base import SourcePart
from minimize.sources.file_discovery import NameMask, displayed_name
from minimize.stores import Location, ObjectPath
from minimize.stores.durable_files import file_digest
from minimize.stores.object_store import StoreRefusal, refusal_reason

T = TypeVar("T")
FileFingerprint = tuple[int | str, ...]
"""Device, inode, size and time of the last change of a file; size, time and tag of an object."""


@dataclass(frozen=True)
class FilePart:
    """One file of a source."""

    path: Location
    root: Location
    shown: NameMask | None = None
    """Says for a hive partition what to show instead of its value; None shows names as they are on disk."""

    def __post_init__(self) -> None:
        """Looks at the file before anything of it is read."""
        _ = self.first_fingerprint

    @cached_property
    def first_fingerprint(self) -> FileFingerprint | None:
        """What tells whether the file is still the one that was first seen; None where there was none."""
        return _file_fingerprint(self.path)

    @cached_property
    def name(self) -> str:
        """The path relative to the source's root."""
        return displayed_name(self.path, self.root, self.shown)

    @cached_property
    def size(self) -> int:
        """Stored bytes. Raises SourceError."""
        with suppress(OSError):
            return self.path.size() if isinstance(self.path, ObjectPath) else self.path.stat().st_size
        raise unreadable_file_error(self.name)

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: the name as it is shown, without what shows it, which may hold a key."""
        return {"path": self.path, "root": self.root, "shown": None, "name": self.name, "seen": self.first_fingerprint}

    @cached_property
    def digest(self) -> str:
        """`sha256:` of the stored bytes, read once. Raises SourceError, also where the file changed since it was first seen."""
        found = None
        reason = None
        try:
            found = file_digest(self.path)
        except OSError as error:
            reason = refusal_reason(error)
        if reason is not None:
            raise store_error(self.name, reason)
        if found is None:
            raise unreadable_file_error(self.name)
        if _file_fingerprint(self.path) != self.first_fingerprint:
            raise changed_file_error(self.name)
        return found


@dataclass(frozen=True, slots=True)
class FileBackedPart:
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
class WrappingPart:
    """What a part around another has of that one."""

    part: SourcePart

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
    parts: Sequence[SourcePart]
    narrow: Callable[[Collection[str]], FileSource] | None = None
    """Binds the files again, to fewer fields; None where that saves nothing."""

    def only(self, keys: Collection[str]) -> FileSource:
        """The same records with no more than these fields and what is required."""
        return self if self.narrow is None else self.narrow(keys)


def unreadable_file_error(name: str) -> SourceError:
    """The error of a file that cannot be opened."""
    return SourceError(f"{name} cannot be read", hint="Check that the file exists and that you may read it.")


def changed_file_error(name: str) -> SourceError:
    """The error of a file that is not what it was when it was first looked at."""
    hint = "Write files under a temporary name and rename them when they are complete. Then run again."
    return SourceError(f"{name} changed while the run read it", hint=hint)


def _file_fingerprint(path: Location) -> FileFingerprint | None:
    with suppress(OSError):
        if isinstance(path, ObjectPath):
            return path.fingerprint()
        found = path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return None


def damaged_file_error(name: str) -> SourceError:
    """The error of a file whose bytes do not decode."""
    return SourceError(f"{name} is damaged: its compressed data ends early or is invalid", hint="Fetch the file again.")


def store_error(name: str, reason: StoreRefusal) -> SourceError:
    """The error of a file whose store refused while it was read."""
    return SourceError(f"{name} could not be read completely: its store {reason.message}", hint=reason.hint)


def read_error(name: str, error: BaseException) -> ConfigurationError:
    """The error of a file that failed while it was read: damaged, its store refused, or memory was used up."""
    if isinstance(error, MemoryError):
        return OutOfMemoryError.for_location(f"while {name} was read")
    reason = refusal_reason(error)
    return damaged_file_error(name) if reason is None else store_error(name, reason)


def replace_errors(items: Iterator[T], error: SourceError, name: str = "") -> Iterator[T]:
    """The things of an iterator; where it fails, this error instead of its own, whose text may hold values.

    Takes the name of the file that is read, too, for the case that its store refuses.
    """
    while True:
        got: list[T] | None = None
        reason: StoreRefusal | None = None
        is_full = False
        with suppress(Exception):
            try:
                got = [*islice(items, 1)]
            except MemoryError:  # Arrow's own is one
                is_full = True
            except (OSError, pa.ArrowException) as caught:
                reason = refusal_reason(caught)
        if is_full:
            raise OutOfMemoryError.for_location(f"while {name} was read" if name else "while a file was read")
        if got is None:
            raise error if reason is None else store_error(name, reason)
        if not got:
            return
        yield got[0]


BLOCK_BYTES = 8 << 20
"""About how many bytes of text are parsed at once, and make a chunk."""
MAX_LINE_BYTES = 16 << 20
"""The longest line, in bytes without its end, that is a record."""
LINE_END_WINDOW = 1 << 16
"""How many bytes before the end of a read the end of a line is looked for in."""
BLANK_BYTES = b" \t\r"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CODECS = {".gz": "gzip", ".zst": "zstd"}


ByteSpan = tuple[int, int]
"""From this byte to before that one."""


class ByteStream(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Some whole lines, or the place of one that is too long."""

    position: int
    data: bytes
    too_large: bool = False


@contextmanager
def open_decompressed(path: Location, name: str) -> Iterator[pa.NativeFile]:
    """A file's bytes, decompressed by its name's ending (.gz, .zst; several members are one stream).

    Raises SourceError, also if a file that should be compressed has no bytes: even compressed nothing has some.
    """
    stream, codec, is_cut = None, _CODECS.get(path.suffix.lower()), False
    with suppress(OSError, pa.ArrowException):
        is_cut = codec is not None and (path.size() if isinstance(path, ObjectPath) else path.stat().st_size) == 0
        if isinstance(path, ObjectPath):
            stream = path.stream(codec)
        else:
            stream = pa.input_stream(str(path), compression=codec, buffer_size=1 << 16)
    if stream is None:
        raise unreadable_file_error(name)
    with stream:
        if is_cut:
            raise damaged_file_error(name)
        yield stream


@contextmanager
def open_stream(path: Location, name: str) -> Iterator[ByteStream]:
    """The same, as a stream whose errors say which file it is and nothing of what is in it."""
    with open_decompressed(path, name) as stream:
        yield _NamedStream(stream, name)


class _NamedStream:
    """A stream that says which file it is when its bytes do not decode to their end."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, pa.ArrowException) as caught:
            error = read_error(self._name, caught)
        raise error


def is_uncompressed(path: Location) -> bool:
    """Whether a file's bytes are its text, by its name: then it can be read from anywhere."""
    return path.suffix.lower() not in _CODECS


@contextmanager
def open_span(path: Location, name: str, span: ByteSpan) -> Iterator[tuple[ByteStream, int]]:
    """The lines of a plain file that begin within a span, and where the first of them does. Raises SourceError."""
    file: BinaryIO | None = None
    with suppress(OSError):
        file = path.open("rb", buffering=0)
    if file is None:
        raise unreadable_file_error(name)
    with file:
        whole = _NamedStream(file, name)
        start, end = (_next_line_start(file, whole, at) for at in span)
        file.seek(start)
        near = file if isinstance(path, Path) else None
        yield _LimitedStream(whole, end - start, near), start


def _next_line_start(file: BinaryIO, stream: ByteStream, at: int) -> int:
    """Where the first line begins that does so here or later; the end of the file where none does."""
    if not at:
        return 0
    place = file.seek(at - 1)
    while data := stream.read(1 << 16):
        found = data.find(b"\n") + 1
        if found:
            return place + found
        place += len(data)
    return place


class _LimitedStream:
    """So many bytes of a stream; of a file that is near, whole lines at a time, so that none has to be put together."""

    def __init__(self, stream: ByteStream, left: int, raw: BinaryIO | None = None) -> None:
        self._stream, self._left, self._near = stream, left, raw

    def read(self, size: int, /) -> bytes:
        size = min(size, self._left)
        data = self._stream.read(
            size if self._near is None or size <= LINE_END_WINDOW else self._whole(self._near, size)
        )
        self._left -= len(data)
        return data

    def _whole(self, file: BinaryIO, size: int) -> int:
        """How many of so many bytes are whole lines, if a line ends among the last of them."""
        place = file.tell()
        file.seek(place + size - LINE_END_WINDOW)
        end = self._stream.read(LINE_END_WINDOW).rfind(b"\n") + 1
        file.seek(place)
        return size - LINE_END_WINDOW + end if end else size


def line_blocks(
    stream: ByteStream, size: int = BLOCK_BYTES, limit: int = MAX_LINE_BYTES, start: int = 0
) -> Iterator[LineBlock]:
    """A stream cut at line ends into blocks of about this size; a byte order mark at the start of its file is left out.

    A line above the limit is told by its position and never held whole.
    """
    position, held, skipping = start, b"", False
    least = min(size, limit)
    for data in _full_reads(stream, least):
        more = len(data) == least
        if not position and not held and data.startswith(BYTE_ORDER_MARK):
            position, data = len(BYTE_ORDER_MARK), data[len(BYTE_ORDER_MARK) :]
        if skipping:
            past = data.find(b"\n") + 1
            position, data, skipping = position + (past or len(data)), data[past:] if past else b"", not past
        end = data.rfind(b"\n") + 1 if more else len(data)
        whole, held = (_join_bytes(held, data, end), data[end:]) if end else (b"", held + data)
        yield from _whole_lines(position, whole, limit)
        position += len(whole)
        if line_length(held) > limit:
            yield LineBlock(position, b"", too_large=True)
            position, held, skipping = position + len(held), b"", True
    yield from _whole_lines(position, held, limit)


def _join_bytes(buffered: bytes, data: bytes, end: int) -> bytes:
    """What was held and the beginning of the data, copied once."""
    return b"".join((buffered, memoryview(data)[:end])) if buffered or end < len(data) else data


def _whole_lines(position: int, data: bytes, limit: int) -> Iterator[LineBlock]:
    """Whole lines as a block; only the first of them can be too long, for it alone was begun in an earlier read."""
    first = _line_end(data) if len(data) > limit else 0
    if line_length(data[:first]) > limit:
        yield LineBlock(position, b"", too_large=True)
        position, data = position + first + 1, data[first + 1 :]
    if data:
        yield LineBlock(position, data)


def _line_end(data: bytes) -> int:
    found = data.find(b"\n")
    return len(data) if found < 0 else found


def _full_reads(stream: ByteStream, size: int) -> Iterator[bytes]:
    """A stream in reads of this size; what is shorter is the last, or ends with a line."""
    while data := stream.read(size):
        if len(data) < size and not data.endswith(b"\n"):
            data = b"".join((data, *_read_exactly(stream, size - len(data))))
        yield data


def _read_exactly(stream: ByteStream, left: int) -> Iterator[bytes]:
    """So many more bytes, in as many reads as it takes: a compressed stream gives what it has."""
    while left and (data := stream.read(left)):
        left -= len(data)
        yield data


def line_length(line: bytes) -> int:
    """The bytes of a line without the carriage return that may belong to its end."""
    return len(line) - line.endswith(b"\r")


def lines_at(block: LineBlock, positions: Iterable[int]) -> Iterator[LineBlock]:
    """The lines of a block that begin at these positions, each as a block."""
    for position in positions:
        begin = position - block.position
        if block.too_large and begin == 0:
            yield block
        elif 0 <= begin < len(block.data):
            end = block.data.find(b"\n", begin)
            yield LineBlock(position, block.data[begin:] if end < 0 else block.data[begin:end])


def nonblank_lines(block: LineBlock) -> Iterator[tuple[int, bytes]]:
    """The lines of a block, each with its position; blank lines left out."""
    position = block.position
    for line in block.data.split(b"\n"):
        if line.strip(BLANK_BYTES):
            yield position, line
        position += len(line) + 1
