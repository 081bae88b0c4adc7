"""`mean`: the exact sum of a field over its values, rounded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import pyarrow as pa

from minimize.aggregates.base import NUMBERS, Measure, MeasureTally, MeasureTerms, StatedNoise
from minimize.aggregates.exact_sums import ExactSums, GroupSums
from minimize.arrow.dictionaries import Codes
from minimize.spill import HashWords

if TYPE_CHECKING:
    from minimize.aggregates.base import ValueBounds
    from minimize.aggregates.definition import BoundMeasure, SubjectLimits
    from minimize.aggregates.noisy_figures import NoisyRows


class Mean(Measure):
    """The mean of the values that are not null.

    Takes numbers. Gives a double: the exact sum, divided and rounded once. Null if fewer than `below` subjects contribute a
    value.
    """

    name: ClassVar[str] = "mean"
    about: ClassVar[str] = "the exact mean, rounded once"
    takes = NUMBERS
    result_type = pa.float64()
    takes_noise = True
    shown_values = "none"
    hidden_cells = "together"
    sums_values = True
    depends_on_rows = True
    of: str

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        kind = self.accepted_type(type_)
        return MeanTally(10**kind.scale if pa.types.is_decimal(kind) else 1)

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The noisy mean, on its grid; null where too few subjects have a value."""
        return pa.array(rows.sums_of(measured).means(), pa.float64())

    def stated_noise(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> StatedNoise:
        """That of the sum, divided by the number of values."""
        values = deviation * limits.rows
        distance, middle = (0.0, 0.0) if bounds is None else (bounds.distance, float(bounds.middle))
        return StatedNoise(values * distance, "the number of values", values, middle, distance)


class MeanTally:
    """Exact sums and counts per group. `unit` is the denominator of the units of a decimal."""

    def __init__(self, unit: int) -> None:
        self._unit = unit
        self._sums = ExactSums()
        self._counts = GroupSums()

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        self._sums.add(groups, values)
        self._counts.count(groups)

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._sums.merge(tally._sums, groups)
        self._counts.merge(tally._counts, groups)

    def settle(self, groups: Codes) -> pa.Array:
        """The mean of each group; null if it has no value."""
        totals, counts = self._sums.totals(groups), self._counts.select(groups).tolist()
        # A loop over groups: one division of whole numbers beyond 64 bits rounds once.
        means = [
            total.divide_by(count * self._unit) if count else None for total, count in zip(totals, counts, strict=True)
        ]
        return pa.array(means, pa.float64())
