"""Space on disk that only this process can read: a file without a name, sealed with a key that is never written down.

Where the process ends, however it ends, the key is gone and the system takes the file back.
Source: AES-256-GCM, NIST SP 800-38D, with a counter as nonce.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from minimize.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK: Final = 4 << 20
"""Bytes that are sealed at once, at most."""
TAG: Final = 16
"""Bytes that sealing adds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Where something stands in a vault: its first chunk's number and offset, its plain size, and what it was called."""

    label: bytes = field(repr=False)
    number: int
    offset: int
    size: int

    def chunks(self) -> Iterator[tuple[int, int, int]]:
        """Number, offset and plain size of each chunk."""
        for count, start in enumerate(range(0, self.size, CHUNK)):
            offset = self.offset + start + count * TAG
            yield self.number + count, offset, min(CHUNK, self.size - start)


class Vault:
    """Takes bytes and gives them back, to any thread of this process and to no other.

    Nothing is opened before the first bytes come. Raises ConfigurationError where the disk has no room.
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
        """Gives the disk back. A vault that nobody holds any more does so, too."""
        self._close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault does not leave its process")

    def put(self, content: Any, label: bytes = b"") -> Piece:
        """Takes the bytes of a buffer; who reads them must know the label."""
        plain = memoryview(content).cast("B")
        piece = self._reserved(len(plain), label)
        for number, offset, size in piece.chunks():
            start = (number - piece.number) * CHUNK
            self._write(self._seal(number, plain[start : start + size], label), offset)
        return piece

    def get(self, piece: Piece) -> bytes:
        """The bytes of a piece."""
        return b"".join(self._opened(piece, *chunk) for chunk in piece.chunks())

    def _reserved(self, size: int, label: bytes) -> Piece:
        """A place that nobody else writes to, and numbers that nobody else seals with."""
        with self._lock:
            self._open()
            piece = Piece(label, self._chunks, self._end, size)
            chunks = -(-size // CHUNK)
            self._chunks += chunks
            self._end += size + chunks * TAG
        return piece

    def _open(self) -> None:
        """The file and the key: made by the first who comes, useless to a copy of this process, which would seal alike."""
        if os.getpid() != self._owner:
            raise RuntimeError("a vault does not leave its process")
        if self._cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._file = _unnamed()
            self._close = weakref.finalize(self, os.close, self._file)
            self._cipher = AESGCM(AESGCM.generate_key(256))

    def _seal(self, number: int, plain: memoryview, label: bytes) -> bytes:
        assert self._cipher is not None
        return self._cipher.encrypt(_nonce(number), plain, label)

    def _opened(self, piece: Piece, number: int, offset: int, size: int) -> bytes:
        from cryptography.exceptions import InvalidTag

        assert self._cipher is not None
        try:
            return self._cipher.decrypt(_nonce(number), os.pread(self._file, size + TAG, offset), piece.label)
        except (InvalidTag, OSError):
            pass
        raise ConfigurationError("what was set aside on disk is not what was written", hint="is the disk sound?")

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
        raise no_room(why)


def no_room(why: str) -> ConfigurationError:
    """What to say where the temporary folder does not take what memory does not hold."""
    hint = "point TMPDIR at a disk with room, or raise MINIMIZE_MEMORY"
    return ConfigurationError(f"the folder for temporary files does not take what is set aside: {why}", hint=hint)


def _unnamed() -> int:
    """A file of mode 0600 in the folder for temporary files, without a name there."""
    try:
        with TemporaryFile(buffering=0) as file:
            return os.dup(file.fileno())
    except OSError as error:
        why = error.strerror or "it cannot be written to"
    raise no_room(why)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
