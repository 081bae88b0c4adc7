"""Values as 128 bits that tell them apart: numbers as they are, texts under a secret key.

The digest of a text is four times the multilinear hash of its 32-bit words, each under a key of its own (Lemire and Kaser,
Strongly universal string hashing is fast, 2014): for any two texts the chance over the keys that they collide is 2**-128.
The key is drawn for each `Digests` and never leaves it, so that nobody can look for texts that collide.
"""

from __future__ import annotations

from hashlib import blake2b
from secrets import token_bytes

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words = npt.NDArray[np.uint64]

_LONGEST = 64
"""Bytes up to which texts are hashed as columns of words; a longer one is hashed by itself, with BLAKE2b."""
_AT_ONCE = 1 << 14
_HALF = np.uint64(32)


def digestible(type_: pa.DataType) -> bool:
    """Whether values of a plain type have a digest: text, bytes, and what is a number of at most 64 bits."""
    return bool(pa.types.is_string(type_) or pa.types.is_binary(type_) or _width(type_))


class Digests:
    """The digests of values without nulls."""

    def __init__(self) -> None:
        self._key = token_bytes(32)
        drawn = np.frombuffer(token_bytes(8 * 4 * (2 + _LONGEST // 4)), np.uint64)
        self._keys: Words = drawn.reshape(-1, 4)

    def of(self, values: pa.Array) -> tuple[Words, Words]:
        """Two words for each value, equal where the values are."""
        width = _width(values.type)
        return self._of_texts(values) if not width else _of_numbers(values, width)

    def _of_texts(self, values: pa.Array) -> tuple[Words, Words]:
        offsets, data = _texts(values)
        high, low = np.empty(len(values), np.uint64), np.empty(len(values), np.uint64)
        for first in range(0, len(values), _AT_ONCE):
            part = offsets[first : first + _AT_ONCE + 1]
            rows = slice(first, first + len(part) - 1)
            high[rows], low[rows] = self._of_some(part, data)
        return high, low

    def _of_some(self, offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> tuple[Words, Words]:
        lengths = np.diff(offsets)
        long = np.flatnonzero(lengths > _LONGEST)
        if not long.size:
            return self._hashed(lengths, _padded(lengths, data[offsets[0] : offsets[-1]]))
        high, low = np.empty(len(lengths), np.uint64), np.empty(len(lengths), np.uint64)
        # A loop over the long ones among distinct values.
        for row in long.tolist():
            high[row], low[row] = self._by_itself(data[offsets[row] : offsets[row + 1]].tobytes())
        short = lengths <= _LONGEST
        kept = data[offsets[0] : offsets[-1]][np.repeat(short, lengths)]
        high[short], low[short] = self._hashed(lengths[short], _padded(lengths[short], kept))
        return high, low

    def _hashed(self, lengths: npt.NDArray[np.int64], words: npt.NDArray[np.uint32]) -> tuple[Words, Words]:
        sums = words.astype(np.uint64) @ self._keys[2 : 2 + words.shape[1]]
        sums += self._keys[0] + lengths.astype(np.uint64)[:, None] * self._keys[1]
        sums >>= _HALF
        return (sums[:, 0] << _HALF) | sums[:, 1], (sums[:, 2] << _HALF) | sums[:, 3]

    def _by_itself(self, text: bytes) -> tuple[np.uint64, np.uint64]:
        high, low = np.frombuffer(blake2b(text, key=self._key, digest_size=16).digest(), np.uint64)
        return high, low


def _width(type_: pa.DataType) -> int:
    """Bits of a number; 0 for what is none."""
    numeric = pa.types.is_integer(type_) or pa.types.is_float32(type_) or pa.types.is_float64(type_)
    temporal = pa.types.is_temporal(type_) and not pa.types.is_interval(type_)
    return int(type_.bit_width) if numeric or temporal else 0


def _of_numbers(values: pa.Array, width: int) -> tuple[Words, Words]:
    """NaN is one value; the caller has seen to it that zero is."""
    kind = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}[width]
    bits = np.frombuffer(values.buffers()[1], kind)[values.offset : values.offset + len(values)]
    if pa.types.is_floating(values.type):
        numbers = bits.view(np.float32 if width == 32 else np.float64)
        bits = bits.copy()
        bits[np.isnan(numbers)] = 2**width - 1
    return bits.astype(np.uint64), np.zeros(len(bits), np.uint64)


def _texts(values: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    _, ends, data = values.buffers()
    offsets = np.frombuffer(ends, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    return offsets, np.frombuffer(b"" if data is None else data, np.uint8)


def _padded(lengths: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Texts that follow each other as rows of words, zeros behind the end of each."""
    longest, shortest = int(lengths.max(initial=0)), int(lengths.min(initial=_LONGEST))
    width = -(-longest // 4) * 4
    if shortest == longest == width:
        return _words(data.reshape(len(lengths), width))
    rows = np.zeros((len(lengths), width), np.uint8)
    if shortest == longest:
        rows[:, :longest] = data.reshape(len(lengths), longest)
    else:
        rows[np.arange(width) < lengths[:, None]] = data
    return _words(rows)


def _words(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    return np.ascontiguousarray(rows).view(np.uint32) if rows.size else np.zeros((len(rows), 0), np.uint32)
