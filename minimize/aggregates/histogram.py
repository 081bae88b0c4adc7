"""`histogram`: the number of occurrences of each value of a field in a group."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Measure, MeasureTally, MeasureTerms, is_scalar, require_type
from minimize.aggregates.distinct_counts import CellCounts
from minimize.arrow.dictionaries import Codes, pack_codes, unpack_codes
from minimize.arrow.value_dictionary import ValueDictionary
from minimize.spill import HashWords, SpillSpace

_TAKES = "every type that is not nested"


class Histogram(Measure):
    """The values of a group, each with its number of rows: a list of (value, count), ordered by value, nulls not counted.

    Takes every type that is not nested. Cells with fewer than `below` distinct subjects are not published, not even
    their values. If a group has such cells, one last cell has neither value nor count. Counts are rounded if the aggregate
    defines it.
    """

    name: ClassVar[str] = "histogram"
    about: ClassVar[str] = (
        "each value and its number of rows; small cells are merged into one cell without value and count"
    )
    of: str

    def output_type(self, type_: pa.DataType | None) -> pa.DataType:
        """A list of structs of value and count. Raises MeasureRefused."""
        kind = require_type(type_, _TAKES, is_scalar)
        return pa.list_(pa.struct([("value", kind), ("count", pa.int64())]))

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return HistogramTally(require_type(type_, _TAKES, is_scalar), terms)


class HistogramTally:
    """Rows per cell (a group and a value) and subject."""

    def __init__(self, type_: pa.DataType, terms: MeasureTerms) -> None:
        self._type = type_
        self._terms = terms
        self._values = ValueDictionary(type_)
        self._cells = ValueDictionary(pa.int64())
        self._rows = CellCounts()

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return self._rows.nbytes

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Spills the subjects of all cells by their hashes."""
        self._rows.spill(space, subjects)

    def observe(self, groups: Codes, values: pa.Array | None, subjects: Codes) -> None:
        """Adds rows."""
        if values is not None:
            cells = self._cells.encode(pa.array(pack_codes(groups, self._values.encode(values))))
            self._rows.add(cells, subjects)

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Merges another tally."""
        theirs, values = unpack_codes(other._cells.values.to_numpy())
        cells = pack_codes(groups[theirs], self._values.codes(other._values.values)[values])
        self._rows.merge(other._rows, self._cells.codes(pa.array(cells)), subjects)

    def settle(self, groups: Codes) -> pa.Array:
        """The cells of each group, ordered by value. Small cells are merged into one last cell without value and count."""
        rows, values = unpack_codes(self._cells.values.to_numpy())
        count, subjects = self._rows.settle(np.arange(len(self._cells)))
        large = subjects >= self._terms.below
        order = np.lexsort((self._ranks()[values], rows))
        order = order[large[order] & np.isin(rows[order], groups)]
        hidden = np.intersect1d(rows[~large], groups)
        owners = np.concatenate([rows[order], hidden])
        places = pa.array(np.argsort(owners, kind="stable"))
        nothing = pa.nulls(len(hidden), pa.int64())
        cells = pa.StructArray.from_arrays(
            [
                self._values.values.take(_append_nulls(values[order], nothing).take(places)).cast(self._type),
                _append_nulls(self._terms.rounded(count)[order], nothing).take(places),
            ],
            fields=list(self.type.value_type),
        )
        offsets = np.append(0, np.searchsorted(np.sort(owners), groups, side="right"))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), cells, type=self.type)

    def hidden_subjects(self, groups: Codes) -> Codes:
        """The number of distinct subjects in the hidden cells of each group together."""
        owners, _ = unpack_codes(self._cells.values.to_numpy())
        _, subjects = self._rows.settle(np.arange(len(self._cells)))
        places = np.full(int(max(owners.max(initial=-1), groups.max(initial=-1))) + 1, -1)
        places[groups] = np.arange(len(groups))
        hidden = np.where(subjects < self._terms.below, places[owners], -1)
        return self._rows.distinct_together(hidden, len(groups))

    @property
    def type(self) -> pa.DataType:
        """The type of the column."""
        return pa.list_(pa.struct([("value", self._type), ("count", pa.int64())]))

    def _ranks(self) -> Codes:
        """The rank of each value among all values."""
        by_value = pc.sort_indices(self._values.values).to_numpy().astype(np.int64)
        ranks = np.empty(len(by_value), np.int64)
        ranks[by_value] = np.arange(len(by_value))
        return ranks


def _append_nulls(numbers: Codes, nothing: pa.Array) -> pa.Array:
    return pa.concat_arrays([pa.array(numbers, pa.int64()), nothing])
