"""`count_distinct`: the distinct values of a field in a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import pyarrow as pa

from minimize.aggregates.base import SCALARS, Measure, MeasureTally, MeasureTerms
from minimize.aggregates.distinct_subjects import DistinctSubjects
from minimize.arrow.dictionaries import Codes
from minimize.spill import HashWords
from minimize.text import brief_number

if TYPE_CHECKING:
    from minimize.aggregates.bounded_values import ValueBounds
    from minimize.aggregates.definition import BoundMeasure, SubjectLimits
    from minimize.aggregates.noise import NoiseKey
    from minimize.aggregates.noisy_figures import NoisyRows


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
    of: str

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        self.accepted_type(type_)
        return CountDistinctTally(terms)

    def start_noisy(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally, without the values of rows that have no subject."""
        self.accepted_type(type_)
        return CountDistinctTally(terms, of_subjects=True)

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The noisy number of distinct values, at least 1; null where too few subjects have a value."""
        assert isinstance(tally, CountDistinctTally)
        assert measured.measured_field is not None
        _, is_shown = rows.with_value(measured.measured_field)
        limit = rows.definition.limits.values
        noise = rows.noise.scaled(rows.figure("distinct", self.of, str(limit)), limit)
        return pa.array(np.maximum(tally.count(rows.groups) + noise, 1), pa.int64(), mask=~is_shown)

    def noise_text(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> str:
        """That of the values of one subject."""
        return brief_number(deviation * limits.values)


class CountDistinctTally:
    """Distinct values per group, by their hashes: of all rows, or of those that have a subject."""

    def __init__(self, terms: MeasureTerms, *, of_subjects: bool = False) -> None:
        self._terms = terms
        self._of_subjects = of_subjects
        self._seen = DistinctSubjects(terms.space)

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        hashes = self._terms.space.hasher(values)
        if self._of_subjects:
            there = subjects.any(axis=1)
            groups, hashes = groups[there], hashes[there]
        self._seen.add(groups, hashes)

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._seen.merge(other._seen, groups)

    def count(self, groups: Codes) -> Codes:
        """The number of distinct values of some groups."""
        return self._seen.count(groups)

    def digest(self, groups: HashWords, key: NoiseKey) -> bytes:
        """A digest of the values of all groups."""
        return self._seen.digest(groups)

    def settle(self, groups: Codes) -> pa.Array:
        """Distinct values per group."""
        return pa.array(self._terms.rounded(self.count(groups)), pa.int64())
