"""What subjects have said before: mostly a subject has one value, and a row that says it again needs no hash and no sorting."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.interned import Codes, Interned
from minimize.spill import Budget, Recent

Rows = npt.NDArray[np.int64]
_LATELY: Final = 8 << 20
"""Bytes for the values that subjects had beside their first one."""
_PARTS: Final = 2
"""Parts of the budget that it may take: whoever does not fit is asked for again and again."""
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


class Said:
    """The first value of each subject, and what else came lately: it tells which rows may say something new.

    Exact in one direction: a row that it calls old has come before, with the same subject and the same value. Tallies that
    will be merged may share it, and threads may. When it holds more than its part of the budget it lets go of everything and
    tells nothing any more. Holds plain values, so it stays in its process.

    >>> said = Said(Budget(None))
    >>> said.news(pa.array(["s", "s", "t"]), pa.array(["a", "b", "a"])).tolist()
    [0, 1, 2]
    >>> said.news(pa.array(["s", "t", "t", None]), pa.array(["a", "a", "b", "a"])).tolist()
    [2, 3]
    """

    def __init__(self, budget: Budget) -> None:
        self._shares = [budget.share() for _ in range(_PARTS)]
        self._lock = threading.Lock()
        self._tells = True
        self._subjects, self._values = Interned(pa.string()), Interned(pa.string())
        self._first: Codes = np.empty(0, np.int32)
        self._lately = Recent(_LATELY)

    def news(self, subjects: pa.Array, values: pa.Array) -> Rows | None:
        """The rows whose pair may be new, in order; None where it cannot tell. Takes texts, values without nulls."""
        if not self._tells or not _is_text(subjects.type):
            return None
        who, what = _codes(self._subjects, subjects), _codes(self._values, values)
        with self._lock:
            if self._is_full():
                self._tells, self._first = False, np.empty(0, np.int32)
                self._subjects, self._values = Interned(pa.string()), Interned(pa.string())
            return self._new(who + np.int32(1), what) if self._tells else None

    def _new(self, who: Codes, what: Codes) -> Rows:
        """Who has no subject is one by itself, too."""
        missing = len(self._subjects) + 1 - len(self._first)
        if missing > 0:
            self._first = np.concatenate([self._first, np.full(missing + len(self._first) // 2, -1, np.int32)])
        first = self._first[who]
        fresh = first < 0
        other = np.flatnonzero((first != what) & ~fresh)
        self._first[who[fresh][::-1]] = what[fresh][::-1]  # of several rows the first one's, which is written last
        new = fresh
        new[other[self._lately.news(_pairs(who[other], what[other]))]] = True
        return np.flatnonzero(new)

    def _is_full(self) -> bool:
        sizes = [share.bytes for share in self._shares]
        held = self._subjects.nbytes + self._values.nbytes + self._first.nbytes + _LATELY
        return None not in sizes and held > sum(size or 0 for size in sizes)


def _pairs(who: Codes, what: Codes) -> npt.NDArray[Any]:
    """Pairs of codes as words, none of them zero, of which the first is spread over all its bits."""
    whole = ((who.astype(np.uint64) + np.uint64(1)) << np.uint64(32)) | what.astype(np.uint64)
    return np.column_stack([whole * _SPREAD, whole])


def _codes(known: Interned, values: pa.Array) -> Codes:
    if not pa.types.is_dictionary(values.type):
        return known.codes(values.cast(pa.string()))
    codes = np.append(known.codes(values.dictionary.cast(pa.string())), np.int32(-1))
    indices = values.indices.fill_null(len(codes) - 1) if values.indices.null_count else values.indices
    found: Codes = codes[indices.to_numpy()]
    return found


def _is_text(type_: pa.DataType) -> bool:
    kind = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
