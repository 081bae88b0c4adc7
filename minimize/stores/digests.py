"""Digests of data files, inputs and outputs: BLAKE3, written `blake3:` and 64 hexadecimal digits.

Receipts of earlier versions have digests that begin with `sha256:`. A file is compared with a digest by the digest's algorithm.
Digests of documents (policies, receipts, settings) are always SHA-256: see `minimize.receipts.canonical`.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from blake3 import blake3

from minimize.stores import Location, ObjectPath

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


def file_digest(content: Location | bytes, algorithm: str = ALGORITHM) -> str:
    """The digest of a file, or of its bytes. Raises OSError."""
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
