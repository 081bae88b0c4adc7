"""Dictionary-encoded columns: distinct values and codes, combinations of several columns, values by index.

>>> import pyarrow as pa
>>> found = distinct_values(pa.array(["b", "a", None, "b"]))
>>> found.values.to_pylist(), found.codes.to_pylist()
(['b', 'a'], [0, 1, None, 0])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.codes import Codes
from minimize.arrow.hashing import all_distinct
from minimize.errors import SourceError


@dataclass(frozen=True, slots=True)
class DistinctValues:
    """The distinct values of a column and, per value of the column, the index of its word (null for null)."""

    values: pa.Array
    codes: pa.Array

    def int_codes(self) -> Codes:
        """The codes as integers, -1 for null."""
        return as_int64(pc.fill_null(self.codes.cast(pa.int64()), -1))


def distinct_values(values: pa.Array) -> DistinctValues:
    """The distinct values of a plain or dictionary-encoded column; a dictionary's entries are taken as they stand."""
    encoded = values if pa.types.is_dictionary(values.type) else as_takeable(values).dictionary_encode()
    words, codes = as_takeable(encoded.dictionary), encoded.indices
    if words.null_count:
        codes = pc.if_else(words.is_valid().take(codes), codes, pa.scalar(None, codes.type))
    return DistinctValues(words, codes)


def as_takeable(values: pa.Array) -> pa.Array:
    """The same values in a type that Arrow can take from and encode (views and small decimals cannot)."""
    other = _TAKEABLE_TYPES.get(values.type.id)
    if other is not None:
        return values.cast(other)
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


def merge_equal_entries(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same with equal entries made one."""
    if all_distinct(values.dictionary):
        return values
    words = values.dictionary.dictionary_encode()
    return pa.DictionaryArray.from_arrays(words.indices.take(values.indices), words.dictionary)


def prune_entries(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same without entries that no row has.

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


def scatter_values(values: pa.DictionaryArray, there: pa.BooleanArray) -> pa.DictionaryArray:
    """The values where they belong, null in between."""
    places = pa.nulls(len(there), values.indices.type)
    return pa.DictionaryArray.from_arrays(pc.replace_with_mask(places, there, values.indices), values.dictionary)


@dataclass(frozen=True, slots=True)
class ColumnCombinations:
    """The distinct combinations of several columns: per column the code in each combination, and each row's combination.

    A row with a null in any column has no combination (null).
    """

    parts: tuple[Codes, ...]
    codes: pa.Array


def combine_columns(columns: Sequence[DistinctValues]) -> ColumnCombinations:
    """The combinations that occur, in the order of the first column's words where each occurs once, else of their first row.

    Of one column its words are the combinations, in their order, whether they occur or not.
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
    """What the other columns have for each word of the first, where that is one thing each and nothing is null."""
    if not others or not count or not len(first) or min(part.min() for part in (first, *others)) < 0:
        return None
    found = []
    for part in others:
        told = np.full(count, -1)
        told[first] = part
        if told.min() < 0 or not np.array_equal(told[first], part):
            return None
        found.append(told)
    return tuple(found)


def _first_rows(codes: Codes, count: int) -> Codes:
    """For each code the first row that has it."""
    rows = np.zeros(count, np.int64)
    kept = np.flatnonzero(codes >= 0)[::-1]
    rows[codes[kept]] = kept
    return rows


def to_python(words: pa.Array) -> list[Any]:
    """Distinct values as Python objects. Raises SourceError where a text is not UTF-8."""
    found: list[Any] | None = None
    try:
        found = words.to_pylist()
    except UnicodeDecodeError:
        found = None
    if found is None:
        raise SourceError("a text column holds bytes that are not UTF-8")
    return found


def as_int64(values: pa.Array) -> Codes:
    """An int64 array without nulls as numpy."""
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)
