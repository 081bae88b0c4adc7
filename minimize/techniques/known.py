"""Rows of bytes that were computed, by scope and text: what memories are made of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.interned import Codes, Interned

Rows = npt.NDArray[np.uint8]
AT_ONCE = 1 << 17
"""Texts that are computed together, so that what is worked out on the way takes little memory."""
Compute = Callable[[Sequence[bytes], Codes, pa.Array], Rows]
"""Given scopes, and for each of some texts the place of its scope and the text: one row of bytes each, all of one width."""


class Known:
    """What is remembered of texts of one type, for as long as somebody holds it. Threads may share it."""

    def __init__(self, type_: pa.DataType) -> None:
        self._texts = Interned(type_)
        self._scopes: dict[bytes, int] = {}
        self._rows: Rows = np.empty((0, 0), np.uint8)
        self._done = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._done

    def rows(self, texts: pa.Array, scopes: Codes, named: Sequence[bytes], compute: Compute) -> tuple[Codes, Rows]:
        """For each text (none is null) the place of its row, and the rows; what is new is computed.

        Takes for each text the place of its scope among the `named`.
        """
        with self._lock:
            places = [self._scopes.setdefault(scope, len(self._scopes)) for scope in named]
        codes = self._texts.codes(texts, np.array(places, np.int32)[scopes])
        with self._lock:
            while codes.max(initial=-1) >= self._done:
                self._compute(compute)
            return codes, self._rows[: self._done]

    def _compute(self, compute: Compute) -> None:
        scopes, texts = self._texts.scoped(self._done, AT_ONCE)
        made, end = compute([*self._scopes], scopes, texts), self._done + len(texts)
        if end > len(self._rows):
            grown = np.empty((end + end // 2, made.shape[1]), np.uint8)
            grown[: self._done] = self._rows[: self._done] if self._done else 0
            self._rows = grown
        self._rows[self._done : end] = made
        self._done = end
