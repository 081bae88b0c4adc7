"""A bounded memory of results already computed, so that a value that comes in every batch is hashed once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.uint8]
Compute = Callable[[list[bytes]], Rows]
"""One row of bytes for each value, all of one width."""


class Memo:
    """Rows of bytes that were computed, by scope and value; it forgets everything when it holds more than `limit` values.

    It never changes a result, only the time it takes. It holds plain values, so it stays in its process: a pickled memo
    arrives empty, and it prints without its contents. Threads may share it.
    """

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self._places: dict[bytes, dict[bytes, int]] = {}
        self._rows: Rows = np.empty((0, 0), np.uint8)
        self._held = 0
        self._lock = threading.Lock()

    def rows(self, scope: bytes, values: list[bytes], compute: Compute) -> Rows:
        """The row of each of some distinct values, computed where it is not known."""
        with self._lock:
            known = self._places.get(scope, {})
            places: list[int | None] = [*map(known.get, values)]
            fresh = [value for value, place in zip(values, places, strict=True) if place is None]
            if not fresh:
                return self._rows[np.array(places, np.int64)]
            made = compute(fresh)
            if len(fresh) == len(values):
                self._learn(scope, fresh, made)
                return made
            old = np.array([place is not None for place in places])
            rows = np.empty((len(values), made.shape[1]), np.uint8)
            rows[old] = self._rows[[place for place in places if place is not None]]
            rows[~old] = made
            self._learn(scope, fresh, made)
            return rows

    def _learn(self, scope: bytes, values: list[bytes], rows: Rows) -> None:
        if self._held + len(values) > self.limit:
            self._places, self._held = {}, 0
        if len(values) > self.limit:
            return
        end = self._held + len(values)
        if end > len(self._rows):
            grown = np.empty((min(max(2 * end, 1024), max(self.limit, end)), rows.shape[1]), np.uint8)
            grown[: self._held] = self._rows[: self._held] if self._held else 0
            self._rows = grown
        self._rows[self._held : end] = rows
        self._places.setdefault(scope, {}).update(zip(values, range(self._held, end), strict=True))
        self._held = end

    def __reduce__(self) -> tuple[type[Memo], tuple[int]]:
        return Memo, (self.limit,)

    def __repr__(self) -> str:
        return f"Memo(limit={self.limit})"

    def __len__(self) -> int:
        return self._held
