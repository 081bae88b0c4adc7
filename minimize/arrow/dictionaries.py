"""Dictionary-encoded columns and integer codes: packed and distinct codes, entries not seen before, combinations of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.hashing import all_distinct, known_entries
from minimize.errors import SourceError

Codes = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_LOW = np.int64(0xFFFFFFFF)
_SHIFT = np.int64(32)


def pack_codes(high: Codes, low: Codes) -> Codes:
    """Two codes, both below 2**31, as one integer."""
    return (high << _SHIFT) | low


def unpack_codes(packed: Codes) -> tuple[Codes, Codes]:
    """The two codes that `pack_codes` combined."""
    return packed >> _SHIFT, packed & _LOW


def is_identity(codes: Codes) -> bool:
    """Whether each code is equal to its index.

    >>> is_identity(np.array([0, 1, 2])), is_identity(np.array([0, 2]))
    (True, False)
    """
    return bool(not len(codes) or (codes[-1] == len(codes) - 1 and np.array_equal(codes, np.arange(len(codes)))))


def run_starts(ordered: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """A mask that is true for the first value and for each value that differs from the previous one.

    >>> run_starts(np.array([1, 1, 3])).tolist()
    [True, False, True]
    """
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return first


@dataclass(frozen=True, slots=True)
class DistinctValues:
    """The distinct values of a column and, for each value of the column, the index of its distinct value (null for null)."""

    values: pa.Array
    codes: pa.Array

    def int_codes(self) -> Codes:
        """The codes as integers, -1 for null."""
        return code_numbers(self.codes)


def distinct_values(values: pa.Array) -> DistinctValues:
    """The distinct values of a plain or dictionary-encoded column. The entries of a dictionary are used unchanged."""
    encoded = values if pa.types.is_dictionary(values.type) else as_takeable(values).dictionary_encode()
    words, codes = as_takeable(encoded.dictionary), encoded.indices
    if words.null_count:
        codes = pc.if_else(words.is_valid().take(codes), codes, pa.scalar(None, codes.type))
    return DistinctValues(words, codes)


def as_takeable(values: pa.Array) -> pa.Array:
    """The same values in a type that Arrow can take from and encode (views and small decimals cannot)."""
    takeable_type = _TAKEABLE_TYPES.get(values.type.id)
    if takeable_type is not None:
        return values.cast(takeable_type)
    if pa.types.is_decimal(values.type) and values.type.bit_width < 128:
        return values.cast(pa.decimal128(values.type.precision, values.type.scale))
    return values


_TAKEABLE_TYPES = {pa.string_view().id: pa.large_string(), pa.binary_view().id: pa.large_binary()}


def take_values(values: pa.Array, indices: pa.Array) -> pa.Array:
    """The values at these indices, null at a null index, for every type."""
    ready = as_takeable(values)
    taken = ready.take(indices)
    return taken if ready.type == values.type else taken.cast(values.type)


def decode_dictionary(values: pa.Array) -> pa.Array:
    """The column without its dictionary encoding."""
    return take_values(values.dictionary, values.indices) if pa.types.is_dictionary(values.type) else values


def value_type(type_: pa.DataType) -> pa.DataType:
    """The value type of a dictionary type; other types unchanged."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def stored_type(type_: pa.DataType) -> pa.DataType:
    """The plain type in which values of this type are stored: no dictionary, no large or view layout."""
    kind = value_type(type_)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


def codes_of_rows(entry_codes: Codes, indices: pa.Array) -> Codes:
    """The code of each row of a dictionary-encoded column, -1 for null. Takes the codes of the entries.

    >>> codes_of_rows(np.array([7, 5]), pa.array([1, None, 0])).tolist()
    [5, -1, 7]
    """
    if not indices.null_count:
        places: Codes = indices.to_numpy()
        return entry_codes.take(places)
    return np.append(entry_codes, -1)[code_numbers(indices)]


def code_numbers(codes: pa.Array) -> Codes:
    """Codes as numbers, -1 for null."""
    return as_int64(pc.fill_null(codes.cast(pa.int64()), -1))


def has_null_entry(values: pa.Array) -> bool:
    """Whether the entries of a dictionary contain null."""
    return bool(pa.types.is_dictionary(values.type) and values.dictionary.null_count)


def valid_mask(values: pa.Array) -> Bools | None:
    """Mask of the values that are not null; None if all are."""
    if has_null_entry(values):
        values = decode_dictionary(values)
    return np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False), np.bool_) if values.null_count else None


