"""`count`: the rows of a group."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from minimize.aggregates.base import Codes, Measure, MeasureTally, Terms


class Count(Measure):
    """The rows of a group; with a key below a list, the records that have one of the group's elements.

    Takes no field. Gives int64, rounded where the aggregate says so.
    """

    name: ClassVar[str] = "count"
    about: ClassVar[str] = "the number of rows"
    of: None = None

    def gives(self, type_: pa.DataType | None) -> pa.DataType:
        """Always int64."""
        return pa.int64()

    def start(self, type_: pa.DataType | None, terms: Terms) -> MeasureTally:
        """An empty tally."""
        return CountTally(terms)


class CountTally:
    """Rows per group."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._rows: Codes = np.zeros(0, np.int64)

    def observe(self, groups: Codes, values: pa.Array | None, subjects: Codes) -> None:
        """Takes rows in."""
        self._add(np.bincount(groups, minlength=len(self._rows)).astype(np.int64))

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Takes another tally in."""
        if len(other._rows):
            ours = np.zeros(int(groups.max()) + 1, np.int64)
            ours[groups[: len(other._rows)]] = other._rows
            self._add(ours)

    def settle(self, groups: int) -> pa.Array:
        """Rows per group."""
        self._add(np.zeros(groups, np.int64))
        return pa.array(self._terms.rounded(self._rows[:groups]), pa.int64())

    def _add(self, rows: Codes) -> None:
        total = np.zeros(max(len(rows), len(self._rows)), np.int64)
        total[: len(rows)] += rows
        total[: len(self._rows)] += self._rows
        self._rows = total
