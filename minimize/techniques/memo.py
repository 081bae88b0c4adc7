"""A bounded memory of results already computed, so that a value that comes in every batch is hashed once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.interned import Codes, Interned
from minimize.techniques.recall import Recall

Rows = npt.NDArray[np.uint8]
AT_ONCE = 1 << 17
"""Texts that are computed together, so that what is worked out on the way takes little memory."""
Compute = Callable[[Sequence[bytes], Codes, pa.Array], Rows]
"""Given scopes, and for each of some texts the place of its scope and the text: one row of bytes each, all of one width."""


class Memo:
    """Rows of bytes that were computed, by scope and text; it forgets everything when it holds more than `limit` texts.

    It never changes a result, only the time it takes. It holds plain values, so it stays in its process: a pickled memo
    arrives empty, and it prints without its contents. Threads may share it.
    """

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self._known: dict[pa.DataType, _Known] = {}
        self._recalls: dict[int, tuple[object, Recall]] = {}

    def recall(self, technique: object) -> Recall:
        """What this technique, and no other, remembers of single values."""
        held = self._recalls.get(id(technique))
        if held is None:
            held = self._recalls.setdefault(id(technique), (technique, Recall(self.limit // 5)))
        return held[1]

    def rows(self, texts: pa.Array, scopes: Codes, named: Sequence[bytes], compute: Compute) -> tuple[Codes, Rows]:
        """For each text (or bytes; none is null) the place of its row, and the rows, among them some of other texts.

        Takes for each text the place of its scope among the `named`.
        """
        known = self._known.setdefault(texts.type, _Known(texts.type))
        found = known.rows(texts, scopes, named, compute)
        if sum(map(len, self._known.values())) > self.limit:
            self._known = {}
        return found

    def __reduce__(self) -> tuple[type[Memo], tuple[int]]:
        return Memo, (self.limit,)

    def __repr__(self) -> str:
        return f"Memo(limit={self.limit})"

    def __len__(self) -> int:
        return sum(map(len, self._known.values())) + sum(len(recall) for _, recall in self._recalls.values())


class _Known:
    """What is remembered of texts of one type."""

    def __init__(self, type_: pa.DataType) -> None:
        self._texts = Interned(type_)
        self._scopes: dict[bytes, int] = {}
        self._rows: Rows = np.empty((0, 0), np.uint8)
        self._done = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._done

    def rows(self, texts: pa.Array, scopes: Codes, named: Sequence[bytes], compute: Compute) -> tuple[Codes, Rows]:
        """As `Memo.rows`."""
        with self._lock:
            places = [self._scopes.setdefault(scope, len(self._scopes)) for scope in named]
        codes = self._texts.codes(texts, np.array(places, np.int32)[scopes])
        with self._lock:
            while codes.max(initial=-1) >= self._done:
                self._compute(compute)
            return codes, self._rows

    def _compute(self, compute: Compute) -> None:
        scopes, texts = self._texts.scoped(self._done, AT_ONCE)
        made, end = compute([*self._scopes], scopes, texts), self._done + len(texts)
        if end > len(self._rows):
            grown = np.empty((end + end // 2, made.shape[1]), np.uint8)
            grown[: self._done] = self._rows[: self._done] if self._done else 0
            self._rows = grown
        self._rows[self._done : end] = made
        self._done = end
