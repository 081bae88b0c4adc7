"""The encrypted spill file of a run, and the run's spill space: its budget, its spill file and the key of its hashes.

Values as keyed 128-bit hashes, whole columns at once.

A hash is a CBC-MAC of the value, with its length in front: it reveals nothing without the key. Two of n values of m blocks (16
bytes) have the same hash with a probability of about (n * m)**2 / 2**128: for a billion device ids of three blocks 10**-20.

Memory budget of a run: its size, and the share of each tally.
"""

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

from minimize.checkpoints import checkpoint
from minimize.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import stored_type
from minimize.arrow.hashing import WORD_BYTES, decimal_words, text_bytes, text_offsets, word_rows
from minimize.config import Config
from minimize.keys.cryptography import BLOCK_BYTES, BlockMac

HashWords = npt.NDArray[np.uint64]
_KEY_MARK_DOMAIN: Final = 255
_TEXTS_AT_ONCE: Final = 1 << 14
"""Texts that are hashed at once, so that they stay in the processor's cache."""
_MAX_BYTES: Final = 128
"""Bytes of a text that is hashed as it is. A longer one is replaced by its digest."""
_DIGEST_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class ValueHasher:
    """Hashes under one key. Equal values have equal hashes in a domain, and different hashes in another."""

    key: bytes = field(repr=False)

    def __call__(self, values: pa.Array, domain: int = 0) -> HashWords:
        """The hash of each value, two words a row. Nulls: two zeros.

        Takes strings, bytes, numbers, booleans, times, plain or dictionary-encoded; NaN equals NaN, and -0.0 is 0.0.
        """
        if pa.types.is_dictionary(values.type):
            return self._of_dictionary(values, domain)
        if not values.null_count:
            return _hashes(values, keyed_mac(self.key, domain))
        plain = values if _has_offsets(values.type) else values.cast(stored_type(values.type))
        hashes = np.zeros((len(values), 2), np.uint64)
        hashes[np.asarray(plain.is_valid())] = self(plain.drop_null(), domain)
        return hashes

    @property
    def mark(self) -> int:
        """A number that distinguishes keys and reveals nothing else."""
        return int(self(pa.array([0]), domain=_KEY_MARK_DOMAIN)[0, 0])

    def _of_dictionary(self, values: pa.DictionaryArray, domain: int) -> HashWords:
        if len(values.dictionary) > len(values):
            return self(values.dictionary_decode(), domain)
        none = len(values.dictionary)
        words = np.vstack([self(values.dictionary, domain), np.zeros((1, 2), np.uint64)])
        indices: npt.NDArray[np.int64] = pc.fill_null(values.indices.cast(pa.int64()), none).to_numpy()
        return words.take(indices, axis=0)


@lru_cache(maxsize=16)
def keyed_mac(key: bytes, domain: int) -> BlockMac:
    """The keyed hash of messages in one domain, derived from a key."""
    return BlockMac(blake2b(key=key, person=bytes([domain]), digest_size=32).digest())


def _hashes(values: pa.Array, mac: BlockMac) -> HashWords:
    """The hashes of a plain column without nulls."""
    kind = pa.binary() if pa.types.is_fixed_size_binary(values.type) else stored_type(values.type)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _text_hashes(values if _has_offsets(values.type) else values.cast(kind), mac)
    if pa.types.is_decimal(kind):
        words = np.ascontiguousarray(decimal_words(values)).view(np.uint64)
    else:
        words = _number_words(values)[:, None]
    # The number of bytes comes first, as that of texts does.
    return mac.tags(
        np.column_stack([np.full((len(words), 2 - words.shape[1] % 2), 8 * words.shape[1], np.uint64), words])
    )


