"""What single values became, remembered from batch to batch: for techniques that work values out one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

RARELY = 64
"""As many times more known values than asked ones make looking them up dearer than working them out."""


class Recall:
    """A bounded memory of results by value; what it holds never changes a result, only the time it takes.

    It forgets everything when it holds more than `limit` values. It holds plain values, so it stays in its process, and it
    prints without its contents. Threads may share it: what two of them learn at once, one of them may have to learn again.
    """

    def __init__(self, limit: int = 200_000) -> None:
        self.limit = limit
        self._each: dict[Any, Any] = {None: None}
        self._words: tuple[pa.Array, pa.Array] | None = None

    def each(self, values: Sequence[Any], of: Callable[[Any], Any]) -> list[Any]:
        """What each of a few values becomes; None for None."""
        known = self._each
        if len(known) > self.limit:
            known = self._each = {None: None}
        for value in values:
            if value not in known:
                known[value] = of(value)
        return [known[value] for value in values]

    def words(self, words: pa.Array, compute: Callable[[pa.Array], pa.Array]) -> pa.Array:
        """What each of many distinct values becomes: those that are not known are computed, all at once; null for null."""
        held = self._words
        if held is None or held[0].type != words.type or len(held[0]) > RARELY * len(words):
            made = compute(words)
            self._learn(held, words, made)
            return made
        known, results = held
        places = pc.index_in(words, value_set=known, skip_nulls=True)
        fresh = pc.and_(places.is_null(), words.is_valid())
        if not fresh.true_count:
            return results.take(places)
        asked = words.filter(fresh)
        made = compute(asked)
        self._learn(held, asked, made)
        new = pc.add(pc.cumulative_sum(fresh.cast(pa.int32())), len(known) - 1)
        return pa.concat_arrays([results, made]).take(pc.if_else(fresh, new, places))

    def _learn(self, held: tuple[pa.Array, pa.Array] | None, words: pa.Array, made: pa.Array) -> None:
        there = words.is_valid()
        words, made = words.filter(there), made.filter(there)
        if held is not None and held[0].type == words.type and len(held[0]) + len(words) <= self.limit:
            words, made = pa.concat_arrays([held[0], words]), pa.concat_arrays([held[1], made])
        if len(words) <= self.limit:
            self._words = (words, made)

    def __len__(self) -> int:
        return len(self._each) - 1 + (0 if self._words is None else len(self._words[0]))

    def __reduce__(self) -> tuple[type[Recall], tuple[int]]:
        return Recall, (self.limit,)

    def __repr__(self) -> str:
        return f"Recall(limit={self.limit})"
