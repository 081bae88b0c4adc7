"""Cache of techniques: results are kept over batches, so that a value in every batch is computed once.

RowCache        rows of bytes by scope and text
ResultCache     results of one technique for a field
TechniqueCache  a result cache for each technique of a field

A cache never changes a result, only the time it takes. It contains plain values, so it stays in its process: a pickled cache is
empty, and its `repr` is without content. Threads may share it; results that two threads add at the same time may be computed
twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.interner import Int32Codes, TextInterner, compact_codes

ByteRows = npt.NDArray[np.uint8]
TEXTS_AT_ONCE = 1 << 17
"""Texts that are computed together, which limits the memory of intermediate results."""
ComputeRows = Callable[[Sequence[bytes], Int32Codes, pa.Array], ByteRows]
"""Takes scopes, and the index of the scope and the text of each value. Returns one row of bytes per text, of equal width."""


class RowCache:
    """Cache of rows of bytes for texts of one type. Threads may share it."""

    def __init__(self, type_: pa.DataType) -> None:
        self._texts = TextInterner(type_)
        self._scopes: dict[bytes, int] = {}
        self._rows: ByteRows = np.empty((0, 0), np.uint8)
        self._done = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._done

    def rows(
        self, texts: pa.Array, scopes: Int32Codes, named: Sequence[bytes], compute: ComputeRows
    ) -> tuple[Int32Codes, ByteRows]:
        """For each text (none is null) the index of its row, and the rows. New rows are computed.

        Takes for each text the index of its scope in `named`.
        """
        with self._lock:
            places = [self._scopes.setdefault(scope, len(self._scopes)) for scope in named]
        codes = self._texts.codes(texts, np.array(places, np.int32)[scopes])
        with self._lock:
            while codes.max(initial=-1) >= self._done:
                self._compute(compute)
            return codes, self._rows[: self._done]

    def _compute(self, compute: ComputeRows) -> None:
        scopes, texts = self._texts.scoped_values(self._done, TEXTS_AT_ONCE)
        rows, end = compute([*self._scopes], scopes, texts), self._done + len(texts)
        if end > len(self._rows):
            grown = np.empty((end + end // 2, rows.shape[1]), np.uint8)
            grown[: self._done] = self._rows[: self._done] if self._done else 0
            self._rows = grown
        self._rows[self._done : end] = rows
        self._done = end


MIN_CACHED_ROWS: Final = 1 << 15
"""Rows of a batch below which the cache costs more than it saves."""
MANY_ROWS: Final = 1 << 16
"""Rows of a batch whose result may contain entries of other batches."""
SHARED_RESULTS_RATIO: Final = 64
"""Largest ratio of cached results to rows at which all results become the dictionary."""
_TRIALS: Final = ((1 << 18, 7 / 8), (1 << 20, 1 / 2))
"""Rows after which the repetition of texts is checked, and the share of them that may be new."""


MAX_VALUES: Final = 200_000
"""Single values that are kept."""


@dataclass(frozen=True, slots=True)
class CachedColumn:
    """Dictionary-encoded results (null for null and untreated values), a mask of untreated values, and the number of changes."""

    values: pa.DictionaryArray
    failed: npt.NDArray[np.bool_]
    changed: int


class ResultCache:
    """A bounded cache of the results of one technique. It is emptied when it holds more than `limit` texts or values."""

    def __init__(self, limit: int = MAX_VALUES) -> None:
        self.limit = limit
        self._values: dict[Any, Any] = {None: None}
        self._rows: dict[pa.DataType, RowCache] = {}
        self._texts: RowCache | None = RowCache(pa.string())
        """For each text the index of its result, and whether it differs (lowest bit). None if caching does not pay."""
        self._results = TextInterner(pa.string())
        self._looked_up = 0

    def map_values(self, values: Sequence[Any], compute: Callable[[Any], Any]) -> list[Any]:
        """The result of each of a few values; None for None."""
        known = self._values
        if len(known) > min(self.limit, MAX_VALUES):
            known = self._values = {None: None}
        with suppress(KeyError):
            return list(map(known.__getitem__, values))
        for value in values:
            if value not in known:
                known[value] = compute(value)
        return [known[value] for value in values]

    def rows(
        self, texts: pa.Array, scopes: Int32Codes, named: Sequence[bytes], compute: ComputeRows
    ) -> tuple[Int32Codes, ByteRows]:
        """For each text (or bytes; none is null) the index of its row, and the rows, which include rows of other texts.

        Takes for each text the index of its scope in `named`.
        """
        cached_rows = self._rows.setdefault(texts.type, RowCache(texts.type)).rows(texts, scopes, named, compute)
        if sum(map(len, self._rows.values())) > self.limit:
            self._rows = {}
        return cached_rows

    def column(self, texts: pa.Array, compute: Callable[[pa.Array], pa.Array]) -> CachedColumn | None:
        """The result of each string; None, with nothing done, if most strings were new, so that caching does not pay.

        `compute` returns the results of distinct strings, null if it cannot.
        """
        known, results = self._texts, self._results
        if known is None:
            return None
        column = _cached_column(texts, known, results, compute)
        self._looked_up += len(texts)
        if any(self._looked_up >= rows and len(known) > part * self._looked_up for rows, part in _TRIALS):
            self._texts = None
        elif len(known) > self.limit:
            self._texts, self._results, self._looked_up = RowCache(pa.string()), TextInterner(pa.string()), 0
        return column

    def __len__(self) -> int:
        texts = 0 if self._texts is None else len(self._texts)
        return len(self._values) - 1 + sum(map(len, self._rows.values())) + texts

    def __reduce__(self) -> tuple[type[ResultCache], tuple[int]]:
        return ResultCache, (self.limit,)

    def __repr__(self) -> str:
        return f"ResultCache(limit={self.limit})"


def _cached_column(
    texts: pa.Array, row_cache: RowCache, results: TextInterner, compute: Callable[[pa.Array], pa.Array]
) -> CachedColumn:
    valid = None if not texts.null_count else np.asarray(texts.is_valid())
    some = texts if valid is None else texts.drop_null()
    if not len(some):
        return CachedColumn(_encoded(np.full(len(texts), -1, np.int32), results), np.zeros(len(texts), np.bool_), 0)

    def outcomes_of(_: Sequence[bytes], __: Int32Codes, new: pa.Array) -> ByteRows:
        computed = compute(new)
        differs = pc.fill_null(pc.not_equal(computed, new), False).to_numpy(zero_copy_only=False)
        rows: ByteRows = (results.codes(computed) << 1 | differs).view(np.uint8).reshape(len(new), -1)
        return rows

    codes, rows = row_cache.rows(some, np.zeros(len(some), np.int32), [b""], outcomes_of)
    outcomes = rows.view(np.int32)[:, 0][codes]
    places = _expand_to_rows(outcomes >> 1, valid)
    failed = places < 0 if valid is None else (places < 0) & valid
    return CachedColumn(_encoded(places, results), failed, int(np.count_nonzero(outcomes & 1)))


def _encoded(places: Int32Codes, results: TextInterner) -> pa.DictionaryArray:
    """A dictionary of the results of these rows; for many rows of all results, which costs nothing."""
    if len(places) >= MANY_ROWS and len(results) <= SHARED_RESULTS_RATIO * len(places):
        lost = places < 0
        return pa.DictionaryArray.from_arrays(
            pa.array(places, mask=lost if lost.any() else None), results.values(), safe=False
        )
    used, indices = compact_codes(places + np.int32(1))
    lacking = int(len(used) > 0 and used[0] == 0)
    words = results.values().take(pa.array(used[lacking:] - 1))
    mask = places < 0 if lacking else None
    return pa.DictionaryArray.from_arrays(pa.array(indices - np.int32(lacking), mask=mask), words)


def _expand_to_rows(places: Int32Codes, valid: npt.NDArray[np.bool_] | None) -> Int32Codes:
    """The index of each known row, -1 for the others."""
    if valid is None:
        return places
    expanded = np.full(len(valid), -1, np.int32)
    expanded[valid] = places
    return expanded


class TechniqueCache:
    """The result caches of the techniques of a field, each with the same limit."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self._results: dict[int, tuple[object, ResultCache]] = {}

    def results_of(self, technique: object) -> ResultCache:
        """The cache of this technique."""
        entry = self._results.get(id(technique))
        if entry is None:
            entry = self._results.setdefault(id(technique), (technique, ResultCache(self.limit)))
        return entry[1]

    def __len__(self) -> int:
        return sum(len(results) for _, results in self._results.values())

    def __reduce__(self) -> tuple[type[TechniqueCache], tuple[int]]:
        return TechniqueCache, (self.limit,)

    def __repr__(self) -> str:
        return f"TechniqueCache(limit={self.limit})"
