"""Codes of values that stay the same from batch to batch, independent of the dictionaries of the batches.

Top to bottom: digests, which identify values; a hash table of digests; the dictionary.

A digest has 128 bits. Numbers are their own digest. The digest of a text is four times the multilinear hash of its 32-bit
words, each time with another key (Lemire and Kaser, Strongly universal string hashing is fast, 2014). For any two texts the
probability of a collision, over the keys, is 2**-128. The key is random for each `ValueDigests` and stays in it, so that an
attacker cannot search for texts that collide.
"""

from __future__ import annotations

from hashlib import blake2b
from secrets import token_bytes
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import FREE_SLOT, Codes, SlotTable, value_type

Words = npt.NDArray[np.uint64]

_MAX_COLUMN_BYTES = 64
"""Maximum bytes of a text that is hashed in columns of words. Longer texts are hashed one by one with BLAKE2b."""
_AT_ONCE = 1 << 14
_HALF = np.uint64(32)


def has_digest(type_: pa.DataType) -> bool:
    """Whether values of a plain type have a digest: texts, bytes, and numbers of at most 64 bits."""
    return bool(pa.types.is_string(type_) or pa.types.is_binary(type_) or _number_bits(type_))


class ValueDigests:
    """The digests of values without nulls."""

    def __init__(self) -> None:
        self._key = token_bytes(32)
        drawn = np.frombuffer(token_bytes(8 * 4 * (2 + _MAX_COLUMN_BYTES // 4)), np.uint64)
        self._keys: Words = drawn.reshape(-1, 4)

    def digest_values(self, values: pa.Array) -> tuple[Words, Words]:
        """Two words for each value; equal values have equal words."""
        width = _number_bits(values.type)
        return self._digest_texts(values) if not width else _number_digests(values, width)

    def _digest_texts(self, values: pa.Array) -> tuple[Words, Words]:
        offsets, data = _text_buffers(values)
        high, low = np.empty(len(values), np.uint64), np.empty(len(values), np.uint64)
        for first in range(0, len(values), _AT_ONCE):
            part = offsets[first : first + _AT_ONCE + 1]
            rows = slice(first, first + len(part) - 1)
            high[rows], low[rows] = self._digest_block(part, data)
        return high, low

    def _digest_block(self, offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> tuple[Words, Words]:
        lengths = np.diff(offsets)
        long = np.flatnonzero(lengths > _MAX_COLUMN_BYTES)
        if not long.size:
            return self._hash_words(lengths, _padded_words(lengths, data[offsets[0] : offsets[-1]]))
        high, low = np.empty(len(lengths), np.uint64), np.empty(len(lengths), np.uint64)
        # A loop over the long texts among the distinct values.
        for row in long.tolist():
            high[row], low[row] = self._digest_long_text(data[offsets[row] : offsets[row + 1]].tobytes())
        short = lengths <= _MAX_COLUMN_BYTES
        kept = data[offsets[0] : offsets[-1]][np.repeat(short, lengths)]
        high[short], low[short] = self._hash_words(lengths[short], _padded_words(lengths[short], kept))
        return high, low

    def _hash_words(self, lengths: npt.NDArray[np.int64], words: npt.NDArray[np.uint32]) -> tuple[Words, Words]:
        sums = words.astype(np.uint64) @ self._keys[2 : 2 + words.shape[1]]
        sums += self._keys[0] + lengths.astype(np.uint64)[:, None] * self._keys[1]
        sums >>= _HALF
        return (sums[:, 0] << _HALF) | sums[:, 1], (sums[:, 2] << _HALF) | sums[:, 3]

    def _digest_long_text(self, text: bytes) -> tuple[np.uint64, np.uint64]:
        high, low = np.frombuffer(blake2b(text, key=self._key, digest_size=16).digest(), np.uint64)
        return high, low


def _number_bits(type_: pa.DataType) -> int:
    """Bits of a number type; 0 for other types."""
    numeric = pa.types.is_integer(type_) or pa.types.is_float32(type_) or pa.types.is_float64(type_)
    temporal = pa.types.is_temporal(type_) and not pa.types.is_interval(type_)
    return int(type_.bit_width) if numeric or temporal else 0


def _number_digests(values: pa.Array, width: int) -> tuple[Words, Words]:
    """Digests of numbers. NaN is one value; the caller has normalized zero."""
    kind = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}[width]
    bits = np.frombuffer(values.buffers()[1], kind)[values.offset : values.offset + len(values)]
    if pa.types.is_floating(values.type):
        numbers = bits.view(np.float32 if width == 32 else np.float64)
        bits = bits.copy()
        bits[np.isnan(numbers)] = 2**width - 1
    return bits.astype(np.uint64), np.zeros(len(bits), np.uint64)


def _text_buffers(values: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    _, ends, data = values.buffers()
    offsets = np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    return offsets, np.frombuffer(b"" if data is None else data, np.uint8)


def _padded_words(lengths: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Consecutive texts as rows of words, padded with zeros."""
    longest, shortest = int(lengths.max(initial=0)), int(lengths.min(initial=_MAX_COLUMN_BYTES))
    width = -(-longest // 4) * 4
    if shortest == longest == width:
        return _as_words(data.reshape(len(lengths), width))
    rows = np.zeros((len(lengths), width), np.uint8)
    if shortest == longest:
        rows[:, :longest] = data.reshape(len(lengths), longest)
    else:
        rows[np.arange(width) < lengths[:, None]] = data
    return _as_words(rows)


def _as_words(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    return np.ascontiguousarray(rows).view(np.uint32) if rows.size else np.zeros((len(rows), 0), np.uint32)


_MIN_DIGESTS = 1 << 14


class DigestIndex(SlotTable):
    """Assigns the codes 0, 1, 2 … to digests in the order of first occurrence.

    The cost depends on the lookups, not on the size.
    """

    def __init__(self) -> None:
        self._digests = np.empty((2, _MIN_DIGESTS), np.uint64)
        self._slots = np.full(2 * _MIN_DIGESTS, FREE_SLOT, np.int32)
        self._known = 0

    @property
    def nbytes(self) -> int:
        """Bytes of memory used."""
        return int(self._digests.nbytes + self._slots.nbytes)

    def codes(self, high: Words, low: Words) -> tuple[Codes, Codes]:
        """The code of each digest, with new codes for new digests; and the rows of the first occurrence of each new one."""
        codes = self._find(high, low)
        missing = np.flatnonzero(codes < 0)
        if not missing.size:
            return codes, missing
        rows = self._add(high[missing], low[missing])
        codes[missing] = self._known + np.cumsum(rows == np.arange(rows.size))[rows] - 1
        first = missing[rows == np.arange(rows.size)]
        self._known += first.size
        return codes, first

    def _find(self, high: Words, low: Words) -> Codes:
        """The code of each known digest; -1 for others."""
        codes = np.full(len(high), FREE_SLOT, np.int64)
        pending, places = np.arange(len(high)), self._places(high)
        while pending.size:
            slot_codes = self._slots[places]
            taken = slot_codes != FREE_SLOT
            pending, places, slot_codes = pending[taken], places[taken], slot_codes[taken]
            same = (self._digests[0][slot_codes] == high[pending]) & (self._digests[1][slot_codes] == low[pending])
            codes[pending[same]] = slot_codes[same]
            pending, places = pending[~same], self._next(places[~same])
        return codes

    def _add(self, high: Words, low: Words) -> Codes:
        """Add unknown digests. Returns for each the first row with the same digest."""
        self._grow(len(high))
        rows = np.arange(len(high), dtype=np.int64)
        pending, places = rows, self._places(high)
        firsts = rows.copy()
        entered = np.zeros(len(high), np.int64)
        while pending.size:
            free = self._slots[places] == FREE_SLOT
            # If several rows compete for a free slot, the first must win: NumPy writes in order, so the first is written last.
            self._slots[places[free][::-1]] = -2 - pending[free][::-1]
            owner = -2 - self._slots[places].astype(np.int64)
            same = owner >= 0
            same[same] = (high[owner[same]] == high[pending[same]]) & (low[owner[same]] == low[pending[same]])
            firsts[pending[same]] = owner[same]
            entered[pending[same]] = places[same]
            pending, places = pending[~same], self._next(places[~same])
        new_rows = np.flatnonzero(firsts == rows)
        codes = self._known + np.arange(new_rows.size)
        self._slots[entered[new_rows]] = codes
        self._digests[:, codes] = high[new_rows], low[new_rows]
        return firsts

    def _grow(self, more: int) -> None:
        needed = self._known + more
        if needed > self._digests.shape[1]:
            size = max(2 * self._digests.shape[1], 1 << (needed - 1).bit_length())
            grown = np.empty((2, size), np.uint64)
            grown[:, : self._known] = self._digests[:, : self._known]
            self._digests, self._slots = grown, np.full(2 * size, FREE_SLOT, np.int32)
            self._enter_all()

    def _enter_all(self) -> None:
        pending: Codes = np.arange(self._known, dtype=np.int64)
        places = self._places(self._digests[0][: self._known])
        while pending.size:
            free = self._slots[places] == FREE_SLOT
            self._slots[places[free]] = pending[free]
            lost = self._slots[places] != pending
            pending, places = pending[lost], self._next(places[lost])


_MAX_REHASHED = 1 << 12
"""Up to this number of values, all are hashed again with each batch. Above it, only the new batch is."""

_REMEMBERED_DICTIONARIES = 2
"""Number of remembered dictionaries: usually one for each thread that shares a value dictionary."""


def stored_type(type_: pa.DataType) -> pa.DataType:
    """The plain type in which values of this type are stored: no dictionary, no large or view layout."""
    kind = value_type(type_)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


class ValueDictionary:
    """Assigns a code to each distinct value. Null is a value, NaN equals NaN, and -0.0 is 0.0.

    >>> book = ValueDictionary(pa.string())
    >>> book.encode(pa.array(["b", None, "b"])).tolist(), book.encode(pa.array(["a", "b"])).tolist()
    ([0, 1, 0], [2, 0])
    """

    def __init__(self, type_: pa.DataType) -> None:
        self._type = stored_type(type_)
        self._known = [pa.array([], self._type)]
        self._size = 0
        self._lookup: _DigestLookup | None = None
        self._last: list[tuple[pa.Array, Codes]] = []

    def __len__(self) -> int:
        return self._size

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes: the values, without the secret key."""
        return {**self.__dict__, "_lookup": None, "_last": [], "_known": [self.values]}

    @property
    def values(self) -> pa.Array:
        """The value of each code."""
        if len(self._known) > 1:
            self._known = [pa.concat_arrays(self._known)]
        return self._known[0]

    @property
    def nbytes(self) -> int:
        """Bytes of memory used."""
        return sum(int(part.nbytes) for part in self._known) + (0 if self._lookup is None else self._lookup.nbytes)

    def encode(self, values: pa.Array) -> Codes:
        """The code of each value; new values get new codes."""
        if not pa.types.is_dictionary(values.type):
            return self.codes(values)
        codes, indices = self._codes_of_dictionary(values.dictionary), values.indices
        if indices.null_count:
            codes = np.concatenate([codes, self.codes(pa.nulls(1, self._type))])
            indices = pc.fill_null(indices.cast(pa.int64()), len(codes) - 1)
        places: Codes = indices.to_numpy()
        return codes.take(places)

    def codes(self, values: pa.Array) -> Codes:
        """The code of each plain value."""
        if not len(values):
            return np.empty(0, np.int64)
        plain = _normalized(values, self._type)
        return self._rehash_all(plain) if self._is_small(plain) else self._look_up(plain)

    def _codes_of_dictionary(self, dictionary: pa.Array) -> Codes:
        """The codes of a dictionary, which slices of a column share. Known values keep their codes."""
        for known, codes in self._last:
            if _is_same_memory(known, dictionary):
                return codes
        codes = self.codes(dictionary)
        self._last = [(dictionary, codes), *self._last[: _REMEMBERED_DICTIONARIES - 1]]
        return codes

    def _is_small(self, values: pa.Array) -> bool:
        return self._lookup is None and (len(self) + len(values) <= _MAX_REHASHED or not has_digest(self._type))

    def _rehash_all(self, values: pa.Array) -> Codes:
        """One pass of Arrow's hash table over the known and the new values."""
        chunks = pa.chunked_array([self.values, values]).dictionary_encode(null_encoding="encode")
        encoded = chunks.chunk(chunks.num_chunks - 1)
        self._known, self._size = [encoded.dictionary], len(encoded.dictionary)
        return _as_codes(encoded.indices)

    def _look_up(self, values: pa.Array) -> Codes:
        if self._lookup is None:
            self._lookup = _DigestLookup()
            self._lookup.codes(self.values)
        codes, fresh = self._lookup.codes(values)
        if fresh.size:
            self._known.append(values.take(pa.array(fresh)))
            self._size += fresh.size
        return codes


class _DigestLookup:
    """The codes of values by their digests. Null has a code, too."""

    def __init__(self) -> None:
        self._digests = ValueDigests()
        self._index = DigestIndex()

    @property
    def nbytes(self) -> int:
        return self._index.nbytes

    def codes(self, values: pa.Array) -> tuple[Codes, Codes]:
        """The code of each value, and the rows of the first occurrence of new values, in the order of their codes."""
        return self._index.codes(*self._digests_of(values))

    def _digests_of(self, values: pa.Array) -> tuple[Words, Words]:
        """Digests of values. Null has a digest of its own: the right word of a number is 0, and no text has this digest."""
        if not values.null_count:
            return self._digests.digest_values(values)
        present = np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        high, low = np.zeros(len(values), np.uint64), np.full(len(values), 2**64 - 1, np.uint64)
        high[present], low[present] = self._digests.digest_values(values.drop_null())
        return high, low


def _is_same_memory(first: pa.Array, second: pa.Array) -> bool:
    """Whether two arrays are the same bytes in memory. While one is referenced, its memory cannot be reused."""
    return first is second or _memory_location(first) == _memory_location(second)


def _memory_location(values: pa.Array) -> tuple[object, ...]:
    buffers = [None if buffer is None else buffer.address for buffer in values.buffers()]
    return values.type, values.offset, len(values), *buffers


def _as_codes(codes: pa.Array) -> Codes:
    return np.array(codes.to_numpy(zero_copy_only=False), np.int64)


def _normalized(values: pa.Array, type_: pa.DataType) -> pa.Array:
    plain = values if values.type == type_ else values.cast(type_)
    return pc.add(plain, pa.scalar(0.0, type_)) if pa.types.is_floating(type_) else plain
