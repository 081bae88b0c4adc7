"""Cells of a group: the rows and the subjects with each value of a field; and the measures that publish some of their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Measure, MeasureTally, MeasureTerms
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure
from minimize.aggregates.distinct_subjects import DistinctSubjects, chosen_rows
from minimize.aggregates.exact_sums import GroupSums
from minimize.arrow.codes import IntegerDictionary, ValueDictionary
from minimize.arrow.dictionaries import Bools, Codes, pack_codes, unpack_codes
from minimize.arrow.hashing import SPREAD_FACTOR, mix
from minimize.spill import Accumulator, HashedRows, HashWords

if TYPE_CHECKING:
    from minimize.aggregates.noise import NoiseKey


class CellMeasure(Measure):
    """A measure that publishes numbers of rows, or with noise of subjects, with some values."""

    @classmethod
    def additional_measures(cls, definition: AggregateDefinition) -> Iterator[BoundMeasure]:
        """The measures of this class that an exact aggregate tallies but does not publish, to find what they disclose."""
        yield from ()

    @classmethod
    def suppressed_measures(
        cls, definition: AggregateDefinition, tallies: Mapping[BoundMeasure, MeasureTally], groups: Codes, below: int
    ) -> Iterator[tuple[BoundMeasure, Bools]]:
        """The measures of an aggregate that, together with measures of this class, disclose fewer than `below` subjects.

        Each comes with a mask over the groups. Takes the tallies of the aggregate's measures and of the additional ones.
        """
        yield from ()


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of some rows of a table, ordered by row and value: the row, the value, the distinct subjects, and the
    occurrences of each (zeros where only subjects were counted)."""

    rows: Codes
    values: pa.Array
    subjects: Codes
    occurrences: Codes

    def totals(self, counts: Codes, rows: int) -> Codes:
        """The sum of the counts of the cells of each of all rows."""
        return np.bincount(self.rows, counts, rows).astype(np.int64)

    def at_ranks(self, counts: Codes, ranks: Codes) -> tuple[Codes, Bools]:
        """The cell at which the counts of each row reach a rank, and which rows have one. Takes the rank for each of all rows."""
        reached, totals = np.append(0, np.cumsum(counts)), self.totals(counts, len(ranks))
        starts = reached[np.searchsorted(self.rows, np.arange(len(ranks)))]
        has_rank = (ranks >= 1) & (ranks <= totals)
        return np.searchsorted(reached[1:], starts + np.where(has_rank, ranks, 0)) * has_rank, has_rank

    def listed(self, counts: pa.Array, places: Codes, rows: int, type_: pa.DataType) -> pa.Array:
        """Some of the cells as a list of values and counts for each of all rows."""
        cell_type = type_.value_type
        chosen = pa.array(places)
        cells = pa.StructArray.from_arrays(
            [self.values.take(chosen).cast(cell_type[0].type), counts.take(chosen)], fields=list(cell_type)
        )
        offsets = np.append(0, np.cumsum(np.bincount(self.rows[places], minlength=rows)))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), cells, type=type_)


class CellTally:
    """Rows and subjects per cell: a group and a value. Takes the type of the values."""

    def __init__(self, type_: pa.DataType, terms: MeasureTerms) -> None:
        self._terms = terms
        self._values = ValueDictionary(type_)
        self._cells = IntegerDictionary()
        self._rows = GroupSums()
        self._subjects = DistinctSubjects(terms.space)

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        cells = self._cells.codes(pack_codes(groups, self._values.codes(values)))
        self._rows.count(cells)
        self._subjects.add(cells, subjects)

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        theirs, values = unpack_codes(tally._cells.values)
        cells = pack_codes(groups[theirs], self._values.codes(tally._values.values)[values])
        ours = self._cells.codes(cells)
        self._rows.merge(tally._rows, ours)
        self._subjects.merge(tally._subjects, ours)

    def cells(self, groups: Codes, subjects: Codes | None = None) -> Cells:
        """The cells of some groups. Takes the number of subjects of all cells, if it is not that of all their subjects."""
        owners, values = unpack_codes(self._cells.values)
        rows = np.full(int(max(owners.max(initial=-1), groups.max(initial=-1))) + 1, -1)
        rows[groups] = np.arange(len(groups))
        of_row = rows[owners]
        places = np.flatnonzero(of_row >= 0)
        places = places[np.lexsort((self._ranks()[values[places]], of_row[places]))]
        return Cells(
            of_row[places],
            self._values.values.take(pa.array(values[places])),
            self._subjects.count(places) if subjects is None else subjects[places],
            self._rows.select(places),
        )

    def count_limited(self, key: NoiseKey, limit: int) -> Codes:
        """The number of subjects of each cell, if each subject counts in at most so many cells of a group. A keyed hash of the
        subject and the value chooses them, so that the choice is the same in every run and unrelated to the values."""
        if len(self._values.values) <= limit:
            return self._subjects.count(np.arange(len(self._cells)))  # a group has no more cells than there are values
        owners, values = unpack_codes(self._cells.values)
        of_value = key.hasher(self._values.values)[:, 0]
        rows = Accumulator(self._terms.space, 4, keys=4)
        for pairs in self._subjects.pairs():
            has_subject = pairs.has_subject
            cells, subjects = pairs.owners[has_subject], pairs.subjects[has_subject]
            of_group = subjects[:, 0] ^ owners[cells].astype(np.uint64) * SPREAD_FACTOR
            order = of_value[values[cells]] ^ mix(subjects[:, 1])
            rows.add(HashedRows(np.column_stack([of_group, subjects[:, 1], order, cells.astype(np.uint64)])))
        subject_counts = np.zeros(len(self._cells), np.int64)
        for words in chosen_rows(rows, limit):
            subject_counts += np.bincount(words[:, 3].astype(np.int64), minlength=len(subject_counts))
        return subject_counts

    def digest(self, groups: HashWords, key: NoiseKey) -> bytes:
        """A digest of the subjects of all cells."""
        owners, values = unpack_codes(self._cells.values)
        return self._subjects.digest(key.cells(groups[owners], self._values.values.take(pa.array(values))))

    def _ranks(self) -> Codes:
        """The rank of each value among all values."""
        by_value = pc.sort_indices(self._values.values).to_numpy().astype(np.int64)
        ranks = np.empty(len(by_value), np.int64)
        ranks[by_value] = np.arange(len(by_value))
        return ranks


def target_counts(q: float, totals: Codes) -> Codes:
    """The number of the value, from 1, that first reaches the share. Computed with integers from the decimal form of `q`."""
    share = Fraction(repr(q))
    distinct, places = np.unique(totals, return_inverse=True)
    # A loop over distinct totals: the products may exceed 64 bits.
    targets = [max(1, -(-share.numerator * total // share.denominator)) for total in distinct.tolist()]
    return np.array(targets, np.int64)[places]
