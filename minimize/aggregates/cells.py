"""Sums of integers per cell of a sparse matrix of codes: what quantiles, shares and histograms are worked out from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.base import Codes
from minimize.aggregates.dense import Dense
from minimize.codebook import are_same, pack, unpack

Weights = npt.NDArray[np.int64]


class Cells:
    """Per (row, column) the sums of some integers. Takes batches in at a cost that stays near-linear in what it has seen.

    >>> cells = Cells()
    >>> cells.add(np.array([0, 0, 1]), np.array([7, 7, 7]))
    >>> [part.tolist() for part in cells.settle()]
    [[0, 1], [7, 7], [[2], [1]]]
    """

    def __init__(self) -> None:
        self._dense = Dense()
        self._keys: Codes = np.empty(0, np.int64)
        self._sums: Weights = np.empty((0, 1), np.int64)
        self._pending: list[tuple[Codes, Weights]] = []
        self._waiting = 0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        sparse = [(self._keys, self._sums), *self._pending]
        return self._dense.nbytes + sum(keys.nbytes + sums.nbytes for keys, sums in sparse)

    def add(self, rows: Codes, columns: Codes, weights: Weights | None = None) -> None:
        """Adds to the cells of equally long codes: one, or these integers."""
        if weights is not None:
            self._put(*summed(rows, columns, weights))
        elif not self._dense.add(rows, columns):
            self._empty()
            self._put(*counted(rows, columns))

    def merge(self, other: Self, rows: Codes | None = None, columns: Codes | None = None) -> None:
        """Adds other cells; `rows[i]` and `columns[i]` are our codes for their code i (None: the same codes)."""
        same = all(codes is None or are_same(codes) for codes in (rows, columns))
        if same and other._is_dense and self._dense.merge(other._dense):
            return
        theirs, across, sums = other.settle()
        self.add(theirs if rows is None else rows[theirs], across if columns is None else columns[across], sums)

    def settle(self) -> tuple[Codes, Codes, Weights]:
        """Rows, columns and sums of the cells that were seen, ordered by row, then column."""
        self._empty()
        self._compact()
        return (*unpack(self._keys), self._sums)

    def sums_per_row(self, rows: int) -> Codes:
        """The first sum of each row, over its columns."""
        theirs, _, sums = self.settle()
        total = np.zeros(rows, np.int64)
        np.add.at(total, theirs, sums[:, 0])
        return total

    @property
    def _is_dense(self) -> bool:
        return not self._pending and not len(self._keys)

    def _empty(self) -> None:
        rows, columns, counts = self._dense.taken()
        if len(rows):
            self._put(pack(rows, columns), counts[:, None])

    def _put(self, keys: Codes, sums: Weights) -> None:
        self._pending.append((keys, sums))
        self._waiting += len(keys)
        if self._waiting > len(self._keys):
            self._compact()

    def _compact(self) -> None:
        if not self._pending:
            return
        if not len(self._keys) and len(self._pending) == 1:
            ((self._keys, self._sums),) = self._pending
            self._pending, self._waiting = [], 0
            return
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._pending)])
        sums = np.concatenate([self._sums, *(sums for _, sums in self._pending)])
        self._keys, self._sums = reduced(keys, sums)
        self._pending, self._waiting = [], 0


def counted(rows: Codes, columns: Codes) -> tuple[Codes, Weights]:
    """Each distinct pair once, in order, and how often it comes."""
    grid = _grid(rows, columns)
    if grid is None:
        keys = np.sort(pack(rows, columns))
        starts = _starts(keys)
        return keys[starts], np.diff(starts, append=len(keys))[:, None].astype(np.int64)
    counts = np.bincount(grid.places)
    seen = np.flatnonzero(counts)
    return grid.keys(seen), counts[seen, None].astype(np.int64)


def summed(rows: Codes, columns: Codes, weights: Weights) -> tuple[Codes, Weights]:
    """Each distinct pair once, in order, and the sums of its weights."""
    grid = _grid(rows, columns)
    if grid is None:
        return reduced(pack(rows, columns), weights)
    seen = np.flatnonzero(np.bincount(grid.places))
    sums = np.zeros((grid.size, weights.shape[1]), np.int64)
    for column in range(weights.shape[1]):
        np.add.at(sums[:, column], grid.places, weights[:, column])
    return grid.keys(seen), sums[seen]


def reduced(keys: Codes, weights: Weights) -> tuple[Codes, Weights]:
    """Each distinct key once, in order, and the sums of its weights."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = _starts(keys)
    return (keys[starts], np.add.reduceat(weights[order], starts, axis=0)) if len(keys) else (keys, weights)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Pairs of codes as places in a small dense matrix, where counting needs no sorting."""

    places: Codes
    lowest: int
    width: int
    size: int

    def keys(self, places: Codes) -> Codes:
        return pack(places // self.width, places % self.width + self.lowest)


def _grid(rows: Codes, columns: Codes) -> _Grid | None:
    """The grid, where it is not much larger than what it has to hold."""
    if not len(rows):
        return None
    lowest = int(columns.min())
    width = int(columns.max()) - lowest + 1
    size = (int(rows.max()) + 1) * width
    return _Grid(rows * width + (columns - lowest), lowest, width, size) if size <= 4 * len(rows) + 4096 else None


def _starts(keys: Codes) -> Codes:
    return np.flatnonzero(np.concatenate([np.ones(min(len(keys), 1), np.bool_), keys[1:] != keys[:-1]]))
