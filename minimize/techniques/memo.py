"""A bounded memory of results already computed, so that a value that comes in every batch is hashed once."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from minimize.interned import Codes
from minimize.techniques.known import Compute, Known, Rows
from minimize.techniques.lasting import Lasting
from minimize.techniques.recall import Recall


class Memo:
    """Rows of bytes that were computed, by scope and text; it forgets everything when it holds more than `limit` texts.

    It never changes a result, only the time it takes. It holds plain values, so it stays in its process: a pickled memo
    arrives empty, and it prints without its contents. Threads may share it.
    """

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self._known: dict[pa.DataType, Known] = {}
        self._recalls: dict[int, tuple[object, Recall]] = {}
        self._lasting: dict[int, tuple[object, Lasting]] = {}

    def recall(self, technique: object) -> Recall:
        """What this technique, and no other, remembers of single values."""
        held = self._recalls.get(id(technique))
        if held is None:
            held = self._recalls.setdefault(id(technique), (technique, Recall(self.limit // 5)))
        return held[1]

    def lasting(self, technique: object) -> Lasting:
        """What this technique, and no other, made of many texts."""
        return self._lasting.setdefault(id(technique), (technique, Lasting(self.limit)))[1]

    def rows(self, texts: pa.Array, scopes: Codes, named: Sequence[bytes], compute: Compute) -> tuple[Codes, Rows]:
        """For each text (or bytes; none is null) the place of its row, and the rows, among them some of other texts.

        Takes for each text the place of its scope among the `named`.
        """
        known = self._known.setdefault(texts.type, Known(texts.type))
        found = known.rows(texts, scopes, named, compute)
        if sum(map(len, self._known.values())) > self.limit:
            self._known = {}
        return found

    def __reduce__(self) -> tuple[type[Memo], tuple[int]]:
        return Memo, (self.limit,)

    def __repr__(self) -> str:
        return f"Memo(limit={self.limit})"

    def __len__(self) -> int:
        single = sum(len(recall) for _, recall in self._recalls.values())
        return sum(map(len, self._known.values())) + single + sum(len(lasting) for _, lasting in self._lasting.values())
