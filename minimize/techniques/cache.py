"""Caches of techniques: results are kept over batches, so that a value in every batch is computed once.

RowCache        rows of bytes by scope and text
ColumnCache     results of many texts with few distinct results, such as the networks of addresses
ValueCache      results of single values
TechniqueCache  the three of them for each technique

A cache never changes a result, only the time it takes. It contains plain values, so it stays in its process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
        made, end = compute([*self._scopes], scopes, texts), self._done + len(texts)
        if end > len(self._rows):
            grown = np.empty((end + end // 2, made.shape[1]), np.uint8)
            grown[: self._done] = self._rows[: self._done] if self._done else 0
            self._rows = grown
        self._rows[self._done : end] = made
        self._done = end


MIN_CACHED_ROWS: Final = 1 << 15
"""Rows of a batch below which the cache costs more than it saves."""
MANY_ROWS: Final = 1 << 16
"""Rows of a batch whose result may contain entries of other batches."""
SHARED_RESULTS_RATIO: Final = 64
"""Largest ratio of cached results to rows at which all results become the dictionary."""
_TRIALS: Final = ((1 << 18, 7 / 8), (1 << 20, 1 / 2))
"""Rows after which the repetition of texts is checked, and the share of them that may be new."""


@dataclass(frozen=True, slots=True)
class CachedColumn:
    """Dictionary-encoded results (null for null and untreated values), a mask of untreated values, and the number of changes."""

    values: pa.DictionaryArray
    failed: npt.NDArray[np.bool_]
    changed: int


class ColumnCache:
    """A bounded cache of the result of each text. It never changes a result, only the time it takes.

    It is emptied when it holds more than `limit` texts, and switched off if most of the rows are new. It holds plain values, so
    it stays in its process, and its `repr` is without content. Threads may share it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._rows = 0
        self._results: _TextResults | None = _TextResults()

    def __len__(self) -> int:
        return 0 if self._results is None else len(self._results.texts)

    def __repr__(self) -> str:
        return f"ColumnCache(limit={self.limit})"

    def column(self, texts: pa.Array, compute: Callable[[pa.Array], pa.Array]) -> CachedColumn | None:
        """The result of each text; None, with nothing done, if caching does not pay.

        Takes strings. `compute` returns the results of distinct ones, null if it cannot.
        """
        held = self._results
        if held is None or len(texts) < MIN_CACHED_ROWS:
            return None
        found = held.column(texts, compute)
        self._rows += len(texts)
        if any(self._rows >= rows and len(held.texts) > part * self._rows for rows, part in _TRIALS):
            self._results = None
        elif len(held.texts) > self.limit:
            self._results, self._rows = _TextResults(), 0
        return found


@dataclass(frozen=True, slots=True)
class _TextResults:
    """The texts with the index of their results, whether a result differs (lowest bit), and the results."""

    texts: RowCache = field(default_factory=lambda: RowCache(pa.string()))
    results: TextInterner = field(default_factory=lambda: TextInterner(pa.string()))

    def column(self, texts: pa.Array, compute: Callable[[pa.Array], pa.Array]) -> CachedColumn:
        there = None if not texts.null_count else np.asarray(texts.is_valid())
        if there is not None and not there.any():
            return CachedColumn(self._encoded(np.full(len(texts), -1, np.int32)), np.zeros(len(texts), np.bool_), 0)
        some = texts if there is None else texts.drop_null()
        codes, rows = self.texts.rows(some, np.zeros(len(some), np.int32), [b""], self._rows_of(compute))
        outcomes = rows.view(np.int32)[:, 0][codes]
        places = _expand_to_rows(outcomes >> 1, there)
        changed = int(np.count_nonzero(outcomes & 1))
        failed = places < 0 if there is None else (places < 0) & there
        return CachedColumn(self._encoded(places), failed, changed)

    def _encoded(self, places: Int32Codes) -> pa.DictionaryArray:
        """A dictionary of the results of these rows; for many rows of all results, which costs nothing."""
        if len(places) >= MANY_ROWS and len(self.results) <= SHARED_RESULTS_RATIO * len(places):
            lost = places < 0
            return pa.DictionaryArray.from_arrays(
                pa.array(places, mask=lost if lost.any() else None), self.results.values(), safe=False
            )
        used, indices = compact_codes(places + np.int32(1))
        lacking = int(len(used) > 0 and used[0] == 0)
        words = self.results.values().take(pa.array(used[lacking:] - 1))
        mask = places < 0 if lacking else None
        return pa.DictionaryArray.from_arrays(pa.array(indices - np.int32(lacking), mask=mask), words)

    def _rows_of(
        self, compute: Callable[[pa.Array], pa.Array]
    ) -> Callable[[Sequence[bytes], Int32Codes, pa.Array], ByteRows]:
        def rows(_: Sequence[bytes], __: Int32Codes, texts: pa.Array) -> ByteRows:
            made = compute(texts)
            differs = pc.fill_null(pc.not_equal(made, texts), False).to_numpy(zero_copy_only=False)
            outcomes: ByteRows = (self.results.codes(made) << 1 | differs).view(np.uint8).reshape(len(texts), -1)
            return outcomes

        return rows


