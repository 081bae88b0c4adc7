"""Values as keyed 128-bit hashes, whole columns at once, and a filter for hashes seen recently.

A hash is a keyed BLAKE2b (RFC 7693) of a value's bytes: a pseudorandom function. Two values have the same hash with a
probability of one in 2**128, and a hash reveals nothing without the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.hashing import decimal_words
from minimize.keys.cryptography import KeyedHash

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PackedValues:
    """Values as bytes, and the offset of each, with the end of the last."""

    content: Bytes = field(repr=False)
    offsets: Offsets = field(repr=False)


def pack_values(values: pa.Array) -> PackedValues:
    """The values of a plain column; the content under a null is undefined."""
    return _pack_texts(values) if _is_text(values.type) else _pack_numbers(values)


def _is_text(type_: pa.DataType) -> bool:
    tests = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "fixed_size_binary")
    return any(getattr(pa.types, f"is_{test}")(type_) for test in tests)


def _pack_texts(values: pa.Array) -> PackedValues:
    values = values.cast(pa.large_string() if _is_string(values.type) else pa.large_binary())
    _, offsets, data = values.buffers()
    ends: Offsets = np.frombuffer(offsets, np.int64) if len(values) else np.zeros(1, np.int64)
    content = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return PackedValues(content, ends[values.offset : values.offset + len(values) + 1] if len(values) else ends)


def _pack_numbers(values: pa.Array) -> PackedValues:
    """Numbers as words, so that equal values have one form."""
    words = decimal_words(values) if pa.types.is_decimal(values.type) else _number_words(values)
    ends = np.arange(len(values) + 1) * (words.itemsize * words.shape[1])
    return PackedValues(np.ascontiguousarray(words).view(np.uint8).ravel(), ends)


def _number_words(values: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_floating(values.type):
        doubles = values.cast(pa.float64()).fill_null(0.0).to_numpy() + 0.0
        return np.where(np.isnan(doubles), np.nan, doubles)[:, None]
    if pa.types.is_boolean(values.type) or pa.types.is_unsigned_integer(values.type):
        return np.asarray(values.cast(pa.uint64()).fill_null(0))[:, None]
    if values.type.bit_width == 32 and not pa.types.is_integer(values.type):
        values = values.cast(pa.int32())
    return np.asarray(values.cast(pa.int64()).fill_null(0))[:, None]


def _is_string(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


HashWords = npt.NDArray[np.uint64]
_KEY_MARK_DOMAIN: Final = 255


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
        packed = pack_values(values)
        found = KeyedHash(self.key, bytes([domain])).tags(packed.content, packed.offsets).view(np.uint64)
        if values.null_count:
            found[values.is_null().to_numpy(zero_copy_only=False)] = 0
        return found

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
        return words[indices]


_LOOKUP_ROWS: Final = 1 << 15
"""Rows that are looked up at once, so that they stay in the processor's cache for the next ones."""


class RecentHashes:
    """Remembers hashes, each in one slot given by its bits until another hash takes it. Fixed memory; no order.

    >>> recent = RecentHashes(1 << 12)
    >>> words = np.array([[1 << 60, 1], [2 << 60, 1], [1 << 60, 1]], np.uint64)
    >>> recent.unseen_rows(words[:2]).tolist(), recent.unseen_rows(words).tolist()
    ([0, 1], [])
    """

    def __init__(self, size: int) -> None:
        """Takes the bytes of memory that it may use."""
        bits = max((max(size, 1) // 16).bit_length() - 1, 4)
        self._shift = np.uint64(64 - bits)
        self._high = np.zeros(1 << bits, np.uint64)
        self._low = np.zeros(1 << bits, np.uint64)

    def unseen_rows(self, words: HashWords) -> npt.NDArray[np.int64]:
        """The rows that were not seen recently, in order. Equal rows of one call may all be returned."""
        found = [
            self._news(words[start : start + _LOOKUP_ROWS]) + start for start in range(0, len(words), _LOOKUP_ROWS)
        ]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _news(self, words: HashWords) -> npt.NDArray[np.int64]:
        high, low = words[:, 0], words[:, 1]
        places = high >> self._shift
        new = np.flatnonzero((self._high[places] != high) | (self._low[places] != low))
        self._high[places[new]] = high[new]
        self._low[places[new]] = low[new]
        return new
