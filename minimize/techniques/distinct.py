"""Columns by their distinct values: codes and words, crossing several columns, and picking values by index.

>>> import pyarrow as pa
>>> found = distinct(pa.array(["b", "a", None, "b"]))
>>> found.words.to_pylist(), found.codes.to_pylist()
(['b', 'a'], [0, 1, None, 0])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import SourceError
from minimize.words import all_distinct

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct values of a column and, per value of the column, the index of its word (null for null)."""

    words: pa.Array
    codes: pa.Array

    def numbers(self) -> Codes:
        """The codes as integers, -1 for null."""
        return numbers(pc.fill_null(self.codes.cast(pa.int64()), -1))


def distinct(values: pa.Array) -> Distinct:
    """The distinct values of a plain or dictionary-encoded column; a dictionary's entries are taken as they stand."""
    encoded = values if pa.types.is_dictionary(values.type) else workable(values).dictionary_encode()
    words, codes = workable(encoded.dictionary), encoded.indices
    if words.null_count:
        codes = pc.if_else(words.is_valid().take(codes), codes, pa.scalar(None, codes.type))
    return Distinct(words, codes)


def workable(values: pa.Array) -> pa.Array:
    """The same values in a type that Arrow can take from and encode (views and small decimals cannot)."""
    other = _WORKABLE.get(values.type.id)
    if other is not None:
        return values.cast(other)
    if pa.types.is_decimal(values.type) and values.type.bit_width < 128:
        return values.cast(pa.decimal128(values.type.precision, values.type.scale))
    return values


_WORKABLE = {pa.string_view().id: pa.large_string(), pa.binary_view().id: pa.large_binary()}


def pick(values: pa.Array, indices: pa.Array) -> pa.Array:
    """The values at these indices, null at a null index, for every type."""
    ready = workable(values)
    taken = ready.take(indices)
    return taken if ready.type == values.type else taken.cast(values.type)


def decoded(values: pa.Array) -> pa.Array:
    """The column without its dictionary encoding."""
    return pick(values.dictionary, values.indices) if pa.types.is_dictionary(values.type) else values


def merged(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same with equal entries made one."""
    if all_distinct(values.dictionary):
        return values
    words = values.dictionary.dictionary_encode()
    return pa.DictionaryArray.from_arrays(words.indices.take(values.indices), words.dictionary)


def in_use(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same without entries that no row has.

    >>> in_use(pa.DictionaryArray.from_arrays(pa.array([2, None, 0]), pa.array(["a", "b", "c"]))).dictionary.to_pylist()
    ['a', 'c']
    """
    indices = values.indices
    codes = np.asarray(indices.drop_null() if indices.null_count else indices)
    used = np.flatnonzero(np.bincount(codes, minlength=len(values.dictionary)))
    if len(used) == len(values.dictionary):
        return values
    places = np.zeros(len(values.dictionary), np.int32)
    places[used] = np.arange(len(used), dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(places).take(indices), pick(values.dictionary, pa.array(used)))


def apart(values: pa.DictionaryArray, there: pa.BooleanArray) -> pa.DictionaryArray:
    """The values where they belong, null in between."""
    places = pa.nulls(len(there), values.indices.type)
    return pa.DictionaryArray.from_arrays(pc.replace_with_mask(places, there, values.indices), values.dictionary)


@dataclass(frozen=True, slots=True)
class Crossed:
    """The distinct combinations of several columns: per column the code in each combination, and each row's combination.

    A row with a null in any column has no combination (null).
    """

    parts: tuple[Codes, ...]
    codes: pa.Array


def cross(columns: Sequence[Distinct]) -> Crossed:
    """The combinations that occur, in the order of the first column's words where each occurs once, else of their first row.

    Of one column its words are the combinations, in their order, whether they occur or not.
    """
    if len(columns) == 1:
        return Crossed((np.arange(len(columns[0].words)),), columns[0].codes)
    codes = [column.numbers() for column in columns]
    following = _following(codes[0], codes[1:], len(columns[0].words))
    if following is not None:
        return Crossed((np.arange(len(columns[0].words)), *following), columns[0].codes)
    combined, valid = codes[0], codes[0] >= 0
    for column, part in zip(columns[1:], codes[1:], strict=True):
        combined, valid = combined * max(len(column.words), 1) + part, valid & (part >= 0)
        combined = numbers(pa.array(combined).dictionary_encode().indices.cast(pa.int64()))
    encoded = pa.array(np.where(valid, combined, 0), mask=~valid).dictionary_encode()
    rows = _first_rows(numbers(pc.fill_null(encoded.indices.cast(pa.int64()), -1)), len(encoded.dictionary))
    return Crossed(tuple(part[rows] for part in codes), encoded.indices)


def _following(first: Codes, others: Sequence[Codes], count: int) -> tuple[Codes, ...] | None:
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


def listed(words: pa.Array) -> list[Any]:
    """Distinct values as Python objects. Raises SourceError where a text is not UTF-8."""
    found: list[Any] | None = None
    try:
        found = words.to_pylist()
    except UnicodeDecodeError:
        found = None
    if found is None:
        raise SourceError("a text column holds bytes that are not UTF-8")
    return found


def numbers(values: pa.Array) -> Codes:
    """An int64 array without nulls as numpy."""
    return np.asarray(values.to_numpy(zero_copy_only=False), np.int64)
