"""`histogram`: the number of occurrences of each value of a field in a group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from minimize.aggregates.base import SCALARS, MeasureTally, MeasureTerms
from minimize.aggregates.cells import CellMeasure, CellTally
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure
from minimize.aggregates.distinct_subjects import DistinctSubjects
from minimize.arrow.dictionaries import Bools, Codes, unpack_codes

if TYPE_CHECKING:
    from minimize.aggregates.noisy_figures import NoisyRows


class Histogram(CellMeasure):
    """The values of a group, each with its number of rows: a list of (value, count), ordered by value, nulls not counted.

    Takes every type that is not nested. Cells with fewer than `below` distinct subjects are not published, not even
    their values. If a group has such cells, one last cell has neither value nor count. Counts are rounded if the aggregate
    defines it.
    """

    name: ClassVar[str] = "histogram"
    about: ClassVar[str] = (
        "each value and its number of rows; small cells are merged into one cell without value and count"
    )
    takes = SCALARS
    takes_noise = True
    shown_values = "frequent"
    revealed_counts = "rounded"
    needs_bounds = False
    hidden_cells = "none"
    null_reasons = ("a null count: fewer than {below} subjects have the value",)
    of: str

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """A list of structs of value and count. Raises MeasureRefused."""
        return pa.list_(pa.struct([("value", self.accepted_type(type_)), ("count", pa.int64())]))

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return HistogramTally(self.output_type(type_), terms)

    def start_noisy(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return self.start(type_, terms)

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The values that enough subjects have, each with its noisy number of subjects. Other values are absent."""
        assert isinstance(tally, HistogramTally)
        assert measured.measured_field is not None
        cells = tally.cells(rows.groups)
        noisy, is_shown = rows.cells(measured.measured_field, cells.values, cells.rows, cells.subjects)
        shown = np.flatnonzero(is_shown)
        return cells.listed(pa.array(noisy), shown, len(rows), self.output_type(measured.plain))

    @classmethod
    def suppressed_measures(
        cls, definition: AggregateDefinition, tallies: Mapping[BoundMeasure, MeasureTally], groups: Codes, below: int
    ) -> Iterator[tuple[BoundMeasure, Bools]]:
        """Measures whose statistics contain hidden cells: apart from each other, or all together with few subjects."""
        for histogram in dict.fromkeys(definition.measures.values()):
            tally = tallies.get(histogram)
            if not isinstance(tally, HistogramTally):
                continue
            hidden = tally.hidden_subjects(groups)
            small = {"apart": hidden > 0, "together": (hidden > 0) & (hidden < below)}
            for bound_measure in definition.measures.values():
                if bound_measure.measure.of == histogram.measure.of and bound_measure.measure.hidden_cells in small:
                    yield bound_measure, small[bound_measure.measure.hidden_cells]


class HistogramTally(CellTally):
    """The cells of a histogram."""

    def __init__(self, type_: pa.DataType, terms: MeasureTerms) -> None:
        self._type = type_
        super().__init__(type_.value_type.field("value").type, terms)

    def settle(self, groups: Codes) -> pa.Array:
        """The cells of each group, ordered by value. Small cells are merged into one last cell without value and count."""
        rows, values = unpack_codes(self._cells.values)
        cell_codes = np.arange(len(self._cells))
        count, subjects = self._rows.select(cell_codes), self._subjects.count(cell_codes)
        large = subjects >= self._terms.below
        order = np.lexsort((self._ranks()[values], rows))
        order = order[large[order] & np.isin(rows[order], groups)]
        hidden = np.intersect1d(rows[~large], groups)
        owners = np.concatenate([rows[order], hidden])
        places = pa.array(np.argsort(owners, kind="stable"))
        nothing = pa.nulls(len(hidden), pa.int64())
        type_ = self._type.value_type
        cells = pa.StructArray.from_arrays(
            [
                self._values.values.take(_append_nulls(values[order], nothing).take(places)).cast(type_[0].type),
                _append_nulls(self._terms.rounded(count)[order], nothing).take(places),
            ],
            fields=list(type_),
        )
        offsets = np.append(0, np.searchsorted(np.sort(owners), groups, side="right"))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), cells, type=self._type)

    def hidden_subjects(self, groups: Codes) -> Codes:
        """The number of distinct subjects in the hidden cells of each group together."""
        owners, _ = unpack_codes(self._cells.values)
        subjects = self._subjects.count(np.arange(len(self._cells)))
        places = np.full(int(max(owners.max(initial=-1), groups.max(initial=-1))) + 1, -1)
        places[groups] = np.arange(len(groups))
        hidden = np.where(subjects < self._terms.below, places[owners], -1)
        together = DistinctSubjects(self._terms.space)
        together.merge(self._subjects, hidden)
        return together.count(np.arange(len(groups)))


def _append_nulls(numbers: Codes, nothing: pa.Array) -> pa.Array:
    return pa.concat_arrays([pa.array(numbers, pa.int64()), nothing])
