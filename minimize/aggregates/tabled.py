"""Codes of small integers: a table with a cell for each integer that there could be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minimize.codebook import Codes, InOrder


class Tabled(InOrder):
    """Hands out the codes 0, 1, 2 … to integers in the order in which they first come.

    >>> known = Tabled()
    >>> known.codes(np.array([7, 3, 7]), 8).tolist(), known.codes(np.array([5, 7]), 8).tolist(), known.values.tolist()
    ([0, 1, 0], [2, 0], [7, 3, 5])
    """

    def __init__(self) -> None:
        super().__init__()
        self._cells: npt.NDArray[np.int32] = np.empty(0, np.int32)

    def codes(self, integers: Codes, cells: int) -> npt.NDArray[np.int32]:
        """The code of each of some integers, which are below so many."""
        if cells > len(self._cells):
            grown = np.full(max(cells, len(self._cells) * 5 // 4), -1, np.int32)
            grown[: len(self._cells)] = self._cells
            self._cells = grown
        codes: npt.NDArray[np.int32] = self._cells.take(integers)
        if codes.min(initial=0) < 0:
            rows = np.flatnonzero(codes < 0)
            codes[rows] = self._learned(integers[rows])
        return codes

    def _learned(self, integers: Codes) -> npt.NDArray[np.int32]:
        """The codes of integers that have none, by the first row of each: NumPy writes in order, so that one goes last."""
        marks = -2 - np.arange(len(integers), dtype=np.int32)
        self._cells[integers[::-1]] = marks[::-1]
        fresh = integers[self._cells.take(integers) == marks]
        self._cells[fresh] = self.add(fresh)
        return self._cells.take(integers)
