"""`histogram`: the number of occurrences of each value of a field in a group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import SCALARS, MeasureTally, MeasureTerms
from minimize.aggregates.cells import CellMeasure, cell_name
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure
from minimize.aggregates.distinct_subjects import DistinctSubjects
from minimize.aggregates.exact_sums import GroupSums
from minimize.arrow.dictionaries import Bools, Codes, pack_codes, unpack_codes
from minimize.arrow.value_dictionary import ValueDictionary
from minimize.spill import HashWords


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
    shown_values = "frequent"
    revealed_counts = "rounded"
    needs_bounds = False
    hidden_cells = "none"
    presentation = "each"
    null_reasons = ("a null count: fewer than {below} subjects have the value",)
    of: str

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """A list of structs of value and count. Raises MeasureRefused."""
        return pa.list_(pa.struct([("value", self.accepted_type(type_)), ("count", pa.int64())]))

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return HistogramTally(self.output_type(type_), terms)

    def published_cells(self, column: pa.ChunkedArray, type_: pa.DataType) -> Iterator[tuple[str, Bools]]:
        """The cell of each value that has a count in a row."""
        whole = column.combine_chunks()
        parents, cells = pc.list_parent_indices(whole).to_numpy(), pc.list_flatten(whole)
        values = pc.struct_field(cells, "value").cast(pa.string()).dictionary_encode()
        shown = pc.struct_field(cells, "count").is_valid().to_numpy(zero_copy_only=False)
        indices = values.indices.fill_null(-1).to_numpy()
        for code, value in enumerate(values.dictionary.to_pylist()):
            mask = np.zeros(len(whole), np.bool_)
            mask[parents[shown & (indices == code)]] = True
            yield cell_name([value]), mask

    @classmethod
    def additional_measures(cls, definition: AggregateDefinition) -> Iterator[BoundMeasure]:
        """The histograms that other tables publish of fields that this one measures."""
        fields = {each.measure.of for each in definition.measures.values()}
        for each in definition.related_measures:
            if isinstance(each.measure, cls) and each.measure.of in fields:
                yield each

    @classmethod
    def suppressed_measures(
        cls, definition: AggregateDefinition, tallies: Mapping[BoundMeasure, MeasureTally], groups: Codes, below: int
    ) -> Iterator[tuple[BoundMeasure, Bools]]:
        """Measures whose figures contain hidden cells: apart from each other, or all together with few subjects."""
        for histogram in dict.fromkeys([*definition.measures.values(), *definition.related_measures]):
            tally = tallies.get(histogram)
            if not isinstance(tally, HistogramTally):
                continue
            hidden = tally.hidden_subjects(groups)
            small = {"apart": hidden > 0, "together": (hidden > 0) & (hidden < below)}
            for each in definition.measures.values():
                if each.measure.of == histogram.measure.of and each.measure.hidden_cells in small:
                    yield each, small[each.measure.hidden_cells]


class HistogramTally:
    """Rows and subjects per cell: a group and a value."""

    def __init__(self, type_: pa.DataType, terms: MeasureTerms) -> None:
        self._type = type_
        self._terms = terms
        self._values = ValueDictionary(type_.value_type.field("value").type)
        self._cells = ValueDictionary(pa.int64())
        self._rows = GroupSums()
        self._subjects = DistinctSubjects(terms.space)

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        cells = self._cells.encode(pa.array(pack_codes(groups, self._values.encode(values))))
        self._rows.count(cells)
        self._subjects.add(cells, subjects)

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges another tally."""
        theirs, values = unpack_codes(other._cells.values.to_numpy())
        cells = pack_codes(groups[theirs], self._values.codes(other._values.values)[values])
        ours = self._cells.codes(pa.array(cells))
        self._rows.merge(other._rows, ours)
        self._subjects.merge(other._subjects, ours)

    def settle(self, groups: Codes) -> pa.Array:
        """The cells of each group, ordered by value. Small cells are merged into one last cell without value and count."""
        rows, values = unpack_codes(self._cells.values.to_numpy())
        every = np.arange(len(self._cells))
        count, subjects = self._rows.select(every), self._subjects.count(every)
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
        owners, _ = unpack_codes(self._cells.values.to_numpy())
        subjects = self._subjects.count(np.arange(len(self._cells)))
        places = np.full(int(max(owners.max(initial=-1), groups.max(initial=-1))) + 1, -1)
        places[groups] = np.arange(len(groups))
        hidden = np.where(subjects < self._terms.below, places[owners], -1)
        together = DistinctSubjects(self._terms.space)
        together.merge(self._subjects, hidden)
        return together.count(np.arange(len(groups)))

    def _ranks(self) -> Codes:
        """The rank of each value among all values."""
        by_value = pc.sort_indices(self._values.values).to_numpy().astype(np.int64)
        ranks = np.empty(len(by_value), np.int64)
        ranks[by_value] = np.arange(len(by_value))
        return ranks


def _append_nulls(numbers: Codes, nothing: pa.Array) -> pa.Array:
    return pa.concat_arrays([pa.array(numbers, pa.int64()), nothing])
