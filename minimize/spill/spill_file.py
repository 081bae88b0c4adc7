"""The encrypted spill file of a run, and the run's spill space: its budget, its spill file and the key of its hashes."""

from __future__ import annotations

import os
import secrets
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from minimize.errors import ConfigurationError
from minimize.spill.hashing import ValueHasher
from minimize.spill.memory_budget import DEFAULT_MEMORY, MemoryBudget

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK_BYTES: Final = 4 << 20
"""Maximum number of bytes that are encrypted at once."""
TAG_BYTES: Final = 16
"""Bytes that encryption adds."""


@dataclass(frozen=True, slots=True)
class SpilledPiece:
    """The position of a piece in a spill file: number and offset of its first chunk, its plain size, and its label."""

    label: bytes = field(repr=False)
    number: int
    offset: int
    size: int

    def chunks(self) -> Iterator[tuple[int, int, int]]:
        """Number, offset and plain size of each chunk."""
        for count, start in enumerate(range(0, self.size, CHUNK_BYTES)):
            offset = self.offset + start + count * TAG_BYTES
            yield self.number + count, offset, min(CHUNK_BYTES, self.size - start)


class SpillFile:
    """Stores bytes for the threads of this process. Other processes cannot use it.

    The file is opened with the first write. Raises ConfigurationError if the disk is full.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file = -1
        self._cipher: AESGCM | None = None
        self._owner = os.getpid()
        self._chunks = 0
        self._end = 0
        self._close: Callable[[], object] = int

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Free the disk space. This also happens when the spill file is garbage-collected."""
        self._close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a spill file cannot be used in another process")

    def put(self, content: Any, label: bytes = b"") -> SpilledPiece:
        """Write the bytes of a buffer. To read them, the label is needed."""
        plain = memoryview(content).cast("B")
        piece = self._reserved(len(plain), label)
        for number, offset, size in piece.chunks():
            start = (number - piece.number) * CHUNK_BYTES
            self._write(self._seal(number, plain[start : start + size], label), offset)
        return piece

    def get(self, piece: SpilledPiece) -> bytes:
        """Read the bytes of a piece."""
        return b"".join(self._decrypt(piece, *chunk) for chunk in piece.chunks())

    def _reserved(self, size: int, label: bytes) -> SpilledPiece:
        """Reserve a range of the file and chunk numbers for this write alone."""
        with self._lock:
            self._open()
            piece = SpilledPiece(label, self._chunks, self._end, size)
            chunks = -(-size // CHUNK_BYTES)
            self._chunks += chunks
            self._end += size + chunks * TAG_BYTES
        return piece

    def _open(self) -> None:
        """Create the file and the key with the first write.

        A forked copy of this process must not use them: nonces would repeat.
        """
        if os.getpid() != self._owner:
            raise RuntimeError("a spill file cannot be used in another process")
        if self._cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._file = _open_unnamed_file()
            self._close = weakref.finalize(self, os.close, self._file)
            self._cipher = AESGCM(AESGCM.generate_key(256))

    def _seal(self, number: int, plain: memoryview, label: bytes) -> bytes:
        assert self._cipher is not None
        return self._cipher.encrypt(_nonce(number), plain, label)

    def _decrypt(self, piece: SpilledPiece, number: int, offset: int, size: int) -> bytes:
        from cryptography.exceptions import InvalidTag

        assert self._cipher is not None
        try:
            return self._cipher.decrypt(_nonce(number), os.pread(self._file, size + TAG_BYTES, offset), piece.label)
        except (InvalidTag, OSError):
            pass
        raise ConfigurationError("a spill file changed after it was written", hint="Check the disk for errors.")

    def _write(self, sealed: bytes, offset: int) -> None:
        rest = memoryview(sealed)
        try:
            while rest:
                done = os.pwrite(self._file, rest, offset)
                rest, offset = rest[done:], offset + done
        except OSError as error:
            why = error.strerror or "it cannot be written to"
        else:
            return
        raise no_space_error(why)


def no_space_error(reason: str) -> ConfigurationError:
    """The error if spilled data cannot be written to the temporary folder."""
    hint = "Set TMPDIR to a folder on a disk with free space, or raise MINIMIZE_MEMORY."
    return ConfigurationError(f"the folder for temporary files cannot store a spill file: {reason}", hint=hint)


def _open_unnamed_file() -> int:
    """An unnamed file of mode 0600 in the folder for temporary files."""
    try:
        with TemporaryFile(buffering=0) as file:
            return os.dup(file.fileno())
    except OSError as error:
        why = error.strerror or "it cannot be written to"
    raise no_space_error(why)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


class SpillSpace:
    """One run's budget, spill file and hash key. Each is created at its first use."""

    def __init__(self, memory: int | None = DEFAULT_MEMORY, key: bytes | None = None) -> None:
        """Takes the maximum bytes of all tallies (None: no limit), and 32 secret bytes for the hashes (random by default)."""
        self.budget = MemoryBudget(memory)
        self._key = key

    def with_own_file(self) -> SpillSpace:
        """The same budget and hashes with a separate spill file, which frees its disk space when it is no longer referenced."""
        other = SpillSpace(self.budget.total)
        other.budget, other.hasher = self.budget, self.hasher
        return other

    def with_hasher(self, hasher: ValueHasher) -> SpillSpace:
        """The same budget and spill file with other hashes."""
        other = SpillSpace(self.budget.total)
        other.budget, other.spill_file, other.hasher = self.budget, self.spill_file, hasher
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """State for other processes: the budget alone. They have their own keys and files."""
        return SpillSpace, (self.budget.total,)

    def __repr__(self) -> str:
        return f"SpillSpace({self.budget.total})"

    @cached_property
    def hasher(self) -> ValueHasher:
        """The hasher with this run's key."""
        return ValueHasher(secrets.token_bytes(32) if self._key is None else self._key)

    @cached_property
    def spill_file(self) -> SpillFile:
        """This run's spill file."""
        return SpillFile()


UNLIMITED_SPACE: Final = SpillSpace(None)
"""The space of tallies outside a run: no limit of memory, one key per process."""
