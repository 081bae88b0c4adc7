"""Records of which it is not known yet whether any of their groups stands.

With a key below a list a record is in several groups, and it is lost only if all of them are absent. A group that has enough
subjects stands for good, so that a record in it need not be remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import Codes
from minimize.spill import Accumulator, Aside, Rows, Words

Standing = Callable[[], npt.NDArray[np.bool_]]
"""Whether each group has enough subjects by now."""

_ENOUGH = 1 << 18
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""An odd number: records times it differ, and spread over all partitions."""


class Undecided:
    """Pairs of a record (a number of its own) and a group that is still too small."""

    def __init__(self) -> None:
        self._records: Codes = np.empty(0, np.int64)
        self._groups: Codes = np.empty(0, np.int64)
        self._next = 0
        self._limit = _ENOUGH
        self._gone = 0
        self._beyond: Accumulator | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that could be set aside."""
        return int(self._records.nbytes + self._groups.nbytes)

    def set_aside(self, aside: Aside, subjects: Words) -> None:
        """Sets all pairs aside; records that come are others."""
        if len(self._records):
            records = (self._records + self._gone).astype(np.uint64) * _ODD
            self._put(aside, np.column_stack([records, self._groups.astype(np.uint64)]))
        self._gone += self._next
        self._records = self._groups = np.empty(0, np.int64)
        self._next = 0

    def add(self, records: Codes, groups: Codes, standing: Standing) -> None:
        """Takes the records of a batch in, each once per group."""
        self._records = np.concatenate([self._records, records + self._next])
        self._groups = np.concatenate([self._groups, groups])
        self._next = int(self._records.max(initial=self._next - 1)) + 1
        if len(self._records) > self._limit:
            self._forget(standing())
            self._limit = max(_ENOUGH, 2 * len(self._records))

    def merge(self, other: Self, groups: Codes, standing: Standing) -> None:
        """Takes others in; `groups[i]` is our code for their group i."""
        self.add(other._records, groups[other._groups], standing)
        if other._beyond is not None:
            for rows in other._beyond.settle():
                records = rows.words[:, 0] + np.uint64(self._gone * int(_ODD) % (1 << 64))
                ours = groups[rows.words[:, 1].astype(np.int64)]
                self._put(other._beyond.aside, np.column_stack([records, ours.astype(np.uint64)]))
        self._gone += other._gone

    def lost(self, standing: npt.NDArray[np.bool_]) -> int:
        """How many records are in no group that stands."""
        self._forget(standing)
        parts = () if self._beyond is None else self._beyond.settle()
        return len(np.unique(self._records)) + sum(_lost(rows, standing) for rows in parts)

    def _put(self, aside: Aside, words: Words) -> None:
        self._beyond = self._beyond or Accumulator(aside, width=2)
        self._beyond.add(Rows(words))

    def _forget(self, standing: npt.NDArray[np.bool_]) -> None:
        decided = np.zeros(self._next, np.bool_)
        decided[self._records[standing[self._groups]]] = True
        left = ~decided[self._records]
        self._groups = self._groups[left]
        self._records = np.unique(self._records[left], return_inverse=True)[1].astype(np.int64)
        self._next = int(self._records.max(initial=-1)) + 1


def _lost(rows: Rows, standing: npt.NDArray[np.bool_]) -> int:
    """How many records of a part are in no group that stands. The pairs of a record are in one part, side by side."""
    if not len(rows):
        return 0
    records, groups = rows.words[:, 0], rows.words[:, 1].astype(np.int64)
    starts = np.flatnonzero(np.append(True, records[1:] != records[:-1]))
    return int((~np.logical_or.reduceat(standing[groups], starts)).sum())
