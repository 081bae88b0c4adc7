"""`sum`: the exact sum of a field, rounded once."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from math import hypot
from typing import TYPE_CHECKING, ClassVar, Self

import pyarrow as pa

from minimize.aggregates.base import NUMBERS, Measure, MeasureTally, MeasureTerms, StatedNoise
from minimize.aggregates.exact_sums import ExactSums, ExactTotal
from minimize.arrow.dictionaries import Codes
from minimize.spill import HashWords

if TYPE_CHECKING:
    from minimize.aggregates.base import ValueBounds
    from minimize.aggregates.definition import BoundMeasure, SubjectLimits
    from minimize.aggregates.noisy_figures import NoisyRows


class Sum(Measure):
    """The sum of the values that are not null.

    Takes numbers. Gives int64 for integers, double for doubles, a decimal of 38 digits (76 for a wide one) for decimals: exact,
    doubles rounded once. Null if fewer than `below` subjects contribute a value, or if the sum does not fit the type.
    """

    name: ClassVar[str] = "sum"
    about: ClassVar[str] = "the exact sum"
    takes = NUMBERS
    takes_noise = True
    shown_values = "none"
    hidden_cells = "together"
    sums_values = True
    depends_on_rows = True
    adds_up = True
    of: str

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """int64, double or decimal. Raises MeasureRefused."""
        kind = self.accepted_type(type_)
        if pa.types.is_decimal256(kind):
            return pa.decimal256(76, kind.scale)
        if pa.types.is_decimal(kind):
            return pa.decimal128(38, kind.scale)
        return pa.int64() if pa.types.is_integer(kind) else pa.float64()

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return SumTally(self.output_type(type_))

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The noisy sum, on its grid; null where too few subjects have a value, or if the sum does not fit the type."""
        type_ = self.output_type(measured.plain)
        totals = rows.sums_of(measured).totals()
        return pa.array([None if each is None else _fraction_as(each, type_) for each in totals], type_)

    def stated_noise(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> StatedNoise:
        """That of the values of one subject, and of their number."""
        distance, middle = (0.0, 0.0) if bounds is None else (bounds.distance, float(bounds.middle))
        return StatedNoise(deviation * limits.rows * hypot(distance, middle), typical=abs(middle) or distance / 2)


class SumTally:
    """Exact sums per group."""

    def __init__(self, output_type: pa.DataType) -> None:
        self._gives = output_type
        self._sums = ExactSums()

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        self._sums.add(groups, values)

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._sums.merge(tally._sums, groups)

    def settle(self, groups: Codes) -> pa.Array:
        """The sum of each group."""
        return pa.array([_total_as(total, self._gives) for total in self._sums.totals(groups)], self._gives)


def _fraction_as(total: Fraction, type_: pa.DataType) -> int | float | Decimal | None:
    """A multiple of a power of ten in a type."""
    if pa.types.is_floating(type_):
        return total.numerator / total.denominator
    scale = type_.scale if pa.types.is_decimal(type_) else 0
    return _total_as(ExactTotal(round(total * 10**scale)), type_)


def _total_as(total: ExactTotal, type_: pa.DataType) -> int | float | Decimal | None:
    if pa.types.is_floating(type_):
        return total.divide_by(1)
    if pa.types.is_decimal(type_):
        if abs(total.integer) >= 10**type_.precision:
            return None
        return Decimal(total.integer).scaleb(-type_.scale, Context(prec=type_.precision))
    return total.integer if -(2**63) <= total.integer < 2**63 else None