def _expand_to_rows(places: Int32Codes, there: npt.NDArray[np.bool_] | None) -> Int32Codes:
    """The index of each known row, -1 for the others."""
    if there is None:
        return places
    found = np.full(len(there), -1, np.int32)
    found[there] = places
    return found


MAX_KNOWN_RATIO = 64
"""Ratio of known to requested values above which a lookup costs more than computing."""


class ValueCache:
    """A bounded cache of results by value. It never changes a result, only the time it takes.

    It is emptied when it holds more than `limit` values. It holds plain values, so it stays in its process, and its `repr` is
    without content. Threads may share it; results that two threads add at the same time may be computed again.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self.limit = limit
        self._each: dict[Any, Any] = {None: None}
        self._words: tuple[pa.Array, pa.Array] | None = None

    def map_values(self, values: Sequence[Any], of: Callable[[Any], Any]) -> list[Any]:
        """The result of each of a few values; None for None."""
        known = self._each
        if len(known) > self.limit:
            known = self._each = {None: None}
        for value in values:
            if value not in known:
                known[value] = of(value)
        return [known[value] for value in values]

    def compute_distinct(self, words: pa.Array, compute: Callable[[pa.Array], pa.Array]) -> pa.Array:
        """The result of each of many distinct values; null for null. Unknown values are computed together."""
        held = self._words
        if held is None or held[0].type != words.type or len(held[0]) > MAX_KNOWN_RATIO * len(words):
            made = compute(words)
            self._learn(held, words, made)
            return made
        known, results = held
        places = pc.index_in(words, value_set=known, skip_nulls=True)
        fresh = pc.and_(places.is_null(), words.is_valid())
        if not fresh.true_count:
            return results.take(places)
        unknown = words.filter(fresh)
        made = compute(unknown)
        self._learn(held, unknown, made)
        new = pc.add(pc.cumulative_sum(fresh.cast(pa.int32())), len(known) - 1)
        return pa.concat_arrays([results, made]).take(pc.if_else(fresh, new, places))

    def _learn(self, entries: tuple[pa.Array, pa.Array] | None, words: pa.Array, result: pa.Array) -> None:
        there = words.is_valid()
        words, result = words.filter(there), result.filter(there)
        if entries is not None and entries[0].type == words.type and len(entries[0]) + len(words) <= self.limit:
            words, result = pa.concat_arrays([entries[0], words]), pa.concat_arrays([entries[1], result])
        if len(words) <= self.limit:
            self._words = (words, result)

    def __len__(self) -> int:
        return len(self._each) - 1 + (0 if self._words is None else len(self._words[0]))

    def __reduce__(self) -> tuple[type[ValueCache], tuple[int]]:
        return ValueCache, (self.limit,)

    def __repr__(self) -> str:
        return f"ValueCache(limit={self.limit})"


class TechniqueCache:
    """Cache of rows of bytes by scope and text, and of the other caches per technique. `limit` is the number of texts.

    It is emptied above the limit. It never changes a result, only the time it takes. It holds plain values, so it stays in its
    process: a pickled cache is empty, and its `repr` is without content. Threads may share it.
    """

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self._known: dict[pa.DataType, RowCache] = {}
        self._recalls: dict[int, tuple[object, ValueCache]] = {}
        self._lasting: dict[int, tuple[object, ColumnCache]] = {}

    def value_cache(self, technique: object) -> ValueCache:
        """The cache of single values of this technique."""
        held = self._recalls.get(id(technique))
        if held is None:
            held = self._recalls.setdefault(id(technique), (technique, ValueCache(self.limit // 5)))
        return held[1]

    def column_cache(self, technique: object) -> ColumnCache:
        """The cache of texts of this technique."""
        return self._lasting.setdefault(id(technique), (technique, ColumnCache(self.limit)))[1]

    def rows(
        self, texts: pa.Array, scopes: Int32Codes, named: Sequence[bytes], compute: ComputeRows
    ) -> tuple[Int32Codes, ByteRows]:
        """For each text (or bytes; none is null) the index of its row, and the rows, which include rows of other texts.

        Takes for each text the index of its scope in `named`.
        """
        known = self._known.setdefault(texts.type, RowCache(texts.type))
        found = known.rows(texts, scopes, named, compute)
        if sum(map(len, self._known.values())) > self.limit:
            self._known = {}
        return found

    def __reduce__(self) -> tuple[type[TechniqueCache], tuple[int]]:
        return TechniqueCache, (self.limit,)

    def __repr__(self) -> str:
        return f"TechniqueCache(limit={self.limit})"

    def __len__(self) -> int:
        single = sum(len(recall) for _, recall in self._recalls.values())
        return sum(map(len, self._known.values())) + single + sum(len(lasting) for _, lasting in self._lasting.values())
