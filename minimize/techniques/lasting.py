"""What many texts became, kept from batch to batch: addresses are many, their networks few, and most come again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.interned import Codes, Interned, dense
from minimize.techniques.known import Known, Rows

ENOUGH: Final = 1 << 15
"""Rows of a batch below which it is not worth the while."""
MANY: Final = 1 << 16
"""Rows of a batch that may come with more results than its own."""
SHARED: Final = 64
"""How many times more results than rows there may be for all of them to be the dictionary."""
_TRIALS: Final = ((1 << 18, 7 / 8), (1 << 20, 1 / 2))
"""Rows after which it is seen whether texts come again, and the part of them that may be new."""


@dataclass(frozen=True, slots=True)
class Found:
    """Dictionary-encoded results, null for null and where nothing could be made; where that was so; and how many differ."""

    values: pa.DictionaryArray
    failed: npt.NDArray[np.bool_]
    changed: int


class Lasting:
    """A bounded memory of the result of each text; it never changes a result, only the time it takes.

    It forgets everything when it holds more than `limit` texts, and for good where most of the rows are new. It
    holds plain values, so it stays in its process, and it prints without its contents. Threads may share it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._rows = 0
        self._held: _Held | None = _Held()

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held.known)

    def __repr__(self) -> str:
        return f"Lasting(limit={self.limit})"

    def column(self, texts: pa.Array, compute: Callable[[pa.Array], pa.Array]) -> Found | None:
        """The result of each text; None where remembering does not pay, so that nothing was done.

        Takes strings. `compute` gives the results of distinct ones, null where it cannot.
        """
        held = self._held
        if held is None or len(texts) < ENOUGH:
            return None
        found = held.column(texts, compute)
        self._rows += len(texts)
        if any(self._rows >= rows and len(held.known) > part * self._rows for rows, part in _TRIALS):
            self._held = None
        elif len(held.known) > self.limit:
            self._held, self._rows = _Held(), 0
        return found


@dataclass(frozen=True, slots=True)
class _Held:
    """The texts with the place of their results, and in the lowest bit whether these differ; and the results."""

    known: Known = field(default_factory=lambda: Known(pa.string()))
    results: Interned = field(default_factory=lambda: Interned(pa.string()))

    def column(self, texts: pa.Array, compute: Callable[[pa.Array], pa.Array]) -> Found:
        there = None if not texts.null_count else np.asarray(texts.is_valid())
        if there is not None and not there.any():
            return Found(self._encoded(np.full(len(texts), -1, np.int32)), np.zeros(len(texts), np.bool_), 0)
        some = texts if there is None else texts.drop_null()
        codes, rows = self.known.rows(some, np.zeros(len(some), np.int32), [b""], self._rows_of(compute))
        outcomes = rows.view(np.int32)[:, 0][codes]
        places = _over(outcomes >> 1, there)
        changed = int(np.count_nonzero(outcomes & 1))
        failed = places < 0 if there is None else (places < 0) & there
        return Found(self._encoded(places), failed, changed)

    def _encoded(self, places: Codes) -> pa.DictionaryArray:
        """With the results that these rows have; of many rows with all results, which costs nothing."""
        if len(places) >= MANY and len(self.results) <= SHARED * len(places):
            lost = places < 0
            return pa.DictionaryArray.from_arrays(
                pa.array(places, mask=lost if lost.any() else None), self.results.values(), safe=False
            )
        used, indices = dense(places + np.int32(1))
        lacking = int(len(used) > 0 and used[0] == 0)
        words = self.results.values().take(pa.array(used[lacking:] - 1))
        mask = places < 0 if lacking else None
        return pa.DictionaryArray.from_arrays(pa.array(indices - np.int32(lacking), mask=mask), words)

    def _rows_of(self, compute: Callable[[pa.Array], pa.Array]) -> Callable[[Sequence[bytes], Codes, pa.Array], Rows]:
        def rows(_: Sequence[bytes], __: Codes, texts: pa.Array) -> Rows:
            made = compute(texts)
            differs = pc.fill_null(pc.not_equal(made, texts), False).to_numpy(zero_copy_only=False)
            outcomes: Rows = (self.results.codes(made) << 1 | differs).view(np.uint8).reshape(len(texts), -1)
            return outcomes

        return rows


def _over(places: Codes, there: npt.NDArray[np.bool_] | None) -> Codes:
    """The places of the rows that are there, -1 for the others."""
    if there is None:
        return places
    found = np.full(len(there), -1, np.int32)
    found[there] = places
    return found
