"""Where a tally puts what does not fit into its part of the memory, and what it remembers of it."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.spill import Aside, Words

_FLOOR: Final = 1 << 12
"""Bytes that are held in any case."""


class Shelf:
    """A tally's part of the budget; whether anything was set aside; and the groups that stood by then, which is for good."""

    def __init__(self, aside: Aside) -> None:
        self.aside = aside
        self.used = False
        self._share = aside.budget.share()
        self._stood = np.zeros(0, np.bool_)

    def __getstate__(self) -> dict[str, Any]:
        return {name: held for name, held in self.__dict__.items() if name != "_share"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._share = self.aside.budget.share()

    def is_full(self, held: int) -> bool:
        """Whether so many bytes are too many: setting them aside, a little at a time, takes some more."""
        share = self._share.bytes
        return share is not None and held > max(share * 4 // 5, _FLOOR)

    def hashes(self, subjects: pa.Array) -> Words:
        """What stands for each subject in what is set aside."""
        self.used = True
        return self.aside.hasher(subjects)

    def remember(self, standing: npt.NDArray[np.bool_]) -> None:
        """Takes note of the groups that stand."""
        self._stood = standing

    def stood(self, groups: int) -> npt.NDArray[np.bool_]:
        """Which of the first groups stood when something was set aside."""
        return np.append(self._stood, np.zeros(max(0, groups - len(self._stood)), np.bool_))[:groups]

    def merge(self, other: Self, groups: Codes) -> None:
        """Takes in what another shelf knows, which gives up its part of the budget.

        Raises ValueError where its hashes are under another key.
        """
        if other.used and self.aside.hasher.mark != other.aside.hasher.mark:
            raise ValueError("tallies of two keys")
        self.used = self.used or other.used
        stood = self.stood(max(int(groups.max(initial=-1)) + 1, len(self._stood)))
        stood[groups[np.flatnonzero(other._stood)]] = True
        self._stood = stood
        other._share = self._share
