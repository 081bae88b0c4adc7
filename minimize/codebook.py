"""Values as dense integer codes that stay the same over batches, whatever dictionaries the batches bring."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int64]

_LOW = np.int64(0xFFFFFFFF)
_SHIFT = np.int64(32)


def pack(high: Codes, low: Codes) -> Codes:
    """Two codes as one integer; both below 2**31."""
    return (high << _SHIFT) | low


def unpack(packed: Codes) -> tuple[Codes, Codes]:
    """The two codes that `pack` put together."""
    return packed >> _SHIFT, packed & _LOW


def ascending(codes: Codes) -> Codes:
    """The distinct codes in order. Sorting integers is much faster than NumPy's hash table (`numpy.unique`).

    >>> ascending(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(codes)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


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
        self._values = pa.array([], settled(type_))

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> pa.Array:
        """The value of each code."""
        return self._values

    def encode(self, values: pa.Array) -> Codes:
        """The code of each value, new codes for new values."""
        if not pa.types.is_dictionary(values.type):
            return self.codes(values)
        codes = self.codes(values.dictionary)
        if not values.indices.null_count:
            return codes[_numbers(values.indices)]
        indices = _numbers(pc.fill_null(values.indices.cast(pa.int64()), len(codes)))
        return np.concatenate([codes, self.codes(pa.nulls(1, self._values.type))])[indices]

    def codes(self, values: pa.Array) -> Codes:
        """The code of each of some plain values: one pass of Arrow's hash table over what is known and what comes."""
        known = self._values
        chunks = pa.chunked_array([known, _canonical(values, known.type)]).dictionary_encode(null_encoding="encode")
        if not len(values):
            return np.empty(0, np.int64)
        encoded = chunks.chunk(chunks.num_chunks - 1)
        self._values = encoded.dictionary
        return _numbers(encoded.indices)


def _numbers(codes: pa.Array) -> Codes:
    return np.array(codes.to_numpy(zero_copy_only=False), np.int64)


def _canonical(values: pa.Array, type_: pa.DataType) -> pa.Array:
    plain = values if values.type == type_ else values.cast(type_)
    return pc.add(plain, pa.scalar(0.0, type_)) if pa.types.is_floating(type_) else plain
