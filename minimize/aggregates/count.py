"""`count`: the rows of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import pyarrow as pa

from minimize.aggregates.base import Measure, MeasureTally, MeasureTerms, StatedNoise
from minimize.aggregates.exact_sums import GroupSums
from minimize.arrow.dictionaries import Codes
from minimize.spill import HashWords

if TYPE_CHECKING:
    from minimize.aggregates.base import ValueBounds
    from minimize.aggregates.definition import BoundMeasure, SubjectLimits
    from minimize.aggregates.noisy_figures import NoisyRows


class Count(Measure):
    """The rows of a group; with a key below a list, the records that have one of the group's elements.

    Takes no field. Gives int64, rounded if the aggregate defines it.
    """

    name: ClassVar[str] = "count"
    about: ClassVar[str] = "the number of rows"
    result_type = pa.int64()
    takes_noise = True
    shown_values = "none"
    revealed_counts = "rounded"
    depends_on_rows = True
    adds_up = True
    of: None = None

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return CountTally(terms)

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The noisy number of rows."""
        return pa.array(rows.rows(), pa.int64())

    def stated_noise(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> StatedNoise:
        """That of the rows of one subject."""
        return StatedNoise(deviation * limits.rows)


class CountTally:
    """Rows per group."""

    def __init__(self, terms: MeasureTerms) -> None:
        self._terms = terms
        self._rows = GroupSums()

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        self._rows.count(groups)

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._rows.merge(tally._rows, groups)

    def settle(self, groups: Codes) -> pa.Array:
        """Rows per group."""
        return pa.array(self._terms.rounded(self._rows.select(groups)), pa.int64())
