"""Values as dense integer codes that stay the same over batches, whatever dictionaries the batches bring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.codebook.digests import Digests, Words, digestible
from minimize.codebook.index import Index
from minimize.codebook.packed import Codes

_FEW = 1 << 12
"""Up to so many values all are hashed again with each batch; beyond, only what comes is."""

_LAST = 2
"""So many dictionaries are known again: one for each of the threads that share a book, in most cases."""


def settled(type_: pa.DataType) -> pa.DataType:
    """The plain type that values of this type are kept in: no dictionary, no large or view layout."""
    kind = type_.value_type if pa.types.is_dictionary(type_) else type_
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


class Codebook:
    """Hands out a code for each distinct value; null is a value, NaN equals NaN, and -0.0 is 0.0.

    >>> book = Codebook(pa.string())
    >>> book.encode(pa.array(["b", None, "b"])).tolist(), book.encode(pa.array(["a", "b"])).tolist()
    ([0, 1, 0], [2, 0])
    """

    def __init__(self, type_: pa.DataType) -> None:
        self._type = settled(type_)
        self._known = [pa.array([], self._type)]
        self._size = 0
        self._lookup: _Lookup | None = None
        self._last: list[tuple[pa.Array, Codes]] = []

    def __len__(self) -> int:
        return self._size

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: the values, and no secret."""
        return {**self.__dict__, "_lookup": None, "_last": [], "_known": [self.values]}

    @property
    def values(self) -> pa.Array:
        """The value of each code."""
        if len(self._known) > 1:
            self._known = [pa.concat_arrays(self._known)]
        return self._known[0]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(int(part.nbytes) for part in self._known) + (0 if self._lookup is None else self._lookup.nbytes)

    def encode(self, values: pa.Array) -> Codes:
        """The code of each value, new codes for new values."""
        if not pa.types.is_dictionary(values.type):
            return self.codes(values)
        codes, indices = self._entries(values.dictionary), values.indices
        if indices.null_count:
            codes = np.concatenate([codes, self.codes(pa.nulls(1, self._type))])
            indices = pc.fill_null(indices.cast(pa.int64()), len(codes) - 1)
        places: Codes = indices.to_numpy()
        return codes.take(places)

    def codes(self, values: pa.Array) -> Codes:
        """The code of each of some plain values."""
        if not len(values):
            return np.empty(0, np.int64)
        plain = _canonical(values, self._type)
        return self._all_again(plain) if self._is_small(plain) else self._looked_up(plain)

    def _entries(self, dictionary: pa.Array) -> Codes:
        """The codes of a dictionary, which slices of a column share; what has a code keeps it."""
        for known, codes in self._last:
            if _same(known, dictionary):
                return codes
        codes = self.codes(dictionary)
        self._last = [(dictionary, codes), *self._last[: _LAST - 1]]
        return codes

    def _is_small(self, values: pa.Array) -> bool:
        return self._lookup is None and (len(self) + len(values) <= _FEW or not digestible(self._type))

    def _all_again(self, values: pa.Array) -> Codes:
        """One pass of Arrow's hash table over what is known and what comes."""
        chunks = pa.chunked_array([self.values, values]).dictionary_encode(null_encoding="encode")
        encoded = chunks.chunk(chunks.num_chunks - 1)
        self._known, self._size = [encoded.dictionary], len(encoded.dictionary)
        return _numbers(encoded.indices)

    def _looked_up(self, values: pa.Array) -> Codes:
        if self._lookup is None:
            self._lookup = _Lookup()
            self._lookup.codes(self.values)
        codes, fresh = self._lookup.codes(values)
        if fresh.size:
            self._known.append(values.take(pa.array(fresh)))
            self._size += fresh.size
        return codes


class _Lookup:
    """The codes of values by their digests; null has a code like any other."""

    def __init__(self) -> None:
        self._digests = Digests()
        self._index = Index()

    @property
    def nbytes(self) -> int:
        return self._index.nbytes

    def codes(self, values: pa.Array) -> tuple[Codes, Codes]:
        """The code of each value, and the rows in which new ones first came, in the order of their codes."""
        return self._index.codes(*self._digests_of(values))

    def _digests_of(self, values: pa.Array) -> tuple[Words, Words]:
        """Null has one that no value has: numbers have 0 on the right, and no text has this one."""
        if not values.null_count:
            return self._digests.of(values)
        there = np.asarray(values.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        high, low = np.zeros(len(values), np.uint64), np.full(len(values), 2**64 - 1, np.uint64)
        high[there], low[there] = self._digests.of(values.drop_null())
        return high, low


def _same(one: pa.Array, other: pa.Array) -> bool:
    """Whether two arrays are the same bytes in memory; holding the one keeps the bytes from being others."""
    return one is other or _place(one) == _place(other)


def _place(values: pa.Array) -> tuple[object, ...]:
    buffers = [None if buffer is None else buffer.address for buffer in values.buffers()]
    return values.type, values.offset, len(values), *buffers


def _numbers(codes: pa.Array) -> Codes:
    return np.array(codes.to_numpy(zero_copy_only=False), np.int64)


def _canonical(values: pa.Array, type_: pa.DataType) -> pa.Array:
    plain = values if values.type == type_ else values.cast(type_)
    return pc.add(plain, pa.scalar(0.0, type_)) if pa.types.is_floating(type_) else plain
