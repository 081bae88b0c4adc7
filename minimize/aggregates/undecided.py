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

Standing = Callable[[], npt.NDArray[np.bool_]]
"""Whether each group has enough subjects by now."""

_ENOUGH = 1 << 18


class Undecided:
    """Pairs of a record (a number of its own) and a group that is still too small."""

    def __init__(self) -> None:
        self._records: Codes = np.empty(0, np.int64)
        self._groups: Codes = np.empty(0, np.int64)
        self._next = 0
        self._limit = _ENOUGH

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

    def lost(self, standing: npt.NDArray[np.bool_]) -> int:
        """How many records are in no group that stands."""
        self._forget(standing)
        return len(np.unique(self._records))

    def _forget(self, standing: npt.NDArray[np.bool_]) -> None:
        decided = np.zeros(self._next, np.bool_)
        decided[self._records[standing[self._groups]]] = True
        left = ~decided[self._records]
        self._groups = self._groups[left]
        self._records = np.unique(self._records[left], return_inverse=True)[1].astype(np.int64)
        self._next = int(self._records.max(initial=-1)) + 1
