"""`count_distinct`: the distinct values of a field in a group."""

from __future__ import annotations

from typing import ClassVar, Self

import pyarrow as pa

from minimize.aggregates.base import SCALARS, Measure, MeasureTally, MeasureTerms
from minimize.aggregates.distinct_counts import DistinctPairs
from minimize.arrow.dictionaries import Codes
from minimize.arrow.value_dictionary import ValueDictionary
from minimize.spill import HashWords, SpillSpace


class CountDistinct(Measure):
    """The number of distinct values of a field, nulls not counted; subjects are counted by their ids, not by pseudonyms.

    Takes every type that is not nested. Gives int64, rounded if the aggregate defines it.
    """

    name: ClassVar[str] = "count_distinct"
    about: ClassVar[str] = "the number of distinct values"
    takes = SCALARS
    result_type = pa.int64()
    shown_values = "none"
    revealed_counts = "rounded"
    counts_distinct = True
    needs_bounds = False
    hidden_cells = "together"
    presentation = "none"
    of: str

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return CountDistinctTally(self.accepted_type(type_), terms)


class CountDistinctTally:
    """Distinct values per group."""

    def __init__(self, type_: pa.DataType, terms: MeasureTerms) -> None:
        self._terms = terms
        self._values = ValueDictionary(type_)
        self._seen = DistinctPairs()

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return self._seen.nbytes + self._values.nbytes

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Spills the hashes of the values, and removes the values."""
        self._seen.spill(space, space.hasher(self._values.values))
        self._values = ValueDictionary(self._values.values.type)

    def observe(self, groups: Codes, values: pa.Array, subjects: Codes) -> None:
        """Adds rows."""
        self._seen.add(groups, self._values.encode(values))

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Merges another tally."""
        self._seen.merge(other._seen, groups, self._values.codes(other._values.values))

    def settle(self, groups: Codes) -> pa.Array:
        """Distinct values per group."""
        return pa.array(self._terms.rounded(self._seen.distinct(groups)), pa.int64())
