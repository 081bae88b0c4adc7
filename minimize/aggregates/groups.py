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
"""Up to so many possible combinations are looked up in a table rather than sorted or hashed."""


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
        sizes = [len(book) for book in self._books]
        possible = int(np.prod(sizes, dtype=object)) if sizes else 0
        if not 0 < possible <= _DENSE:
            return self._combine(columns or [np.zeros(rows, np.int64)])
        mixed = np.ravel_multi_index(tuple(columns), tuple(sizes))
        seen = np.zeros(possible, np.bool_)
        seen[mixed] = True
        distinct = np.flatnonzero(seen)
        table = np.zeros(possible, np.int64)
        table[distinct] = self._combine([part.astype(np.int64) for part in np.unravel_index(distinct, tuple(sizes))])
        return np.asarray(table[mixed], np.int64)

    def merge(self, other: Self) -> Codes:
        """Takes the groups of another book in; gives our code for each of its."""
        columns = [
            mine.codes(theirs.values)[codes]
            for mine, theirs, codes in zip(self._books, other._books, other._key_codes(), strict=True)
        ]
        return self.encode(columns, len(other))

    def columns(self) -> list[pa.Array]:
        """Each key's value in each group."""
        pairs = zip(self._books, self._key_codes(), strict=True)
        return [book.values.take(pa.array(codes)) for book, codes in pairs]

    def _combine(self, columns: Sequence[Codes]) -> Codes:
        groups = np.zeros(len(columns[0]), np.int64)
        for step, column in zip(self._steps, columns, strict=True):
            groups = step.encode(pa.array(pack(groups, column)))
        return groups

    def _key_codes(self) -> list[Codes]:
        codes = np.arange(len(self), dtype=np.int64)
        columns: list[Codes] = []
        for step in reversed(self._steps):
            codes, column = unpack(step.values.to_numpy()[codes])
            columns.insert(0, column)
        return columns if self._books else []


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
