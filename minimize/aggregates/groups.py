"""Groups as dense codes: combinations of key values, one integer each, the same over all batches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Codes
from minimize.aggregates.combined import Combinations
from minimize.aggregates.definition import GroupKey, Unit
from minimize.codebook import Codebook


class GroupBook:
    """Hands out a code for each combination of key values that is seen."""

    def __init__(self, keys: Sequence[GroupKey]) -> None:
        self._cuts = [None if key.to is None else key.cut or partial(truncated, unit=key.to) for key in keys]
        self._books = [Codebook(key.type) for key in keys]
        self._seen = Combinations(len(keys))

    def __len__(self) -> int:
        return len(self._seen)

    def encode_key(self, position: int, values: pa.Array) -> Codes:
        """The codes of one key's released values, times cut to the key's unit."""
        cut = self._cuts[position]
        if cut is None:
            return self._books[position].encode(values)
        encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode(null_encoding="encode")
        return self._books[position].encode(pa.DictionaryArray.from_arrays(encoded.indices, cut(encoded.dictionary)))

    def encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        """The group of each row, given each key's codes."""
        return self._seen.encode(columns, rows)

    def merge(self, other: Self) -> Codes:
        """Takes the groups of another book in; gives our code for each of its."""
        columns = [
            mine.codes(theirs.values)[codes]
            for mine, theirs, codes in zip(self._books, other._books, other._seen.columns(), strict=True)
        ]
        return self.encode(columns, len(other))

    def columns(self, groups: Codes | None = None) -> list[pa.Array]:
        """Each key's value in each group, or in some."""
        pairs = zip(self._books, self._seen.columns(groups), strict=True)
        return [book.values.take(pa.array(codes)) for book, codes in pairs]


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
