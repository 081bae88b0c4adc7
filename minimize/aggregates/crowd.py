"""Rows, and the distinct subjects behind them, of each of many cells: what shares and histograms are held against."""

from __future__ import annotations

from typing import Self

import numpy as np

from minimize.aggregates.base import Codes
from minimize.aggregates.beyond import Beyond
from minimize.aggregates.cells import Cells
from minimize.aggregates.vector import Vector
from minimize.codebook import pack, unpack
from minimize.spill import Aside, Words


class Crowd:
    """Per cell the rows and the distinct subjects.

    >>> crowd = Crowd()
    >>> crowd.add(np.array([0, 0, 0, 1]), np.array([7, 7, 8, -1]))
    >>> [part.tolist() for part in crowd.settle(np.array([0, 1]))]
    [[3, 1], [2, 0]]
    """

    def __init__(self) -> None:
        self._cells = Cells()
        self._rows = Vector()
        self._beyond: Beyond | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that could be set aside."""
        return self._cells.nbytes

    def add(self, cells: Codes, subjects: Codes) -> None:
        """Takes rows in: the cell and the subject (-1 for none) of each."""
        self._cells.add(cells, subjects + 1)

    def merge(self, other: Self, cells: Codes, subjects: Codes) -> None:
        """Takes another crowd in; `cells[i]` and `subjects[i]` are our codes for their code i."""
        self._cells.merge(other._cells, cells, np.append(0, subjects + 1))
        self._rows.merge(other._rows, cells)
        if other._beyond is not None:
            self._beyond = Beyond.merged(self._beyond, other._beyond, cells)

    def set_aside(self, aside: Aside, subjects: Words) -> None:
        """Keeps no more than the rows of each cell; its subjects, by their hashes, are set aside."""
        cells, columns, counts = self._cells.settle()
        if len(cells):
            self._rows.weigh(cells, counts[:, 0].astype(np.float64))
            known = columns > 0
            self._beyond = self._beyond or Beyond(aside, bits=0)
            self._beyond.add(cells[known], subjects[columns[known] - 1])
            self._cells = Cells()

    def together(self, owners: Codes, groups: int) -> Codes:
        """The distinct subjects of several cells together, of so many groups: cell i is in group `owners[i]`, or none (-1)."""
        if self._beyond is not None:
            return self._beyond.regrouped(owners).distinct(np.arange(groups))
        cells, subjects, _ = self._cells.settle()
        kept = (subjects > 0) & (owners[cells] >= 0)
        pairs = np.unique(pack(owners[cells[kept]], subjects[kept]))
        return np.bincount(unpack(pairs)[0], minlength=groups)

    def settle(self, cells: Codes) -> tuple[Codes, Codes]:
        """Of some cells the rows, and the distinct subjects. Where some are set aside, all must be."""
        rows, subjects, _ = self._cells.settle()
        reach = int(cells.max(initial=-1)) + 1
        total = self._rows.of(cells)
        if self._beyond is not None:
            return total, self._beyond.distinct(cells)
        distinct = np.bincount(rows[subjects > 0], minlength=reach)
        held = self._cells.sums_per_row(max(reach, int(rows.max(initial=-1)) + 1))
        return total + held[cells], distinct[cells]
