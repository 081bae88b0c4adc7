"""What came lately: most rows of a fleet say again what another row has said, and these need no sorting."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from minimize.spill.hashed import Words

_AT_ONCE: Final = 1 << 15
"""Rows that are looked up at once: few enough for a processor's cache, so that the next ones find them."""


class Recent:
    """Remembers hashes, each in the one place that its bits name, until another one takes it: fixed memory, no order.

    >>> recent = Recent(1 << 12)
    >>> words = np.array([[1 << 60, 1], [2 << 60, 1], [1 << 60, 1]], np.uint64)
    >>> recent.news(words[:2]).tolist(), recent.news(words).tolist()
    ([0, 1], [])
    """

    def __init__(self, size: int) -> None:
        """Takes the bytes that it may hold."""
        bits = max((max(size, 1) // 16).bit_length() - 1, 4)
        self._shift = np.uint64(64 - bits)
        self._high = np.zeros(1 << bits, np.uint64)
        self._low = np.zeros(1 << bits, np.uint64)

    def news(self, words: Words) -> npt.NDArray[np.int64]:
        """The rows that were not there lately, in order; where equal rows come together, perhaps all of them."""
        found = [self._news(words[start : start + _AT_ONCE]) + start for start in range(0, len(words), _AT_ONCE)]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _news(self, words: Words) -> npt.NDArray[np.int64]:
        high, low = words[:, 0], words[:, 1]
        places = high >> self._shift
        new = np.flatnonzero((self._high[places] != high) | (self._low[places] != low))
        self._high[places[new]] = high[new]
        self._low[places[new]] = low[new]
        return new
