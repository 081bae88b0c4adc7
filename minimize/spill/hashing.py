"""Values as keyed 128-bit hashes, whole columns at once.

A hash is a CBC-MAC of the value, with its length in front: it reveals nothing without the key. Two of n values of m blocks (16
bytes) have the same hash with a probability of about (n * m)**2 / 2**128: for a billion device ids of three blocks 10**-20.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.hashing import WORD_BYTES, decimal_words, text_bytes, text_offsets, word_rows
from minimize.arrow.value_dictionary import stored_type
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
        found = np.zeros((len(values), 2), np.uint64)
        found[np.asarray(plain.is_valid())] = self(plain.drop_null(), domain)
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
    found = np.empty((len(texts), 2), np.uint64)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = offsets[start : start + _TEXTS_AT_ONCE + 1]
        long = np.flatnonzero(np.diff(some) > _MAX_BYTES)
        if not long.size:
            found[start : start + len(some) - 1] = _short_text_hashes(data, some, mac)
            continue
        # A loop over long texts: they are rare.
        short = [_shortened(data[some[row] : some[row + 1]].tobytes()) for row in range(len(some) - 1)]
        ends = np.append(0, np.cumsum([len(text) for text in short]))
        found[start : start + len(short)] = _short_text_hashes(np.frombuffer(b"".join(short), np.uint8), ends, mac)
    return found


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
