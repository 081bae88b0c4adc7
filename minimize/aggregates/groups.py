"""Groups as dense codes: combinations of key values, one integer each, the same over all batches."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Codes
from minimize.aggregates.combined import Combinations
from minimize.aggregates.definition import Definition, GroupKey, Unit
from minimize.codebook import Codebook, changes

_LONG: Final = 16
"""Rows in a row, on average, that are worth one look."""


class GroupBook:
    """Hands out a code for each combination of key values that is seen. Threads may share it."""

    def __init__(self, keys: Sequence[GroupKey]) -> None:
        self._lock = threading.Lock()
        self._cuts = [None if key.to is None else key.cut or partial(truncated, unit=key.to) for key in keys]
        self._books = [Codebook(key.type) for key in keys]
        self._seen = Combinations(len(keys))

    @classmethod
    def of(cls, definition: Definition) -> Self:
        """An empty one for an aggregate."""
        return cls(list(definition.keys.values()))

    def __len__(self) -> int:
        return len(self._seen)

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: shared with nobody."""
        with self._lock:
            return {name: held for name, held in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def encode_key(self, position: int, values: pa.Array) -> Codes:
        """The codes of one key's released values, times cut to the key's unit."""
        found = runs(values)
        if found is not None:
            return np.repeat(
                self.encode_key(position, values.take(pa.array(found))), np.diff(found, append=len(values))
            )
        cut = self._cuts[position]
        if cut is not None:
            encoded = (
                values if pa.types.is_dictionary(values.type) else values.dictionary_encode(null_encoding="encode")
            )
            values = pa.DictionaryArray.from_arrays(encoded.indices, cut(encoded.dictionary))
        with self._lock:
            return self._books[position].encode(values)

    def encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        """The group of each row, given each key's codes."""
        with self._lock:
            return self._seen.encode(columns, rows)

    def merge(self, other: Self) -> Codes:
        """Takes the groups of another book in; gives our code for each of its, which is the same where it is this one."""
        if other is self:
            return np.arange(len(self))
        columns = [
            mine.codes(theirs.values)[codes]
            for mine, theirs, codes in zip(self._books, other._books, other._seen.columns(), strict=True)
        ]
        return self.encode(columns, len(other))

    def columns(self, groups: Codes | None = None) -> list[pa.Array]:
        """Each key's value in each group, or in some."""
        pairs = zip(self._books, self._seen.columns(groups), strict=True)
        return [book.values.take(pa.array(codes)) for book, codes in pairs]


def runs(values: pa.Array) -> Codes | None:
    """Where times that follow each other, as most do once they are cut, become others; None where that is nearly everywhere.

    >>> runs(pa.array([5] * 40 + [7] * 40).cast(pa.timestamp("s"))).tolist()
    [0, 40]
    """
    if not pa.types.is_timestamp(values.type) or values.null_count or len(values) < _LONG:
        return None
    starts = np.flatnonzero(changes(np.frombuffer(values.buffers()[1], np.int64, len(values), values.offset * 8)))
    return starts if len(starts) * _LONG <= len(values) else None


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
