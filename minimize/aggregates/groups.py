"""Groups as dense codes: combinations of key values, one integer each, the same over all batches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Codes
from minimize.aggregates.definition import GroupKey, Unit
from minimize.codebook import Codebook, pack, unpack

_DENSE = 1 << 22
"""Up to so many possible combinations are looked up in a table rather than hashed."""
_WHOLE = 1 << 62
"""Fewer possible combinations are integers of 64 bits."""


class GroupBook:
    """Hands out a code for each combination of key values that is seen."""

    def __init__(self, keys: Sequence[GroupKey]) -> None:
        self._cuts = [None if key.to is None else key.cut or partial(truncated, unit=key.to) for key in keys]
        self._books = [Codebook(key.type) for key in keys]
        self._steps = [Codebook(pa.int64()) for _ in keys] or [Codebook(pa.int64())]

    def __len__(self) -> int:
        return len(self._steps[-1])

    def encode_key(self, position: int, values: pa.Array) -> Codes:
        """The codes of one key's released values, times cut to the key's unit."""
        cut = self._cuts[position]
        if cut is None:
            return self._books[position].encode(values)
        encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode(null_encoding="encode")
        return self._books[position].encode(pa.DictionaryArray.from_arrays(encoded.indices, cut(encoded.dictionary)))

    def encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        """The group of each row, given each key's codes."""
        sizes = tuple(max(len(book), 1) for book in self._books)
        possible = int(np.prod(sizes, dtype=object))
        if not columns or possible >= _WHOLE:
            return self._combine(columns or [np.zeros(rows, np.int64)])
        mixed = _mixed(columns, sizes)
        distinct, places = _dense(mixed, possible) if possible <= _DENSE else _hashed(mixed)
        return self._combine(_unmixed(distinct, sizes)).take(places)

    def merge(self, other: Self) -> Codes:
        """Takes the groups of another book in; gives our code for each of its."""
        columns = [
            mine.codes(theirs.values)[codes]
            for mine, theirs, codes in zip(self._books, other._books, other._key_codes(), strict=True)
        ]
        return self.encode(columns, len(other))

    def columns(self, groups: Codes | None = None) -> list[pa.Array]:
        """Each key's value in each group, or in some."""
        pairs = zip(self._books, self._key_codes(groups), strict=True)
        return [book.values.take(pa.array(codes)) for book, codes in pairs]

    def _combine(self, columns: Sequence[Codes]) -> Codes:
        groups = np.zeros(len(columns[0]), np.int64)
        for step, column in zip(self._steps, columns, strict=True):
            groups = step.encode(pa.array(pack(groups, column)))
        return groups

    def _key_codes(self, groups: Codes | None = None) -> list[Codes]:
        codes = np.arange(len(self), dtype=np.int64) if groups is None else groups
        columns: list[Codes] = []
        for step in reversed(self._steps):
            codes, column = unpack(step.values.to_numpy()[codes])
            columns.insert(0, column)
        return columns if self._books else []


def _mixed(columns: Sequence[Codes], sizes: Sequence[int]) -> Codes:
    """Each row's combination as one integer."""
    mixed = columns[0]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        mixed = mixed * size
        mixed += column
    return mixed


def _unmixed(mixed: Codes, sizes: Sequence[int]) -> list[Codes]:
    """The columns that `_mixed` put together."""
    columns: list[Codes] = []
    for size in reversed(sizes):
        mixed, column = np.divmod(mixed, size)
        columns.insert(0, column)
    return columns


def _dense(mixed: Codes, possible: int) -> tuple[Codes, Codes]:
    """The distinct integers, and the place of each row's among them, by a table."""
    seen = np.zeros(possible, np.bool_)
    seen[mixed] = True
    distinct = np.flatnonzero(seen)
    table = np.zeros(possible, np.int64)
    table[distinct] = np.arange(distinct.size)
    return distinct, table[mixed]


def _hashed(mixed: Codes) -> tuple[Codes, Codes]:
    """The distinct integers, and the place of each row's among them."""
    encoded = pa.array(mixed).dictionary_encode()
    return encoded.dictionary.to_numpy(), encoded.indices.to_numpy()


def truncated(values: pa.Array, unit: Unit) -> pa.Array:
    """Times at the start of their unit, in UTC, weeks from Monday; the type stays.

    >>> from datetime import date
    >>> truncated(pa.array([date(2026, 11, 25)]), "month").to_pylist()
    [datetime.date(2026, 11, 1)]
    """
    zone = getattr(values.type, "tz", None)
    if zone is None or zone == "UTC":
        return pc.floor_temporal(values, unit=unit).cast(values.type)
    return pc.floor_temporal(values.cast(pa.timestamp(values.type.unit, "UTC")), unit=unit).cast(values.type)
