"""Values as keyed 128-bit hashes, whole columns at once, and a filter for hashes seen recently.

A hash is an AES-CMAC (RFC 4493) of a value's bytes: a pseudorandom function. Two values have the same hash with a
probability of one in 2**128, and a hash reveals nothing without the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.hashing import decimal_words
from minimize.keys.cryptography import Cmac

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PackedValues:
    """Values as bytes, and the offset of each, with the end of the last."""

    content: Bytes = field(repr=False)
    offsets: Offsets = field(repr=False)

    @classmethod
    def from_values(cls, values: Sequence[bytes]) -> Self:
        """The given values."""
        ends = np.cumsum([0, *map(len, values)])
        return cls(np.frombuffer(b"".join(values), np.uint8), ends)

    def value(self, row: int) -> bytes:
        """The bytes of one value."""
        return self.content[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def clear_rows(self, rows: Offsets) -> PackedValues:
        """The values, with those of some rows replaced by empty ones."""
        sizes = np.diff(self.offsets)
        kept = np.repeat(~np.isin(np.arange(len(sizes)), rows), sizes)
        sizes[rows] = 0
        return PackedValues(self.content[self.offsets[0] : self.offsets[-1]][kept], np.append(0, np.cumsum(sizes)))


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
_LONG_VALUE: Final = 1 << 12
"""Bytes above which values are first hashed with BLAKE2b, because CMAC processes a column block by block."""
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
        found = self._hashed(pack_values(values), domain)
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

    def _hashed(self, laid: PackedValues, domain: int) -> HashWords:
        long = np.flatnonzero(np.diff(laid.offsets) > _LONG_VALUE)
        if not len(long):
            return self._tags(laid, b"short", domain)
        # A loop over long values only; each is hashed separately.
        digests = [blake2b(laid.value(row), key=self.key, digest_size=32).digest() for row in long.tolist()]
        found = self._tags(laid.clear_rows(long), b"short", domain)
        found[long] = self._tags(PackedValues.from_values(digests), b"long", domain)
        return found

    def _tags(self, laid: PackedValues, kind: bytes, domain: int) -> HashWords:
        key = blake2b(bytes([domain]), key=self.key, person=kind, digest_size=32).digest()
        return Cmac(key).tags(laid.content, laid.offsets).view(np.uint64)


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
