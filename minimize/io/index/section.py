"""A stretch of row groups: whose records are in it, and in which of its groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from minimize.io.index.lens import Prefixes

GROUPS: Final = 64
"""Row groups of a section, at most: one bit each."""
ENTRIES: Final = 1 << 20
"""Subjects from which on a section ends, so that memory stays bounded."""


@dataclass(slots=True)
class Section:
    """Prefixes, ascending, and for each the row groups that have it: bit n is the section's nth."""

    first: int = 0
    groups: int = 0
    prefixes: Prefixes = field(default_factory=lambda: np.empty(0, np.uint64))
    masks: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    @property
    def is_full(self) -> bool:
        """Whether the next row group begins another."""
        return self.groups == GROUPS or len(self.prefixes) >= ENTRIES

    def add(self, prefixes: Prefixes) -> None:
        """Takes in the next row group's prefixes, ascending, each once."""
        bit = np.uint64(1 << self.groups)
        places = np.searchsorted(self.prefixes, prefixes)
        known = self._at(places) == prefixes
        known &= places < len(self.prefixes)
        self.masks[places[known]] |= bit
        fresh = ~known
        self._insert(places[fresh], prefixes[fresh], bit)
        self.groups += 1

    def groups_of(self, prefixes: Prefixes) -> list[int]:
        """The row groups that have any of these, by their number in the file."""
        places = np.searchsorted(self.prefixes, prefixes)
        known = (places < len(self.prefixes)) & (self._at(places) == prefixes)
        mask = int(np.bitwise_or.reduce(self.masks[places[known]], initial=np.uint64(0)))
        return [self.first + number for number in range(self.groups) if mask >> number & 1]

    def next(self) -> Section:
        """The section after this one."""
        return Section(self.first + self.groups)

    def _insert(self, places: npt.NDArray[np.intp], prefixes: Prefixes, bit: np.uint64) -> None:
        """Takes in prefixes that were not there, before those at these places."""
        at = places + np.arange(len(places))
        new = np.zeros(len(self.prefixes) + len(places), np.bool_)
        new[at] = True
        old, had, masks = ~new, self.prefixes, self.masks
        self.prefixes, self.masks = np.empty(len(new), np.uint64), np.full(len(new), bit)
        self.prefixes[at], self.prefixes[old], self.masks[old] = prefixes, had, masks

    def _at(self, places: npt.NDArray[np.intp]) -> Prefixes:
        """The prefixes at these places; at the one behind the last, any."""
        if not len(self.prefixes):
            return np.zeros(len(places), np.uint64)
        return self.prefixes.take(places, mode="clip")
