"""Codes of values that stay the same from batch to batch: of integers, and of the values of columns.

Texts have their codes from `TextInterner`. Other values are integers of up to 64 bits, or bytes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Codes, codes_of_rows, stored_type
from minimize.arrow.hashing import SPREAD_FACTOR, null_mask, number_buffer, numpy_type
from minimize.arrow.interner import TextInterner

_MIN_INTEGERS: Final = 1 << 12
_FREE_SLOT: Final = -1


class OrderedIntegers:
    """Base class of tables that assign codes to integers.

    >>> known = OrderedIntegers()
    >>> known.add(np.array([7, 3])).tolist(), known.add(np.array([5])).tolist(), known.values.tolist(), len(known)
    ([0, 1], [2], [7, 3, 5], 3)
    """

    def __init__(self) -> None:
        self._integers: Codes = np.empty(_MIN_INTEGERS, np.int64)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> Codes:
        """The integer of each code."""
        return self._integers[: self._size]

    def add(self, fresh: Codes) -> Codes:
        """Assign codes to integers that have none yet, each of which occurs once."""
        first, self._size = self._size, self._size + len(fresh)
        if self._size > len(self._integers):
            self._integers = np.concatenate([self._integers[:first], np.empty(2 * self._size - first, np.int64)])
        self._integers[first : self._size] = fresh
        return np.arange(first, self._size)


class IntegerTable(OrderedIntegers):
    """Assigns the codes 0, 1, 2 … to small integers in the order of their first occurrence, by a cell for each possible integer.

    >>> known = IntegerTable()
    >>> known.codes(np.array([7, 3, 7]), 8).tolist(), known.codes(np.array([5, 7]), 8).tolist(), known.values.tolist()
    ([0, 1, 0], [2, 0], [7, 3, 5])
    """

    def __init__(self) -> None:
        super().__init__()
        self._cells: npt.NDArray[np.int32] = np.empty(0, np.int32)

    def codes(self, integers: Codes, cells: int) -> npt.NDArray[np.int32]:
        """The codes of integers below `cells`."""
        if cells > len(self._cells):
            grown = np.full(max(cells, len(self._cells) * 5 // 4), -1, np.int32)
            grown[: len(self._cells)] = self._cells
            self._cells = grown
        codes: npt.NDArray[np.int32] = self._cells.take(integers)
        if codes.min(initial=0) < 0:
            rows = np.flatnonzero(codes < 0)
            codes[rows] = self._learned(integers[rows])
        return codes

    def _learned(self, integers: Codes) -> npt.NDArray[np.int32]:
        """Assigns codes to new integers by the first row of each: NumPy writes in order, so the first row is written last."""
        marks = -2 - np.arange(len(integers), dtype=np.int32)
        self._cells[integers[::-1]] = marks[::-1]
        fresh = integers[self._cells.take(integers) == marks]
        self._cells[fresh] = self.add(fresh)
        return self._cells.take(integers)


class IntegerDictionary(OrderedIntegers):
    """Assigns the codes 0, 1, 2 … to integers in the order of their first occurrence, by a hash table with open addressing.

    The cost depends on the lookups, not on the size. Only new integers are passed to Arrow.

    >>> known = IntegerDictionary()
    >>> known.codes(np.array([7, -3, 7])).tolist(), known.codes(np.array([5, 7])).tolist(), known.values.tolist()
    ([0, 1, 0], [2, 0], [7, -3, 5])
    """

    def __init__(self) -> None:
        super().__init__()
        self._slots: npt.NDArray[np.int32] = np.full(2 * _MIN_INTEGERS, _FREE_SLOT, np.int32)

    def codes(self, integers: Codes) -> Codes:
        """The code of each integer; new integers get new codes."""
        codes = self._find(integers)
        missing = np.flatnonzero(codes == _FREE_SLOT)
        if missing.size:
            encoded = pa.array(integers[missing]).dictionary_encode()
            codes[missing] = self.add(encoded.dictionary.to_numpy()).take(encoded.indices.to_numpy())
        return codes

    def add(self, fresh: Codes) -> Codes:
        """Assign codes to integers that have none yet, each of which occurs once, and add them to the table."""
        added = super().add(fresh)
        if 2 * len(self) > len(self._slots):
            self._slots = np.full(1 << (4 * len(self) - 1).bit_length(), _FREE_SLOT, np.int32)
            self._enter(np.arange(len(self)))
        else:
            self._enter(added)
        return added

    def _find(self, integers: Codes) -> Codes:
        """The code of each known integer, and of others that of a free slot."""
        places = self._places(integers)
        codes = self._slots.take(places).astype(np.int64)
        pending = np.flatnonzero(self._is_other(codes, integers))
        while pending.size:
            places[pending] = self._next(places[pending])
            codes[pending] = self._slots.take(places[pending])
            pending = pending[self._is_other(codes[pending], integers[pending])]
        return codes

    def _is_other(self, codes: Codes, integers: Codes) -> npt.NDArray[np.bool_]:
        """Which codes of slots are those of other integers."""
        return np.asarray((self._integers.take(codes, mode="wrap") != integers) & (codes != _FREE_SLOT))

    def _enter(self, codes: Codes) -> None:
        """Insert each code into the next free slot. If several compete for a slot, the one stored last keeps it."""
        places = self._places(self._integers[codes])
        while codes.size:
            free = self._slots[places] == _FREE_SLOT
            self._slots[places[free]] = codes[free]
            pending = self._slots[places] != codes
            codes, places = codes[pending], self._next(places[pending])

    def _places(self, integers: Codes) -> Codes:
        bits = len(self._slots).bit_length() - 1
        return ((integers.view(np.uint64) * SPREAD_FACTOR) >> np.uint64(64 - bits)).view(np.int64)

    def _next(self, places: Codes) -> Codes:
        return (places + 1) & (len(self._slots) - 1)


_REMEMBERED_DICTIONARIES: Final = 2
"""Number of remembered dictionaries: usually one for each thread that shares a value dictionary."""


class ValueDictionary:
    """Assigns the codes 0, 1, 2 … to distinct values in the order of their first occurrence. NaN equals NaN, and -0.0 is 0.0.

    >>> models = ValueDictionary(pa.string())
    >>> models.codes(pa.array(["b", None, "b"])).tolist(), models.codes(pa.array(["a", "b"])).tolist()
    ([0, -1, 0], [1, 0])
    """

    def __init__(self, type_: pa.DataType) -> None:
        self._type = stored_type(type_)
        self._bits = _bits_type(self._type)
        self._integers = IntegerDictionary()
        self._texts = TextInterner(self._type if _has_offsets(self._type) else pa.binary())
        self._last: list[tuple[pa.Array, Codes]] = []

    def __len__(self) -> int:
        return len(self._integers) + len(self._texts)

    def __getstate__(self) -> tuple[pa.DataType, pa.Array]:
        """State for other processes: the values, without the secret multipliers of their hashes."""
        return self._type, self.values

    def __setstate__(self, state: tuple[pa.DataType, pa.Array]) -> None:
        type_, values = state
        self.__init__(type_)  # type: ignore[misc]
        self.codes(values)

    @property
    def values(self) -> pa.Array:
        """The value of each code."""
        bits = pa.array(self._integers.values) if pa.types.is_integer(self._bits) else self._texts.values()
        return _from_bits(bits.cast(self._bits), self._type)

    def codes(self, values: pa.Array) -> Codes:
        """The code of each value, -1 for null; new values get new codes."""
        if pa.types.is_dictionary(values.type):
            return codes_of_rows(self._codes_of_dictionary(values.dictionary), values.indices)
        bits = _as_bits(values if values.type == self._type else values.cast(self._type), self._bits)
        if not pa.types.is_integer(self._bits):
            return self._texts.codes(bits if _has_offsets(self._bits) else bits.cast(pa.binary())).astype(np.int64)
        integers = number_buffer(bits, numpy_type(self._bits)).astype(np.int64)
        if not bits.null_count:
            return self._integers.codes(integers)
        codes, present = np.full(len(bits), -1, np.int64), ~null_mask(bits)
        codes[present] = self._integers.codes(integers[present])
        return codes

    def _codes_of_dictionary(self, dictionary: pa.Array) -> Codes:
        """The codes of a dictionary, which slices of a column share. Known values keep their codes."""
        for known, codes in self._last:
            if _is_same_memory(known, dictionary):
                return codes
        codes = self.codes(dictionary)
        self._last = [(dictionary, codes), *self._last[: _REMEMBERED_DICTIONARIES - 1]]
        return codes


def _is_same_memory(first: pa.Array, second: pa.Array) -> bool:
    """Whether two arrays are the same bytes in memory. While one is referenced, its memory cannot be reused."""
    return first is second or _memory_location(first) == _memory_location(second)


def _memory_location(values: pa.Array) -> tuple[object, ...]:
    buffers = [None if buffer is None else buffer.address for buffer in values.buffers()]
    return values.type, values.offset, len(values), *buffers


def _has_offsets(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_binary(type_))


def _bits_type(type_: pa.DataType) -> pa.DataType:
    """The type of the bits of values: an integer type, or bytes if the values are texts or wider."""
    if pa.types.is_boolean(type_) or pa.types.is_null(type_):
        return pa.int8()
    if _has_offsets(type_):
        return type_
    integer_types = {bits.bit_width: bits for bits in (pa.int8(), pa.int16(), pa.int32(), pa.int64())}
    return integer_types.get(type_.bit_width, pa.binary(type_.bit_width // 8))


def _as_bits(values: pa.Array, bits: pa.DataType) -> pa.Array:
    """The bits of values. NaN always has the same, and so has zero."""
    if pa.types.is_boolean(values.type) or pa.types.is_null(values.type):
        return values.cast(bits)
    if pa.types.is_floating(values.type):
        positive_zero = pc.add(values, pa.scalar(0.0, values.type))
        values = pc.if_else(pc.is_nan(positive_zero), pa.scalar(math.nan, values.type), positive_zero)
    return values.view(bits)


def _from_bits(bits: pa.Array, type_: pa.DataType) -> pa.Array:
    """The values that have these bits."""
    if pa.types.is_null(type_):
        return pa.nulls(len(bits))
    return bits.cast(type_) if pa.types.is_boolean(type_) else bits.view(type_)