def merge_equal_entries(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same array with equal entries merged into one."""
    if all_distinct(values.dictionary):
        return values
    words = values.dictionary.dictionary_encode()
    return pa.DictionaryArray.from_arrays(words.indices.take(values.indices), words.dictionary)


def prune_entries(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same array without entries that no row uses.

    >>> prune_entries(pa.DictionaryArray.from_arrays(pa.array([2, None, 0]), pa.array(["a", "b", "c"]))).dictionary.to_pylist()
    ['a', 'c']
    """
    indices = values.indices
    codes = np.asarray(indices.drop_null() if indices.null_count else indices)
    used = np.flatnonzero(np.bincount(codes, minlength=len(values.dictionary)))
    if len(used) == len(values.dictionary):
        return values
    places = np.zeros(len(values.dictionary), np.int32)
    places[used] = np.arange(len(used), dtype=np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(places).take(indices), take_values(values.dictionary, pa.array(used))
    )


def scatter_values(values: pa.DictionaryArray, present: pa.BooleanArray) -> pa.DictionaryArray:
    """The values at the positions where the mask is true, null elsewhere."""
    places = pa.nulls(len(present), values.indices.type)
    return pa.DictionaryArray.from_arrays(pc.replace_with_mask(places, present, values.indices), values.dictionary)


@dataclass(frozen=True, slots=True)
class ColumnCombinations:
    """The distinct combinations of several columns: per column the code in each combination, and each row's combination.

    A row with a null in any column has no combination (null).
    """

    parts: tuple[Codes, ...]
    codes: pa.Array


def combine_columns(columns: Sequence[DistinctValues]) -> ColumnCombinations:
    """The combinations that occur.

    They are in the order of the first column's distinct values if each of these occurs in one combination only; otherwise in the
    order of their first row. For a single column they are its distinct values in order, including those that do not occur.
    """
    if len(columns) == 1:
        return ColumnCombinations((np.arange(len(columns[0].values)),), columns[0].codes)
    codes = [column.int_codes() for column in columns]
    following = _determined_by_first(codes[0], codes[1:], len(columns[0].values))
    if following is not None:
        return ColumnCombinations((np.arange(len(columns[0].values)), *following), columns[0].codes)
    combined, valid = codes[0], codes[0] >= 0
    for column, part in zip(columns[1:], codes[1:], strict=True):
        combined, valid = combined * max(len(column.values), 1) + part, valid & (part >= 0)
        combined = as_int64(pa.array(combined).dictionary_encode().indices.cast(pa.int64()))
    encoded = pa.array(np.where(valid, combined, 0), mask=~valid).dictionary_encode()
    rows = _first_rows(as_int64(pc.fill_null(encoded.indices.cast(pa.int64()), -1)), len(encoded.dictionary))
    return ColumnCombinations(tuple(part[rows] for part in codes), encoded.indices)


def _determined_by_first(first: Codes, others: Sequence[Codes], count: int) -> tuple[Codes, ...] | None:
    """The values of the other columns for each distinct value of the first, if they depend on it and no value is null."""
    if not others or not count or not len(first) or min(part.min() for part in (first, *others)) < 0:
        return None
    columns = []
    for part in others:
        by_word = np.full(count, -1)
        by_word[first] = part
        if by_word.min() < 0 or not np.array_equal(by_word[first], part):
            return None
        columns.append(by_word)
    return tuple(columns)


def _first_rows(codes: Codes, count: int) -> Codes:
    """The first row of each code."""
    rows = np.zeros(count, np.int64)
    kept = np.flatnonzero(codes >= 0)[::-1]
    rows[codes[kept]] = kept
    return rows


def to_python(words: pa.Array) -> list[Any]:
    """Distinct values as Python objects. Raises SourceError if a text is not UTF-8."""
    objects: list[Any] | None = None
    try:
        objects = words.to_pylist()
    except UnicodeDecodeError:
        objects = None
    if objects is None:
        raise SourceError("a text column contains bytes that are not UTF-8")
    return objects


def as_int64(values: pa.Array) -> Codes:
    """An int64 array without nulls as a NumPy array."""
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)


@dataclass(slots=True)
class SeenDictionary:
    """The entries of a dictionary that were seen so far. Valid while the dictionary only grows; another dictionary resets it."""

    last_dictionary: pa.Array | None = field(default=None, repr=False)
    marks: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_), repr=False)

    def new_rows(self, column: pa.DictionaryArray) -> npt.NDArray[np.int64]:
        """The rows with new information: the first row of each entry that was not seen before, and the rows without an entry."""
        self._align(column.dictionary)
        codes = np.asarray(column.indices.fill_null(-1) if column.null_count else column.indices)
        rows = np.flatnonzero(np.append(~self.marks, True)[codes])
        entry_codes = codes[rows]
        self.marks[entry_codes[entry_codes >= 0]] = True
        return rows[first_occurrences(pa.array(entry_codes, mask=entry_codes < 0))]

    def _align(self, entries: pa.Array) -> None:
        """Adopt the dictionary of the next batch."""
        known = known_entries(self.last_dictionary, entries)
        self.marks = np.append(self.marks[:known], np.zeros(len(entries) - known, np.bool_))
        self.last_dictionary = entries


def first_occurrences(codes: pa.Array) -> npt.NDArray[np.int64]:
    """The first row of each code, and the rows without a code.

    >>> first_occurrences(pa.array([1, 0, 1, None, 0])).tolist()
    [0, 1, 3]
    """
    filled = np.asarray(codes.fill_null(-1) if codes.null_count else codes)
    first = np.full(int(filled.max(initial=-1)) + 2, -1, np.int64)
    first[filled[::-1]] = np.arange(len(filled))[::-1]
    telling = filled < 0
    telling[first[:-1][first[:-1] >= 0]] = True
    return np.flatnonzero(telling)


Integers = npt.NDArray[np.int64]
