"""Columns as NumPy arrays: numbers, nulls, and texts as rows of machine words, to hash and compare whole columns at once.

Numbers and times as words in the order of the values.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words = npt.NDArray[np.uint64]
"""One row for each text: its length, then its bytes, eight per word, followed by zeros."""
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

WORD_BYTES: Final = 8
MAX_HASHED_BYTES: Final = 256
"""Maximum length in bytes of a text that `all_distinct` examines."""
_BLOCK: Final = 1 << 14
_HALF: Final = np.uint64(32)
SPREAD_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
"""Multiplier for Fibonacci hashing. It is odd, so that products differ, and close integers spread over all high bits."""


_MULTIPLIERS: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def mix(words: Words) -> Words:
    """Words of which each bit depends on all bits: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        words = (words ^ (words >> np.uint64(shift))) * multiplier
    return np.asarray(words ^ (words >> np.uint64(31)), np.uint64)


def numpy_type(type_: pa.DataType) -> np.dtype[Any]:
    """NumPy's type for a column of integers or floats. (Some versions of `to_pandas_dtype` in pyarrow would import pandas.)

    >>> str(numpy_type(pa.int16())), str(numpy_type(pa.float32()))
    ('int16', 'float32')
    """
    kind = "f" if pa.types.is_floating(type_) else "i" if pa.types.is_signed_integer(type_) else "u"
    return np.dtype(f"{kind}{type_.bit_width // 8}")


def number_buffer(values: pa.Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A column of numbers or times as it is in memory, without a copy. The number at a null is arbitrary."""
    if not len(values):
        return np.empty(0, dtype)
    return np.frombuffer(values.buffers()[1], dtype, len(values), values.offset * values.type.bit_width // 8)


def null_mask(values: pa.Array) -> npt.NDArray[np.bool_]:
    """Mask of the nulls of a column, among them the rows of a dictionary's entry that is null."""
    is_dictionary = pa.types.is_dictionary(values.type)
    if not values.null_count and not is_dictionary:
        return np.zeros(len(values), np.bool_)
    valid = None if is_dictionary else values.buffers()[0]
    if valid is None:
        return np.asarray(values.is_null().to_numpy(zero_copy_only=False))
    return ~unpacked_bits(valid, values.offset, len(values))


def unpacked_bits(buffer: pa.Buffer, offset: int, length: int) -> npt.NDArray[np.bool_]:
    """A range of a bitmap as booleans."""
    first, last = offset // 8, (offset + length + 7) // 8
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8, last - first, first), bitorder="little")
    return bits[offset - first * 8 :][:length].view(np.bool_)


def decimal_words(values: pa.Array) -> Ints:
    """Decimals as words of 128 or 256 bits, lowest word first."""
    if values.type.bit_width < 128:
        values = values.cast(pa.decimal128(values.type.precision, values.type.scale))
    width = values.type.bit_width // 64
    words = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, width)
    return words[values.offset : values.offset + len(values)]


def text_offsets(values: pa.Array) -> Ints:
    """The offset at which each text (or bytes) begins in the data, and the end of the last one."""
    return stored_offsets(values).astype(np.int64)


def stored_offsets(values: pa.Array) -> npt.NDArray[np.signedinteger]:
    """The offset of each text or list, and the end of the last one, in the width in which they are stored, without a copy."""
    buffer, dtype = values.buffers()[1], np.dtype(np.int64 if has_large_offsets(values.type) else np.int32)
    if not len(values):
        return np.zeros(1, dtype)
    return np.frombuffer(buffer, dtype, len(values) + 1, values.offset * dtype.itemsize)


def text_bytes(values: pa.Array) -> Bytes:
    """The bytes of all texts, concatenated."""
    buffer = values.buffers()[2]
    return np.empty(0, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8)


