"""Counts in a small dense matrix of codes, where counting needs no sorting."""

from __future__ import annotations

from typing import Self

import numpy as np

from minimize.aggregates.base import Codes

_LEAST = 1 << 12
_MOST = 1 << 23
_PER_ROW = 4
_ROWS = 1 << 31
"""Rows that are counted in 32 bits, less one."""


class Dense:
    """Rows counted per (row, column), as long as the matrix is not much larger than what it has counted.

    >>> cells = Dense()
    >>> cells.add(np.array([0, 0, 1]), np.array([7, 7, 7]))
    True
    >>> [part.tolist() for part in cells.taken()]
    [[0, 1], [7, 7], [2, 1]]
    """

    def __init__(self) -> None:
        self._counts = np.zeros((0, 1), np.int32)
        self._seen = self._height = 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self._counts.nbytes)

    def add(self, rows: Codes, columns: Codes) -> bool:
        """Counts equally long codes, or says that there is no room for them."""
        if not len(rows):
            return True
        height = max(int(rows.max()) + 1, self._height)
        width = max(1 << int(columns.max()).bit_length(), self._counts.shape[1])
        if not self._has_room(height, width, len(rows)):
            return False
        self._height = height
        self._reach(width)
        places = rows * width
        places += columns
        np.add.at(self._counts.reshape(-1), places, np.int32(1))  # of another width it would be cast cell by cell
        self._seen += len(rows)
        return True

    def merge(self, other: Self) -> bool:
        """Adds counts of the same codes, or says that there is no room for them."""
        height, width = max(self._height, other._height), max(self._counts.shape[1], other._counts.shape[1])
        if not self._has_room(height, width, other._seen):
            return False
        self._height = height
        self._reach(width)
        theirs = other._counts[: other._height]
        self._counts[: len(theirs), : theirs.shape[1]] += theirs
        self._seen += other._seen
        return True

    def taken(self) -> tuple[Codes, Codes, Codes]:
        """Rows, columns and counts of the cells that were seen, in order; nothing is left."""
        rows, columns = np.nonzero(self._counts)
        counts = self._counts[rows, columns].astype(np.int64)
        self._counts = np.zeros((0, 1), np.int32)
        self._seen = self._height = 0
        return rows, columns, counts

    def _has_room(self, height: int, width: int, rows: int) -> bool:
        seen = self._seen + rows
        return seen < _ROWS and height * width <= min(_MOST, _LEAST + _PER_ROW * seen)

    def _reach(self, width: int) -> None:
        tall, wide = self._counts.shape
        if self._height > tall or width > wide:
            grown = np.zeros((max(self._height, tall * 3 // 2) if self._height > tall else tall, width), np.int32)
            grown[:tall, :wide] = self._counts
            self._counts = grown
