"""`min`: the smallest value of a field."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

from minimize.aggregates.base import ORDERED_TYPES, Measure, MeasureTally, MeasureTerms
from minimize.aggregates.extreme_tally import ExtremeTally


class Min(Measure):
    """The smallest value, as released.

    Takes numbers, timestamps and dates, and gives the same type. Null if fewer than `below` subjects contribute a value.
    """

    name: ClassVar[str] = "min"
    about: ClassVar[str] = "the smallest released value"
    takes = ORDERED_TYPES
    shown_values = "single"
    revealed_counts = "none"
    is_dominated = False
    open_bins = "null"
    hidden_cells = "none"
    presentation = "none"
    of: str

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return ExtremeTally(self.accepted_type(type_), "min")
