"""Interner: codes of texts that stay the same from batch to batch, in a hash table for whole columns.

Arrow's own dictionary encoding starts again with every batch. Here a known text costs a few machine words: blocks of rows are
hashed, looked up and compared at once. Only new texts are passed to Arrow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.hashing import (
    WORD_BYTES,
    Ints,
    Words,
    hash_rows,
    random_multipliers,
    text_bytes,
    text_offsets,
    texts_from_words,
    word_rows,
)

Int32Codes = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

BLOCK_ROWS: Final = 1 << 15
"""Rows processed together, so that they fit into the processor's cache."""
MAX_WORD_BYTES: Final = 128
"""Maximum bytes of a text that is stored as words. Longer texts are looked up one by one."""
SPARSE_RATIO: Final = 16
"""Ratio of codes to rows above which sorting the rows costs less than a scan of all codes."""
_FREE: Final = np.uint64(2**64 - 1)
_HALF: Final = np.uint64(32)


class TextInterner:
    """Assigns a code to each distinct text of a scope, in the order of first occurrence.

    Takes texts or bytes of one type, optionally with a scope below 2**31 for each (the same text in two scopes has two codes).
    Nulls have the code -1. Exact: equal codes mean equal bytes. Threads may share it. It contains plain values, so it cannot be
    sent to another process.

    >>> known = TextInterner(pa.string())
    >>> known.codes(pa.array(["b", None, "b"])).tolist(), known.codes(pa.array(["a", "b"])).tolist()
    ([0, -1, 0], [1, 0])
    """

    def __init__(self, type_: pa.DataType) -> None:
        self._type, self._size = type_, 0
        self._table = _WordTable()
        self._long: dict[tuple[int, bytes], int] = {}
        self._texts: pa.Array | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Approximate bytes of memory used."""
        return self._table.nbytes + sum(len(text) for _, text in self._long)

    def codes(self, values: pa.Array, scopes: Int32Codes | None = None) -> Int32Codes:
        """The code of each text; new texts get new codes."""
        codes = np.full(len(values), -1, np.int32)
        for rows, block in _value_blocks(values):
            codes[rows] = self._codes_of_block(block, None if scopes is None else scopes[rows])
        return codes

    def values(self, first: int = 0) -> pa.Array:
        """The text of each code from `first` on."""
        if first:
            return self.scoped_values(first)[1]
        texts = self._texts
        if texts is None or len(texts) != self._size:
            texts = self._texts = self.scoped_values()[1]
        return texts

    def scoped_values(self, first: int = 0, count: int | None = None) -> tuple[Int32Codes, pa.Array]:
        """The scope and the text of each code from `first` on, at most `count` of them."""
        with self._lock:
            end = self._size if count is None else min(self._size, first + count)
            keys = self._table.keys(first, end)
            long = {code - first: key for key, code in self._long.items() if first <= code < end}
        texts = texts_from_words(keys, self._type)
        scopes = (keys[:, 0] >> _HALF).astype(np.int32)
        if not long:
            return scopes, texts
        rows = np.array([*long], np.int64)
        scopes[rows] = [scope for scope, _ in long.values()]
        mask = np.zeros(len(keys), np.bool_)
        mask[rows] = True
        words = pa.array([long[row][1] for row in np.sort(rows).tolist()], pa.large_binary())
        return scopes, pc.replace_with_mask(texts, pa.array(mask), words.cast(self._type))

    def _codes_of_block(self, values: pa.Array, scopes: Int32Codes | None) -> Int32Codes:
        offsets = text_offsets(values)
        long = np.diff(offsets) > MAX_WORD_BYTES
        if long.any():
            return self._codes_of_mixed(values, scopes, long)
        keys = word_rows(text_bytes(values), offsets)
        if scopes is not None:
            keys[:, 0] |= scopes.astype(np.uint64) << _HALF
        hashes, known = self._table.hashes(keys), self._size
        codes = self._table.find(keys, hashes)
        rows = np.flatnonzero(codes < 0)
        if len(rows):
            with self._lock:
                codes[rows] = self._learn_rows(keys.take(rows, axis=0), hashes[rows], known)
        return codes

    def _learn_rows(self, keys: Words, hashes: Hashes, size: int) -> Int32Codes:
        """The codes of rows that were unknown when the table had `size` codes. Adds them unless another thread has done so."""
        codes = np.full(len(keys), -1, np.int32) if self._size == size else self._table.find(keys, hashes)
        rows = np.flatnonzero(codes < 0)
        if len(rows):
            keys, hashes = keys.take(rows, axis=0), hashes[rows]
            firsts, places = _first_rows(keys, hashes)
            codes[rows] = places + np.int32(self._size)
            self._table.add(keys.take(firsts, axis=0), hashes[firsts], self._size)
            self._size += len(firsts)
        return codes

    def _codes_of_mixed(self, values: pa.Array, scopes: Int32Codes | None, long: npt.NDArray[np.bool_]) -> Int32Codes:
        codes = np.empty(len(values), np.int32)
        for which, encode in ((~long, self._codes_of_block), (long, self._one_by_one)):
            if which.any():
                codes[which] = encode(values.filter(pa.array(which)), None if scopes is None else scopes[which])
        return codes

    def _one_by_one(self, values: pa.Array, scopes: Int32Codes | None) -> Int32Codes:
        """Look up long texts one by one. They are rare and not stored as words."""
        codes = np.empty(len(values), np.int32)
        with self._lock:
            for row, text in enumerate(values.cast(pa.large_binary()).to_pylist()):
                key = (0 if scopes is None else int(scopes[row]), text)
                if key not in self._long:
                    self._long[key] = self._size
                    self._size += 1
                codes[row] = self._long[key]
        return codes


def compact_codes(codes: Int32Codes) -> tuple[npt.NDArray[np.int64], Int32Codes]:
    """The codes in use, in order, and for each code its index among them.

    >>> [part.tolist() for part in compact_codes(np.array([7, 2, 7], np.int32))]
    [[2, 7], [1, 0, 1]]
    """
    if not len(codes) or SPARSE_RATIO * len(codes) < int(codes.max()):
        used, places = np.unique(codes, return_inverse=True)
        return used.astype(np.int64), places.astype(np.int32)
    present = np.zeros(int(codes.max()) + 1, np.bool_)
    present[codes] = True
    return np.flatnonzero(present), (np.cumsum(present, dtype=np.int32) - np.int32(1))[codes]


class _WordTable:
    """A hash table with open addressing: per slot a tag of the hash and a code; per code its words, which are compared.

    Readers need no lock: the words of a code are written before the slot that refers to them, and arrays are replaced, never
    shrunk.
    """

    def __init__(self) -> None:
        self._slots = np.full(1024, _FREE, np.uint64)
        self._known: Words = np.empty((0, 1), np.uint64)
        self._hashes: Hashes = np.empty(0, np.uint64)
        self._odd = random_multipliers(2 + MAX_WORD_BYTES // WORD_BYTES)

    @property
    def nbytes(self) -> int:
        return int(self._slots.nbytes + self._known.nbytes + self._hashes.nbytes)

    def hashes(self, keys: Words) -> Hashes:
        """A hash of each row, computed with secret random multipliers."""
        return hash_rows(keys, self._odd)

    def find(self, keys: Words, hashes: Hashes) -> Int32Codes:
        """The code of each row, -1 if it is unknown."""
        slots, known = self._slots, self._known
        at = (hashes & np.uint64(len(slots) - 1)).astype(np.int64)
        codes = _find_tags(slots, hashes, at)
        wrong = _differing_rows(known, codes, keys)
        while len(wrong):
            at[wrong] += 1
            places = at[wrong]
            codes[wrong] = _find_tags(slots, hashes[wrong], places)
            at[wrong] = places
            wrong = wrong[_differing_rows(known, codes[wrong], keys[wrong])]
        return codes

    def keys(self, first: int, end: int) -> Words:
        """The words of the codes from `first` to `end`. Codes that are not in this table get words that match no text."""
        self._reserve(end, 1)
        words = self._known[first:end].copy()
        words[words[:, 0] == _FREE] = 0
        return words

    def add(self, keys: Words, hashes: Hashes, first: int) -> None:
        """Add distinct unknown rows, with the codes from `first` on."""
        end = first + len(keys)
        self._reserve(end, keys.shape[1])
        self._known[first:end, : keys.shape[1]] = keys
        self._hashes[first:end] = hashes
        if 2 * end > len(self._slots):
            slots = np.full(1 << (4 * end).bit_length(), _FREE, np.uint64)
            known_codes = np.flatnonzero(self._known[:end, 0] != _FREE)
            _insert_rows(slots, self._hashes[known_codes], known_codes)
            self._slots = slots
        else:
            _insert_rows(self._slots, hashes, np.arange(first, end))

    def _reserve(self, rows: int, width: int) -> None:
        """Reserve memory for this many codes and words per text.

        Codes that are not in this table get words that match no text.
        """
        if rows > len(self._known) or width > self._known.shape[1]:
            grown = np.zeros((max(rows + rows // 2, 1024), max(width, self._known.shape[1])), np.uint64)
            grown[:, 0] = _FREE
            grown[: len(self._known), : self._known.shape[1]] = self._known
            self._known = grown
            self._hashes = np.concatenate([self._hashes, np.zeros(len(grown) - len(self._hashes), np.uint64)])


def _find_tags(slots: Hashes, hashes: Hashes, at: Ints) -> Int32Codes:
    """The first code with the tag of each hash, from these slots on (`at` is advanced); -1 if there is none."""
    last, tags = len(slots) - 1, hashes >> _HALF
    at &= last
    entries = slots[at]
    others = np.flatnonzero((entries >> _HALF != tags) & (entries != _FREE))
    while len(others):
        at[others] = (at[others] + 1) & last
        entries[others] = slots[at[others]]
        others = others[(entries[others] >> _HALF != tags[others]) & (entries[others] != _FREE)]
    return entries.astype(np.uint32).view(np.int32)


def _differing_rows(learned: Words, codes: Int32Codes, keys: Words) -> Ints:
    """The rows whose code has different words. A text with more words than the table stores has another length."""
    if not len(learned):
        return np.empty(0, np.int64)
    width = min(learned.shape[1], keys.shape[1])
    differs = learned.take(codes, axis=0, mode="wrap")[:, :width] != keys[:, :width]
    rows = np.flatnonzero(differs) // width
    return _unique_rows(rows[codes[rows] >= 0])


def _insert_rows(slots: Hashes, hashes: Hashes, codes: npt.NDArray[Any]) -> None:
    """Insert distinct rows into free slots."""
    last = len(slots) - 1
    entries = (hashes >> _HALF << _HALF) | codes.astype(np.uint64)
    at, todo = (hashes & np.uint64(last)).astype(np.int64), np.arange(len(codes))
    while len(todo):
        free = todo[slots[at[todo]] == _FREE]
        slots[at[free]] = entries[free]
        todo = todo[slots[at[todo]] != entries[todo]]
        at[todo] = (at[todo] + 1) & last


def _first_rows(keys: Words, hashes: Hashes) -> tuple[Ints, Int32Codes]:
    """The first row of each distinct key, in order, and for each row the index of its key."""
    firsts, places = _encode_rows(pa.array(hashes))
    if (keys.take(firsts[places], axis=0) == keys).all():
        return firsts, places
    return _encode_rows(_rows_as_bytes(keys))


def _encode_rows(rows: pa.Array) -> tuple[Ints, Int32Codes]:
    encoded = rows.dictionary_encode()
    places: Int32Codes = encoded.indices.to_numpy()
    return np.flatnonzero(np.diff(np.maximum.accumulate(places), prepend=-1)), places


def _rows_as_bytes(keys: Words) -> pa.Array:
    """Each row's words as bytes of fixed size."""
    whole = np.ascontiguousarray(keys)
    width = whole.shape[1] * WORD_BYTES
    return pa.Array.from_buffers(pa.binary(width), len(whole), [None, pa.py_buffer(whole.reshape(-1))])


def _unique_rows(rows: Ints) -> Ints:
    """The distinct rows in order."""
    return rows[np.diff(rows, prepend=-1) > 0]


def _value_blocks(values: pa.Array) -> Iterator[tuple[npt.NDArray[Any] | slice, pa.Array]]:
    """The non-null texts in blocks, each with its row numbers."""
    if values.null_count:
        rows = np.flatnonzero(np.asarray(values.is_valid()))
        values = values.drop_null()
        for start in range(0, len(values), BLOCK_ROWS):
            yield rows[start : start + BLOCK_ROWS], values.slice(start, BLOCK_ROWS)
        return
    for start in range(0, len(values), BLOCK_ROWS):
        yield slice(start, start + BLOCK_ROWS), values.slice(start, BLOCK_ROWS)
