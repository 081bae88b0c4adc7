"""`min`: the smallest value of a field."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

from minimize.aggregates.base import Measure, MeasureTally, MeasureTerms, is_ordered, require_type
from minimize.aggregates.extreme_tally import ExtremeTally

_TAKES = "numbers, timestamps, dates"


class Min(Measure):
    """The smallest value, as released.

    Takes numbers, timestamps and dates, and gives the same type. Null if fewer than `below` subjects contribute a value.
    """

    name: ClassVar[str] = "min"
    about: ClassVar[str] = "the smallest released value"
    of: str

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """The field's type. Raises MeasureRefused."""
        return require_type(type_, _TAKES, is_ordered)

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return ExtremeTally(self.output_type(type_), "min")
