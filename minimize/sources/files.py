"""Files of a source: name, size and digest, errors that name the file, and bytes as blocks of whole lines.

Files are decompressed as a stream, in bounded memory. Each block of lines has its byte position.

Prefetch the next item of an iterator in a background thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import Bools
from minimize.checkpoints import checkpoint
from minimize.errors import ConfigurationError, OutOfMemoryError, SourceError
from minimize.records import Chunk, Reject, RejectCode
from minimize.sources.base import SeekablePart, Source, SourcePart
from minimize.sources.file_discovery import NameMask, SourceFiles, displayed_name
from minimize.stores import READ_BUFFER, Location, ObjectPath
from minimize.stores.durable_files import (
    ALGORITHM,
    HashingReader,
    digest_algorithm,
    file_digest,
    has_digest,
    open_bytes,
)
from minimize.stores.object_store import StoreRefusal, refusal_reason

T = TypeVar("T")
FileFingerprint = tuple[int | str, ...]
"""Size, device, inode and modification time of a file; size, time and tag of an object."""


@dataclass(frozen=True)
class FilePart:
    """One file of a source."""

    path: Location
    root: Location
    shown: NameMask | None = None
    """Masks the values of hive partitions; None shows names as they are on disk."""

    def __post_init__(self) -> None:
        """Record the fingerprint before anything of the file is read."""
        _ = self.first_fingerprint

    @cached_property
    def first_fingerprint(self) -> FileFingerprint | None:
        """The fingerprint when the file was first seen, to detect changes; None if it did not exist."""
        return _file_fingerprint(self.path)

    @cached_property
    def name(self) -> str:
        """The path relative to the source's root."""
        return displayed_name(self.path, self.root, self.shown)

    @cached_property
    def size(self) -> int:
        """Stored bytes when the file was first seen. Raises SourceError."""
        if self.first_fingerprint is None:
            raise unreadable_file_error(self.name)
        return int(self.first_fingerprint[0])

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes: the displayed name, without the mask, which may contain a key."""
        kept = {"name": self.name, "first_fingerprint": self.first_fingerprint}
        return {"path": self.path, "root": self.root, "shown": None, **kept}

    @property
    def digest(self) -> str:
        """The digest of the stored bytes, computed once. Raises SourceError, also if the file changed since it was first seen."""
        return self._unless_changed(self._computed_digest)

    def has_digest(self, digest: str) -> bool:
        """Whether this is the digest of the stored bytes, by any algorithm. Raises SourceError as `digest` does."""
        if digest_algorithm(digest) == ALGORITHM:
            return self.digest == digest
        return self._unless_changed(self._without_values(has_digest, digest))

    @cached_property
    def _computed_digest(self) -> str:
        return self._without_values(file_digest)

    def _without_values(self, work: Callable[..., T], *arguments: object) -> T:
        """The result of work with the file. Raises SourceError instead of the errors of the operating system or the store."""
        reason = None
        try:
            return work(self.path, *arguments)
        except OSError as error:
            reason = refusal_reason(error)
        raise unreadable_file_error(self.name) if reason is None else store_error(self.name, reason)

    def _unless_changed(self, result: T) -> T:
        if _file_fingerprint(self.path) != self.first_fingerprint:
            raise changed_file_error(self.name)
        return result

    @property
    def is_hashed(self) -> bool:
        """Whether the digest is computed."""
        return "_computed_digest" in vars(self)

    def read_bytes(self) -> bytes:
        """The stored bytes. Computes the digest. Raises SourceError."""
        content: bytes = self._without_values(lambda path: path.read_bytes())
        vars(self)["_computed_digest"] = file_digest(content)  # stored as `cached_property` does
        return content

    @contextmanager
    def open(self) -> Iterator[ByteStream]:
        """The stored bytes from the start. If they are read to the end, this computes the digest. Raises OSError."""
        with open_bytes(self.path) as file:
            if self.is_hashed:
                yield file
                return
            reader = HashingReader(file)
            yield reader
            checkpoint("source.read", self.path)
            if reader.hash.size == self.size:
                vars(self)["_computed_digest"] = reader.hash.digest


def file_parts(files: Sequence[Location], root: Location, shown: NameMask | None = None) -> list[FilePart]:
    """Files below a root."""
    return [FilePart(path, root, shown) for path in files]


def batch_parts(source_files: SourceFiles, when: date | None, shown: NameMask | None) -> list[FilePart]:
    """The files of a batch date: for the same mask, the same objects in each call."""
    for path in source_files.files.get(when, ()):
        if (path, shown) not in source_files.parts:
            source_files.parts[path, shown] = FilePart(path, source_files.root, shown)
    return [source_files.parts[path, shown] for path in source_files.files.get(when, ())]


@dataclass(frozen=True, slots=True)
class FileBackedPart:
    """Base class of parts that are a file or a piece of one."""

    file: FilePart

    @property
    def name(self) -> str:
        """The path relative to the source's root."""
        return self.file.name

    @property
    def digest(self) -> str:
        """The digest of the stored bytes."""
        return self.file.digest

    @property
    def size(self) -> int:
        """Stored bytes."""
        return self.file.size


