"""The smallest or largest value per group: what both measures have in common, and their tally."""

from __future__ import annotations

from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import ORDERED_TYPES, Measure, MeasureTally, MeasureTerms
from minimize.arrow.dictionaries import Codes
from minimize.spill import HashWords


class ExtremeMeasure(Measure):
    """An extreme value, as released. Its name is that of the aggregation in Arrow."""

    takes = ORDERED_TYPES
    revealed_counts = "none"
    needs_bounds = False
    hidden_cells = "none"
    of: str

    @property
    def noise_obstacle(self) -> tuple[str, str]:
        """A quantile is possible in its place."""
        instead = f"Use a quantile over a `bin`, such as `quantile: {{of: {self.of}, q: 0.9}}`."
        return f"a {self.name} is one person's value, which noise cannot hide", instead

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return ExtremeTally(self.accepted_type(type_), self.name)


class ExtremeTally:
    """One extreme value per group. NaN is ignored."""

    def __init__(self, type_: pa.DataType, aggregation: str) -> None:
        self._aggregation = aggregation
        self._best = pa.table({"group": pa.array([], pa.int64()), "value": pa.array([], type_)})

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        self._take(pa.table({"group": groups, "value": values.cast(self._best.schema.field("value").type)}))

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        theirs = groups[tally._best["group"].to_numpy()]
        self._take(pa.table({"group": theirs, "value": tally._best["value"]}))

    def settle(self, groups: Codes) -> pa.Array:
        """The extreme value of each group; null if it has no value."""
        known = self._best["group"].to_numpy()
        places = np.full(int(max(groups.max(initial=-1), known.max(initial=-1))) + 1, -1, np.int64)
        places[known] = np.arange(len(known))
        rows = places[groups]
        return self._best["value"].combine_chunks().take(pa.array(rows, mask=rows < 0))

    def _take(self, rows: pa.Table) -> None:
        if pa.types.is_floating(rows.schema.field("value").type):
            rows = rows.filter(pc.invert(pc.is_nan(rows["value"])))
        grouped = pa.concat_tables([self._best, rows]).group_by("group", use_threads=False)
        best = grouped.aggregate([("value", self._aggregation)])
        self._best = pa.table({"group": best["group"], "value": best[f"value_{self._aggregation}"]})
