"""Files as blocks of whole lines: decompressed as a stream, in bounded memory, with the byte position of each block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from minimize.io.part import broken, damaged, unreadable
from minimize.stores import Place, Remote

BLOCK = 8 << 20
"""About how many bytes of text are parsed at once, and make a chunk."""
LIMIT = 16 << 20
"""The longest line, in bytes without its end, that is a record."""
TAIL = 1 << 16
"""How many bytes before the end of a read the end of a line is looked for in."""
BLANK = b" \t\r"
BOM = b"\xef\xbb\xbf"
_CODECS = {".gz": "gzip", ".zst": "zstd"}


Span = tuple[int, int]
"""From this byte to before that one."""


class Stream(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines, or the place of one that is too long."""

    position: int
    data: bytes
    too_large: bool = False


@contextmanager
def stored(path: Place, name: str) -> Iterator[pa.NativeFile]:
    """A file's bytes, decompressed by its name's ending (.gz, .zst; several members are one stream).

    Raises SourceError, also if a file that should be compressed has no bytes: even compressed nothing has some.
    """
    stream, codec, is_cut = None, _CODECS.get(path.suffix.lower()), False
    with suppress(OSError, pa.ArrowException):
        is_cut = codec is not None and (path.size() if isinstance(path, Remote) else path.stat().st_size) == 0
        if isinstance(path, Remote):
            stream = path.stream(codec)
        else:
            stream = pa.input_stream(str(path), compression=codec, buffer_size=1 << 16)
    if stream is None:
        raise unreadable(name)
    with stream:
        if is_cut:
            raise damaged(name)
        yield stream


@contextmanager
def opened(path: Place, name: str) -> Iterator[Stream]:
    """The same, as a stream whose errors say which file it is and nothing of what is in it."""
    with stored(path, name) as stream:
        yield _Whole(stream, name)


class _Whole:
    """A stream that says which file it is when its bytes do not decode to their end."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, pa.ArrowException) as caught:
            error = broken(self._name, caught)
        raise error


def is_plain(path: Place) -> bool:
    """Whether a file's bytes are its text, by its name: then it can be read from anywhere."""
    return path.suffix.lower() not in _CODECS


@contextmanager
def between(path: Place, name: str, span: Span) -> Iterator[tuple[Stream, int]]:
    """The lines of a plain file that begin within a span, and where the first of them does. Raises SourceError."""
    file: BinaryIO | None = None
    with suppress(OSError):
        file = path.open("rb", buffering=0)
    if file is None:
        raise unreadable(name)
    with file:
        whole = _Whole(file, name)
        start, end = (_line_from(file, whole, at) for at in span)
        file.seek(start)
        near = file if isinstance(path, Path) else None
        yield _Until(whole, end - start, near), start


def _line_from(file: BinaryIO, stream: Stream, at: int) -> int:
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


class _Until:
    """So many bytes of a stream; of a file that is near, whole lines at a time, so that none has to be put together."""

    def __init__(self, stream: Stream, left: int, near: BinaryIO | None = None) -> None:
        self._stream, self._left, self._near = stream, left, near

    def read(self, size: int, /) -> bytes:
        size = min(size, self._left)
        data = self._stream.read(size if self._near is None or size <= TAIL else self._whole(self._near, size))
        self._left -= len(data)
        return data

    def _whole(self, file: BinaryIO, size: int) -> int:
        """How many of so many bytes are whole lines, if a line ends among the last of them."""
        place = file.tell()
        file.seek(place + size - TAIL)
        end = self._stream.read(TAIL).rfind(b"\n") + 1
        file.seek(place)
        return size - TAIL + end if end else size


def blocks(stream: Stream, size: int = BLOCK, limit: int = LIMIT, start: int = 0) -> Iterator[Block]:
    """A stream cut at line ends into blocks of about this size; a byte order mark at the start of its file is left out.

    A line above the limit is told by its position and never held whole.
    """
    position, held, skipping = start, b"", False
    least = min(size, limit)
    for data in _reads(stream, least):
        more = len(data) == least
        if not position and not held and data.startswith(BOM):
            position, data = len(BOM), data[len(BOM) :]
        if skipping:
            past = data.find(b"\n") + 1
            position, data, skipping = position + (past or len(data)), data[past:] if past else b"", not past
        end = data.rfind(b"\n") + 1 if more else len(data)
        whole, held = (_both(held, data, end), data[end:]) if end else (b"", held + data)
        yield from _whole(position, whole, limit)
        position += len(whole)
        if length(held) > limit:
            yield Block(position, b"", too_large=True)
            position, held, skipping = position + len(held), b"", True
    yield from _whole(position, held, limit)


def _both(held: bytes, data: bytes, end: int) -> bytes:
    """What was held and the beginning of the data, copied once."""
    return b"".join((held, memoryview(data)[:end])) if held or end < len(data) else data


def _whole(position: int, data: bytes, limit: int) -> Iterator[Block]:
    """Whole lines as a block; only the first of them can be too long, for it alone was begun in an earlier read."""
    first = _end_of(data) if len(data) > limit else 0
    if length(data[:first]) > limit:
        yield Block(position, b"", too_large=True)
        position, data = position + first + 1, data[first + 1 :]
    if data:
        yield Block(position, data)


def _end_of(data: bytes) -> int:
    found = data.find(b"\n")
    return len(data) if found < 0 else found


def _reads(stream: Stream, size: int) -> Iterator[bytes]:
    """A stream in reads of this size; what is shorter is the last, or ends with a line."""
    while data := stream.read(size):
        if len(data) < size and not data.endswith(b"\n"):
            data = b"".join((data, *_more(stream, size - len(data))))
        yield data


def _more(stream: Stream, left: int) -> Iterator[bytes]:
    """So many more bytes, in as many reads as it takes: a compressed stream gives what it has."""
    while left and (data := stream.read(left)):
        left -= len(data)
        yield data


def length(line: bytes) -> int:
    """The bytes of a line without the carriage return that may belong to its end."""
    return len(line) - line.endswith(b"\r")


def lines_at(block: Block, positions: Iterable[int]) -> Iterator[Block]:
    """The lines of a block that begin at these positions, each as a block."""
    for position in positions:
        begin = position - block.position
        if block.too_large and begin == 0:
            yield block
        elif 0 <= begin < len(block.data):
            end = block.data.find(b"\n", begin)
            yield Block(position, block.data[begin:] if end < 0 else block.data[begin:end])


def lines(block: Block) -> Iterator[tuple[int, bytes]]:
    """The lines of a block, each with its position; blank lines left out."""
    position = block.position
    for line in block.data.split(b"\n"):
        if line.strip(BLANK):
            yield position, line
        position += len(line) + 1
