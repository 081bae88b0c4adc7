"""Memory budget of a run.

The size of the budget, the share of each tally, and the encrypted spill file.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self
from weakref import WeakSet

from minimize.config import load_config
from minimize.errors import ConfigurationError
from minimize.spill.hashing import ValueHasher

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MEMORY_VARIABLE: Final = "MINIMIZE_MEMORY"
DEFAULT_MEMORY: Final = 256 << 20
"""Default for the bytes of all tallies of a run."""
_SIZE: Final = re.compile(r"([0-9]+) ?([KMGT]i?B|B)?")
_UNITS: Final = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", 1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}


_WORKING_FACTOR: Final = 2
"""Merging rows takes up to this many times their size."""
_MIN_BYTES: Final = 1 << 12
"""Bytes that a holder may use in any case."""


class MemoryBudget:
    """A number of bytes for several holders. Who has more than an equal part gives way when all together have too many."""

    def __init__(self, total: int | None = DEFAULT_MEMORY) -> None:
        """Takes the bytes; None means no limit."""
        self.total = total
        self._lock = threading.Lock()
        self._holders: WeakSet[BudgetShare] = WeakSet()

    def share(self) -> BudgetShare:
        """A share of the budget, returned when it is garbage-collected."""
        share = BudgetShare(self)
        with self._lock:
            self._holders.add(share)
        return share

    def part(self) -> int | None:
        """The bytes of an equal part."""
        with self._lock:
            holders = len(self._holders)
        return None if self.total is None else self.total // max(holders, 1)

    def has_room(self, more: int) -> bool:
        """Whether the holders together can merge what they have, and more bytes, within the budget."""
        with self._lock:
            held = sum(share.held for share in self._holders)
        return self.total is None or held + more <= self.total // _WORKING_FACTOR


class BudgetShare:
    """What one holder has of a budget. `held` is set by the holder: the bytes that it has in memory."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.held = 0

    @property
    def bytes(self) -> int | None:
        """The bytes of an equal part; None means no limit."""
        return self._budget.part()

    @property
    def most_bytes(self) -> float:
        """The bytes of rows that can be merged within an equal part."""
        part = self._budget.part()
        return float("inf") if part is None else max(part // _WORKING_FACTOR, _MIN_BYTES)

    @property
    def is_full(self) -> bool:
        """Whether this holder must give way."""
        return self.held > self.most_bytes and not self._budget.has_room(0)

    def has_room(self, more: int) -> bool:
        """Whether this many more bytes fit into the budget."""
        return self._budget.has_room(more)


def find_budget(start: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """The bytes that the tallies of a run may take.

    Takes the pipeline's folder, and the environment (by default that of the process). Raises ConfigurationError for an invalid
    size.
    """
    named = (os.environ if environ is None else environ).get(MEMORY_VARIABLE)
    if named:
        return parse_size(named, MEMORY_VARIABLE)
    memory = load_config(start).memory
    if memory is None or memory.value is False:
        return DEFAULT_MEMORY
    return parse_size(memory.value, "`memory:` of minimize.yaml")


def parse_size(text: Any, where: str) -> int:
    """A number of bytes from text such as `2 GB`.

    >>> parse_size("256MiB", "here"), parse_size(2000000, "here"), parse_size("2 GB", "here")
    (268435456, 2000000, 2000000000)
    """
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise ConfigurationError(
            f"{where} is not a size", hint="Write a number of bytes, or a size such as 256MiB or 2GB."
        )
    return int(match[1]) * int(_UNITS[match[2] or ""])


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