def word_rows(data: Bytes, offsets: Ints) -> Words:
    """The texts between these offsets.

    >>> word_rows(np.frombuffer(b"abc", np.uint8), np.array([0, 1, 3])).tolist()
    [[1, 97], [2, 25442]]
    """
    starts, lengths = offsets[:-1], np.diff(offsets)
    longest = int(lengths.max(initial=0))
    if len(starts) and int(lengths.min()) == longest:
        return _equal_length_rows(data[starts[0] : offsets[-1]], len(starts), longest)
    rows = np.empty((len(starts), 1 + -(-longest // WORD_BYTES)), np.uint64)
    rows[:, 0] = lengths
    for place, at in enumerate(range(0, longest, WORD_BYTES), 1):
        rows[:, place] = _word_at(data, starts + at)
        rows[:, place] &= _WORD_MASKS[np.clip(lengths - at, 0, WORD_BYTES)]
    return rows


def _equal_length_rows(data: Bytes, count: int, length: int) -> Words:
    """Texts of one length."""
    rows = np.empty((count, 1 + -(-length // WORD_BYTES)), np.uint64)
    rows[:, -1] = 0
    rows[:, 0] = length
    rows.view(np.uint8)[:, WORD_BYTES : WORD_BYTES + length] = data.reshape(count, length)
    return rows


def texts_from_words(rows: Words, type_: pa.DataType) -> pa.Array:
    """The texts of these rows. The upper half of the first word is ignored.

    >>> texts_from_words(word_rows(np.frombuffer(b"abc", np.uint8), np.array([0, 1, 3])), pa.string()).to_pylist()
    ['a', 'bc']
    """
    lengths = (rows[:, 0] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    longest = int(lengths.max(initial=0))
    letters = np.ascontiguousarray(rows[:, 1:]).view(np.uint8)[:, :longest]
    if len(rows) and int(lengths.min()) < longest:
        letters = letters[np.arange(longest) < lengths[:, None]]
    return _text_array(np.concatenate([[0], np.cumsum(lengths)]), np.ascontiguousarray(letters), type_)


def _text_array(ends: Ints, letters: Bytes, type_: pa.DataType) -> pa.Array:
    wide = has_large_offsets(type_)
    if not wide and ends[-1] > np.iinfo(np.int32).max:
        raise OverflowError("the distinct texts exceed two gigabytes")
    offsets = pa.py_buffer(ends.astype(np.int64 if wide else np.int32))
    return pa.Array.from_buffers(type_, len(ends) - 1, [None, offsets, pa.py_buffer(letters.reshape(-1))])


def has_large_offsets(type_: pa.DataType) -> bool:
    """Whether the offsets of a type of texts, bytes or lists have eight bytes."""
    return type_.id in _LARGE_TYPES


_LARGE_TYPES: Final = frozenset(
    type_.id
    for type_ in (pa.large_string(), pa.large_binary(), pa.large_list(pa.null()), pa.large_list_view(pa.null()))
)


def hash_rows(rows: Words, odd: Words) -> Words:
    """A hash of each row, computed with odd multipliers, one more than a row has words. Collisions are unlikely."""
    total: Words = rows[:, 0] * odd[0]
    for place in range(1, rows.shape[1]):
        total += rows[:, place] * odd[place]
    total ^= total >> _HALF
    total *= odd[-1]
    total ^= total >> _HALF
    return total


def random_multipliers(count: int) -> Words:
    """Random multipliers, so that an attacker cannot choose texts with equal hashes."""
    return np.array([secrets.randbits(64) | 1 for _ in range(count)], np.uint64)


def known_entries(before: pa.Array | None, entries: pa.Array) -> int:
    """Number of entries already known from the previous dictionary: all of its entries if it only grew, otherwise 0.

    >>> known_entries(pa.array(["a"]), pa.array(["a", "b"])), known_entries(pa.array(["a"]), pa.array(["b", "a"]))
    (1, 0)
    """
    known = 0 if before is None else len(before)
    return known if 0 < known <= len(entries) and entries.slice(0, known).equals(before) else 0


def all_distinct(values: pa.Array) -> bool:
    """Whether all values are distinct, as far as a fast check can determine. True is certain; false is only likely.

    >>> all_distinct(pa.array(["a", "b"])), all_distinct(pa.array(["a", "a"]))
    (True, False)
    """
    if values.null_count or not _is_text(values.type):
        return False
    offsets = text_offsets(values)
    if not len(values) or np.diff(offsets).max() > MAX_HASHED_BYTES:
        return len(values) < 2
    return _hashes_differ(_text_hashes(text_bytes(values), offsets))


def _hashes_differ(hashes: Words) -> bool:
    """Whether no hash occurs twice. Each hash takes a slot; only those whose slot was taken by another are sorted."""
    bits = max(len(hashes).bit_length() + 2, 8)
    places = (hashes >> np.uint64(64 - bits)).astype(np.int64)
    rows, taken = np.arange(len(hashes), dtype=np.int32), np.empty(1 << bits, np.int32)
    taken[places] = rows
    holder = taken[places]
    lost = np.flatnonzero(holder != rows)
    lost_hashes = np.sort(hashes[lost])
    return not (hashes[holder[lost]] == hashes[lost]).any() and bool((lost_hashes[1:] != lost_hashes[:-1]).all())


def _text_hashes(data: Bytes, offsets: Ints) -> Words:
    """A hash of each text, computed in blocks that fit into the processor's cache."""
    odd = random_multipliers(2 + MAX_HASHED_BYTES // WORD_BYTES)
    hashes = np.empty(len(offsets) - 1, np.uint64)
    for start in range(0, len(hashes), _BLOCK):
        hashes[start : start + _BLOCK] = hash_rows(word_rows(data, offsets[start : start + _BLOCK + 1]), odd)
    return hashes


def _is_text(type_: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(type_) for test in tests)


def _word_at(data: Bytes, starts: Ints) -> Any:
    """The eight bytes from each start, with zeros after the end of the data."""
    within = int(np.searchsorted(starts, len(data) - WORD_BYTES, side="right"))
    if within < len(starts):
        tail = data[starts[within] :] if starts[within] < len(data) else data[:0]
        padded = np.concatenate([tail, np.zeros(WORD_BYTES, np.uint8)])
        last = np.minimum(starts[within:] - starts[within], len(tail))
        return np.concatenate([_word_at(data, starts[:within]), _word_windows(padded)[last]])
    return _word_windows(data)[starts] if len(starts) else np.empty(0, np.uint64)


def _word_windows(data: Bytes) -> Words:
    """The word that begins at each byte."""
    return np.ndarray((len(data) - WORD_BYTES + 1,), "<u8", data, strides=(1,))


_WORD_MASKS: Final = np.array([(1 << 8 * count) - 1 for count in range(WORD_BYTES + 1)], np.uint64)
"""Masks for the first 0 to 8 bytes of a word."""


OrderedWords = npt.NDArray[np.uint64]
_SIGN_BIT: Final = np.uint64(1 << 63)


def to_ordered_words(values: pa.Array) -> OrderedWords:
    """One word for each value: smaller values have smaller words. NaN is the largest.

    Takes a plain column of numbers of at most 64 bits or of times, without nulls.
    """
    if pa.types.is_floating(values.type):
        return _double_words(values.cast(pa.float64()).to_numpy())
    whole = values.cast(pa.int32()) if pa.types.is_date32(values.type) else values
    numbers: npt.NDArray[np.int64] = whole.cast(pa.int64()).to_numpy()
    return np.asarray(numbers.view(np.uint64) ^ _SIGN_BIT)


def _double_words(values: npt.NDArray[Any]) -> OrderedWords:
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    bits = canonical.view(np.uint64)
    return np.where(bits & _SIGN_BIT, ~bits, bits | _SIGN_BIT)
