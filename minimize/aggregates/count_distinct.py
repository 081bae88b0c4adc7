"""`count_distinct`: the distinct values of a field in a group."""

from __future__ import annotations

from typing import ClassVar, Self

import pyarrow as pa

from minimize.aggregates.base import SCALARS, Measure, MeasureTally, MeasureTerms
from minimize.aggregates.distinct_subjects import DistinctSubjects
from minimize.arrow.dictionaries import Codes
from minimize.spill import HashWords


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
        self.accepted_type(type_)
        return CountDistinctTally(terms)


class CountDistinctTally:
    """Distinct values per group, by their hashes."""

    def __init__(self, terms: MeasureTerms) -> None:
        self._terms = terms
        self._seen = DistinctSubjects(terms.space)

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        self._seen.add(groups, self._terms.space.hasher(values))

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._seen.merge(other._seen, groups)

    def settle(self, groups: Codes) -> pa.Array:
        """Distinct values per group."""
        return pa.array(self._terms.rounded(self._seen.count(groups)), pa.int64())