@dataclass(frozen=True, slots=True)
class WrappingPart:
    """Base class of parts that wrap another part."""

    part: SourcePart

    @property
    def name(self) -> str:
        """The name of the wrapped part."""
        return self.part.name

    @property
    def digest(self) -> str:
        """The digest of the wrapped part."""
        return self.part.digest

    @property
    def size(self) -> int:
        """The size of the wrapped part."""
        return self.part.size


@dataclass(frozen=True, slots=True)
class WrappingSource:
    """Base class of sources that wrap another source."""

    source: Source = field(repr=False)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the source."""
        return self.source.schema

    @property
    def is_rereadable(self) -> bool:
        """Whether the source can be read more than once."""
        return bool(getattr(self.source, "is_rereadable", True))


ChunkCheck = Callable[[Chunk], Chunk]
"""Moves some records of a chunk to its rejects."""


@dataclass(frozen=True, slots=True)
class CheckedPart(WrappingPart):
    """A part whose records pass a check."""

    check: ChunkCheck

    def pieces(self) -> Sequence[SourcePart]:
        """The part's pieces, with the check."""
        return [CheckedPart(piece, self.check) for piece in self.part.pieces()]

    def read(self) -> Iterator[Chunk]:
        """The part's chunks, with the check."""
        return map(self.check, self.part.read())

    def read_positions(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Chunks with at least the records at these positions."""
        return map(
            self.check, self.part.read_positions(positions) if isinstance(self.part, SeekablePart) else self.part.read()
        )


@dataclass(frozen=True, slots=True)
class CheckedSource(WrappingSource):
    """A source whose records pass a check. `keys` are the fields that the check needs."""

    check: ChunkCheck
    keys: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[CheckedPart, ...]:
        """The source's parts, with the check."""
        return tuple(CheckedPart(part, self.check) for part in self.source.parts)

    def only(self, keys: Collection[str]) -> CheckedSource:
        """The source restricted to these fields and those of the check."""
        return CheckedSource(self.source.only({*keys, *self.keys}), self.check, self.keys)


def reject_records(chunk: Chunk, bad: Bools, pointer: str, code: RejectCode) -> Chunk:
    """The chunk with these records moved to its rejects, under the pointer of a field. Without positions none can be rejected."""
    if not bad.any() or chunk.positions is None:
        return chunk
    places = np.asarray(chunk.positions)[bad].tolist()
    rejects = [Reject(place, chunk.unit, pointer, code) for place in places]
    good = pa.array(~bad)
    return replace(
        chunk,
        records=chunk.records.filter(good),
        rejects=sorted([*chunk.rejects, *rejects], key=lambda reject: reject.position),
        positions=chunk.positions.filter(good),
    )


@dataclass(frozen=True, slots=True)
class FileSource:
    """Files bound to a request."""

    schema: pa.Schema
    parts: Sequence[SourcePart]
    narrow: Callable[[Collection[str]], FileSource] | None = None
    """Binds the files again, to fewer fields; None if that has no advantage."""

    def only(self, keys: Collection[str]) -> FileSource:
        """The same records, restricted to these fields and the required ones."""
        return self if self.narrow is None else self.narrow(keys)


def unreadable_file_error(name: str) -> SourceError:
    """The error of a file that cannot be opened."""
    return SourceError(f"{name} cannot be read", hint="Check that the file exists and that you may read it.")


def changed_file_error(name: str) -> SourceError:
    """The error for a file that changed since it was first seen."""
    hint = "Write files under a temporary name and rename them when they are complete. Then run again."
    return SourceError(f"{name} changed while the run read it", hint=hint)


def _file_fingerprint(path: Location) -> FileFingerprint | None:
    with suppress(OSError):
        if isinstance(path, ObjectPath):
            return path.fingerprint()
        status = path.stat()
        return status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns
    return None


def damaged_file_error(name: str) -> SourceError:
    """The error for a file that cannot be decompressed or decoded."""
    return SourceError(f"{name} is damaged: its content cannot be decoded completely", hint="Fetch the file again.")


def store_error(name: str, reason: StoreRefusal) -> SourceError:
    """The error for a file whose store refused during reading."""
    return SourceError(f"{name} could not be read completely: its store {reason.message}", hint=reason.hint)


def read_error(name: str, error: BaseException) -> ConfigurationError:
    """The error for a file that failed during reading: it is damaged, its store refused, or memory was exhausted."""
    if isinstance(error, MemoryError):
        return OutOfMemoryError.for_location(f"while {name} was read")
    if isinstance(error, pa.ArrowNotImplementedError):
        hint = "Write the file without encryption, and without types that Arrow does not have."
        return SourceError(f"{name} has a type or a feature of its format that cannot be read", hint=hint)
    reason = refusal_reason(error)
    return damaged_file_error(name) if reason is None else store_error(name, reason)


def replace_errors(items: Iterator[T], error: SourceError, name: str = "") -> Iterator[T]:
    """The items of an iterator. Its errors are replaced by this one, because their text may contain values.

    Errors of the configuration, such as a missing package, are raised as they are: the file is not damaged, and they contain
    no value. Takes also the name of the file, for refusals of its store.
    """
    while True:
        got: list[T] | None = None
        reason: StoreRefusal | None = None
        is_full = False
        configuration_error: ConfigurationError | None = None
        with suppress(Exception):
            try:
                got = [*islice(items, 1)]
            except MemoryError:  # including Arrow's subclass
                is_full = True
            except ConfigurationError as caught:
                configuration_error = None if isinstance(caught, SourceError) else caught
            except (OSError, pa.ArrowException) as caught:
                reason = refusal_reason(caught)
        if is_full:
            raise OutOfMemoryError.for_location(f"while {name} was read" if name else "while a file was read")
        if configuration_error is not None:
            raise configuration_error
        if got is None:
            raise error if reason is None else store_error(name, reason)
        if not got:
            return
        yield got[0]


BLOCK_BYTES = 8 << 20
"""Approximate bytes of text that are parsed at once and form a chunk."""
MAX_LINE_BYTES = 16 << 20
"""Maximum bytes of a line, without its end."""
LINE_END_WINDOW = 1 << 16
"""Bytes before the end of a read in which a line end is searched."""
BLANK_BYTES = b" \t\r"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CODECS = {".gz": "gzip", ".zst": "zstd"}


ByteSpan = tuple[int, int]
"""Start (inclusive) and end (exclusive) in bytes."""


class ByteStream(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Read at most `size` bytes; returns none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Some complete lines, or the position of a line that is too long."""

    position: int
    data: bytes
    too_large: bool = False


@contextmanager
def open_decompressed(part: FilePart) -> Iterator[ByteStream]:
    """A file's bytes, decompressed as its suffix says (.gz, .zst; several members are one stream).

    Raises SourceError, also if a compressed file is empty: even compressed empty content has bytes.
    """
    codec = _CODECS.get(part.path.suffix.lower())
    with ExitStack() as opened:
        stored = None
        with suppress(OSError, pa.ArrowException):
            stored = opened.enter_context(part.open())
        if stored is None:
            raise unreadable_file_error(part.name)
        if codec is None:
            yield stored
            return
        if part.size == 0:
            raise damaged_file_error(part.name)
        yield opened.enter_context(pa.input_stream(stored, compression=codec, buffer_size=READ_BUFFER))


@contextmanager
def open_stream(part: FilePart) -> Iterator[ByteStream]:
    """A file's decompressed bytes as a stream whose errors contain the file's name and nothing of its content."""
    with open_decompressed(part) as stream:
        yield _NamedStream(stream, part.name)


class _NamedStream:
    """A stream that names its file in the error for invalid compressed data."""

    def __init__(self, stream: ByteStream, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, pa.ArrowException) as caught:
            error = read_error(self._name, caught)
        raise error


def is_uncompressed(path: Location) -> bool:
    """Whether a file is not compressed, by its name, so that it can be read from any position."""
    return path.suffix.lower() not in _CODECS


def uncompressed_suffix(path: Location) -> str:
    """The suffix of a file without that of its compression, in lower case."""
    name = path.name.lower()
    return PurePath(name if is_uncompressed(path) else name.removesuffix(path.suffix.lower())).suffix


@contextmanager
def open_span(path: Location, name: str, span: ByteSpan) -> Iterator[tuple[ByteStream, int]]:
    """The lines of an uncompressed file that begin within a span, and the position of the first. Raises SourceError."""
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
    """The start of the first line at or after a position; the end of the file if there is none."""
    if not at:
        return 0
    place = file.seek(at - 1)
    while data := stream.read(1 << 16):
        line_start = data.find(b"\n") + 1
        if line_start:
            return place + line_start
        place += len(data)
    return place


class _LimitedStream:
    """A limited number of bytes of a stream. From a local file it reads complete lines, so that no line has to be joined."""

    def __init__(self, stream: ByteStream, size: int, raw: BinaryIO | None = None) -> None:
        self._stream, self._left, self._near = stream, size, raw

    def read(self, size: int, /) -> bytes:
        size = min(size, self._left)
        data = self._stream.read(
            size if self._near is None or size <= LINE_END_WINDOW else self._whole(self._near, size)
        )
        self._left -= len(data)
        return data

    def _whole(self, file: BinaryIO, size: int) -> int:
        """The number of bytes that are complete lines, if a line ends near the end of `size` bytes."""
        place = file.tell()
        file.seek(place + size - LINE_END_WINDOW)
        end = self._stream.read(LINE_END_WINDOW).rfind(b"\n") + 1
        file.seek(place)
        return size - LINE_END_WINDOW + end if end else size


def line_blocks(
    stream: ByteStream, size: int = BLOCK_BYTES, limit: int = MAX_LINE_BYTES, start: int = 0
) -> Iterator[LineBlock]:
    """A stream split at line ends into blocks of about this size, without a byte order mark at the start of the file.

    A line above the limit is reported by its position and never held completely in memory.
    """
    position, partial_line, skipping = start, b"", False
    least = min(size, limit)
    for data in _full_reads(stream, least):
        more = len(data) == least
        if not position and not partial_line and data.startswith(BYTE_ORDER_MARK):
            position, data = len(BYTE_ORDER_MARK), data[len(BYTE_ORDER_MARK) :]
        if skipping:
            past = data.find(b"\n") + 1
            position, data, skipping = position + (past or len(data)), data[past:] if past else b"", not past
        end = data.rfind(b"\n") + 1 if more else len(data)
        whole, partial_line = (_join_bytes(partial_line, data, end), data[end:]) if end else (b"", partial_line + data)
        yield from _whole_lines(position, whole, limit)
        position += len(whole)
        if line_length(partial_line) > limit:
            yield LineBlock(position, b"", too_large=True)
            position, partial_line, skipping = position + len(partial_line), b"", True
    yield from _whole_lines(position, partial_line, limit)


def _join_bytes(buffered: bytes, data: bytes, end: int) -> bytes:
    """The buffered bytes and the beginning of the data, copied once."""
    return b"".join((buffered, memoryview(data)[:end])) if buffered or end < len(data) else data


def _whole_lines(position: int, data: bytes, limit: int) -> Iterator[LineBlock]:
    """Complete lines as a block. Only the first can be too long, because only it began in an earlier read."""
    first = _line_end(data) if len(data) > limit else 0
    if line_length(data[:first]) > limit:
        yield LineBlock(position, b"", too_large=True)
        position, data = position + first + 1, data[first + 1 :]
    if data:
        yield LineBlock(position, data)


def _line_end(data: bytes) -> int:
    newline = data.find(b"\n")
    return len(data) if newline < 0 else newline


def _full_reads(stream: ByteStream, size: int) -> Iterator[bytes]:
    """A stream in reads of this size. A shorter read is the last one or ends with a line."""
    while data := stream.read(size):
        if len(data) < size and not data.endswith(b"\n"):
            data = b"".join((data, *_read_exactly(stream, size - len(data))))
        yield data


def _read_exactly(stream: ByteStream, size: int) -> Iterator[bytes]:
    """The next `left` bytes, in as many reads as needed: a compressed stream may return fewer bytes per read."""
    while size and (data := stream.read(size)):
        size -= len(data)
        yield data


def line_length(line: bytes) -> int:
    """The bytes of a line without a carriage return at its end."""
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
    """The lines of a block with their positions, without blank lines."""
    position = block.position
    for line in block.data.split(b"\n"):
        if line.strip(BLANK_BYTES):
            yield position, line
        position += len(line) + 1


def prefetch(items: Iterator[T]) -> Generator[T, None, None]:
    """The items of an iterator in order. The next one is computed in a background thread. Its errors are raised in order, too.

    If the consumer closes the generator early, no more items are requested.

    >>> list(prefetch(iter([1, 2, 3])))
    [1, 2, 3]
    """
    with ThreadPoolExecutor(1, thread_name_prefix="minimize-ahead") as pool:
        coming = pool.submit(_next_item, items)
        while next_items := coming.result():
            coming = pool.submit(_next_item, items)
            yield next_items[0]


def _next_item(items: Iterator[T]) -> tuple[T] | None:
    for item in items:
        return (item,)
    return None