def _has_offsets(type_: pa.DataType) -> bool:
    views = (pa.types.is_string_view, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return not any(test(type_) for test in views)


def _text_hashes(texts: pa.Array, mac: BlockMac) -> HashWords:
    """The hashes of texts, each with its length in front, so that none is the beginning of another."""
    offsets, data = text_offsets(texts), text_bytes(texts)
    hashes = np.empty((len(texts), 2), np.uint64)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = offsets[start : start + _TEXTS_AT_ONCE + 1]
        long = np.flatnonzero(np.diff(some) > _MAX_BYTES)
        if not long.size:
            hashes[start : start + len(some) - 1] = _short_text_hashes(data, some, mac)
            continue
        # A loop over long texts: they are rare.
        short = [_shortened(data[some[row] : some[row + 1]].tobytes()) for row in range(len(some) - 1)]
        ends = np.append(0, np.cumsum([len(text) for text in short]))
        hashes[start : start + len(short)] = _short_text_hashes(np.frombuffer(b"".join(short), np.uint8), ends, mac)
    return hashes


def _shortened(text: bytes) -> bytes:
    """A text, or a digest in place of a long one, which is longer than any short text."""
    return text if len(text) <= _MAX_BYTES else blake2b(text).digest() * (_MAX_BYTES // _DIGEST_BYTES + 1)


def _short_text_hashes(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], mac: BlockMac) -> HashWords:
    rows = word_rows(data, offsets)
    if rows.shape[1] % 2:
        rows = np.column_stack([rows, np.zeros(len(rows), np.uint64)])
    blocks = (np.diff(offsets) + WORD_BYTES + BLOCK_BYTES - 1) // BLOCK_BYTES
    return mac.tags(rows, None if (blocks == blocks[0]).all() else blocks)


def _number_words(values: pa.Array) -> HashWords:
    """Numbers as words, so that equal values have one form."""
    if pa.types.is_floating(values.type):
        doubles = values.cast(pa.float64()).to_numpy() + 0.0
        return np.where(np.isnan(doubles), np.nan, doubles).view(np.uint64)
    if pa.types.is_boolean(values.type) or pa.types.is_unsigned_integer(values.type):
        return np.asarray(values.cast(pa.uint64()))
    if values.type.bit_width == 32 and not pa.types.is_integer(values.type):
        values = values.cast(pa.int32())
    return np.asarray(values.cast(pa.int64())).view(np.uint64)


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
_PARTITION_FACTOR: Final = 8
"""Merging a partition takes up to five times its size: its pieces, all of them together, and the distinct rows."""
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
            used_bytes = sum(share.held for share in self._holders)
        return self.total is None or used_bytes + more <= self.total // _WORKING_FACTOR


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
    def partition_bytes(self) -> float:
        """The bytes of distinct rows of a partition that can be merged in memory. Partitions are merged one after the other."""
        total = self._budget.total
        return float("inf") if total is None else max(total // _PARTITION_FACTOR, _MIN_BYTES)

    @property
    def is_full(self) -> bool:
        """Whether this holder must give way."""
        return self.held > self.most_bytes and not self._budget.has_room(0)

    def has_room(self, more: int) -> bool:
        """Whether this many more bytes fit into the budget."""
        return self._budget.has_room(more)


def find_budget(config: Config, environ: Mapping[str, str] | None = None) -> int:
    """The bytes that the tallies of a run may take.

    Takes the configuration, and the environment (by default that of the process). Raises
    ConfigurationError for an invalid size.
    """
    named = (os.environ if environ is None else environ).get(MEMORY_VARIABLE)
    if named:
        return parse_size(named, MEMORY_VARIABLE)
    memory = config.memory
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
        checkpoint("spill.put")
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
            checkpoint("spill.opened", self._file)
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
        remaining = memoryview(sealed)
        try:
            while remaining:
                byte_count = os.pwrite(self._file, remaining, offset)
                remaining, offset = remaining[byte_count:], offset + byte_count
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
        space = SpillSpace(self.budget.total)
        space.budget, space.hasher = self.budget, self.hasher
        return space

    def with_hasher(self, hasher: ValueHasher) -> SpillSpace:
        """The same budget and spill file with other hashes."""
        space = SpillSpace(self.budget.total)
        space.budget, space.spill_file, space.hasher = self.budget, self.spill_file, hasher
        return space

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
