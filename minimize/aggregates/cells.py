"""Cell measures: their figures are numbers of rows with each value of a field, or with some of its values.

Each of these numbers is in a cell. It can be compared with the same cell of another table or of an earlier release, so each
cell has a name and a contribution sketch of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from minimize.aggregates.base import Measure, MeasureTally
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure
from minimize.arrow.dictionaries import Bools, Codes


def cell_name(values: Iterable[str]) -> str:
    """The name of the cell of rows with one of some values."""
    return "is:" + json.dumps(sorted(values))


def complement_name(values: Iterable[str]) -> str:
    """The name of the cell of rows with any other value."""
    return "not:" + json.dumps(sorted(values))


class CellMeasure(Measure):
    """A measure that publishes numbers of rows with some values. Types are the (plain) types of the measured field."""

    def cell_keys(self, values: pa.Array, type_: pa.DataType) -> pa.Array:
        """The key of the cell of each value, as text."""
        if pa.types.is_dictionary(values.type):
            return pa.DictionaryArray.from_arrays(values.indices, self.cell_keys(values.dictionary, type_))
        return values.cast(pa.string())

    def name_of_cell(self, key: str) -> str:
        """The name of the cell of a key."""
        return cell_name([key])

    def published_cells(self, column: pa.ChunkedArray, type_: pa.DataType) -> Iterator[tuple[str, Bools]]:
        """The names of the published cells of a column of the measure, each with the rows that contain it."""
        raise NotImplementedError

    @classmethod
    def additional_measures(cls, definition: AggregateDefinition) -> Iterator[BoundMeasure]:
        """The measures of this class that an aggregate tallies but does not publish, to find what its figures disclose."""
        yield from ()

    @classmethod
    def suppressed_measures(
        cls, definition: AggregateDefinition, tallies: Mapping[BoundMeasure, MeasureTally], groups: Codes, below: int
    ) -> Iterator[tuple[BoundMeasure, Bools]]:
        """The measures of an aggregate that, together with measures of this class, disclose fewer than `below` subjects.

        Each comes with a mask over the groups. Takes the tallies of the aggregate's measures and of the additional ones.
        """
        yield from ()
