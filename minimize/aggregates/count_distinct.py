"""`count_distinct`: the distinct values of a field in a group."""

from __future__ import annotations

from typing import ClassVar, Self

import pyarrow as pa

from minimize.aggregates.base import Codes, Measure, MeasureTally, Terms, is_scalar, required
from minimize.aggregates.pairs import Pairs
from minimize.codebook import Codebook
from minimize.spill import Aside, Words


class CountDistinct(Measure):
    """The number of distinct values of a field, nulls not counted; subjects are counted as given, not as pseudonyms.

    Takes every type that is not nested. Gives int64, rounded where the aggregate says so.
    """

    name: ClassVar[str] = "count_distinct"
    about: ClassVar[str] = "the number of distinct values"
    of: str

    def gives(self, type_: pa.DataType | None) -> pa.DataType:
        """Always int64. Raises MeasureRefused for nested fields."""
        required(type_, "every type that is not nested", is_scalar)
        return pa.int64()

    def start(self, type_: pa.DataType | None, terms: Terms) -> MeasureTally:
        """An empty tally."""
        return DistinctTally(required(type_, "every type that is not nested", is_scalar), terms)


class DistinctTally:
    """Distinct values per group."""

    def __init__(self, type_: pa.DataType, terms: Terms) -> None:
        self._terms = terms
        self._values = Codebook(type_)
        self._seen = Pairs()

    @property
    def nbytes(self) -> int:
        """Bytes that could be set aside."""
        return self._seen.nbytes + self._values.nbytes

    def set_aside(self, aside: Aside, subjects: Words) -> None:
        """Keeps no value: their hashes are set aside."""
        self._seen.set_aside(aside, aside.hasher(self._values.values))
        self._values = Codebook(self._values.values.type)

    def observe(self, groups: Codes, values: pa.Array | None, subjects: Codes) -> None:
        """Takes rows in."""
        if values is not None:
            self._seen.add(groups, self._values.encode(values))

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Takes another tally in."""
        self._seen.merge(other._seen, groups, self._values.codes(other._values.values))

    def settle(self, groups: Codes) -> pa.Array:
        """Distinct values per group."""
        return pa.array(self._terms.rounded(self._seen.distinct(groups)), pa.int64())
