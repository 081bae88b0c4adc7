"""What the subjects of each group contribute: how many there are, how many have a value of a field, and the rows and sums of
their values, each bounded by what one subject can contribute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import MeasureTally, SubjectTally
from minimize.aggregates.batch_views import RowView
from minimize.aggregates.bounded_values import ValueBounds
from minimize.aggregates.definition import BoundMeasure, MeasuredField, SubjectLimits
from minimize.aggregates.distinct_subjects import NO_RANGE, DistinctSubjects, Pairs, SubjectCounts, WordRange, Words
from minimize.arrow.dictionaries import Bools, Codes
from minimize.spill import HashWords, SpillSpace

_COUNT_BITS: Final = np.uint64(32)
"""Two counts of a pair share a word."""
_COUNT_MASK: Final = np.uint64((1 << 32) - 1)
_NOTHING: Final = np.uint64(0)


@dataclass(frozen=True, slots=True)
class FieldRows:
    """The rows with a value of a field, and the values.

    of_record  whether the rows are those of the records in their groups, perhaps without some
    there      the mask of these rows if some lack a value
    """

    view: RowView
    values: pa.Array
    of_record: bool = True
    there: Bools | None = None

    def spread(self, column: npt.NDArray[Any], absent: Any) -> npt.NDArray[Any]:
        """A column of the rows with a value as one of all rows of the records."""
        if self.there is None:
            return column
        whole = np.full(len(self.there), absent, column.dtype)
        whole[self.there] = column
        return whole


@dataclass(frozen=True, slots=True)
class FieldTotals:
    """Bounded totals of a field for each group: the number of values, and the sum of their distances from the middle of the
    bounds in half units."""

    values: Codes
    centred: Codes


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """Bounded totals of each group.

    subjects   distinct subjects
    with_value distinct subjects with a value of each field
    rows       rows
    fields     totals of each field with bounds
    most       the largest number of rows, or of values of a field, of one subject in one group
    """

    subjects: Codes
    with_value: Mapping[MeasuredField, Codes]
    rows: Codes
    fields: Mapping[MeasuredField, FieldTotals]
    most: int


class Contributors:
    """Passes the rows of an aggregate to `DistinctSubjects`, which counts.

    Takes the tallies of all measures, the fields, the bounds of those that are summed, and those whose values are counted for
    each subject, as its rows are (None: neither rows nor values are counted or summed).
    """

    def __init__(
        self,
        tallies: Mapping[BoundMeasure, MeasureTally],
        fields: Iterable[MeasuredField],
        bounds: Mapping[MeasuredField, ValueBounds],
        space: SpillSpace,
        counted: Iterable[MeasuredField] | None = None,
    ) -> None:
        self._bounds = {} if counted is None else dict(bounds)
        self._counts: dict[MeasuredField | None, int] = {}
        if counted is not None:
            counts = dict.fromkeys([None, *self._bounds, *counted])
            self._counts = {each: place for place, each in enumerate(counts)}
        words = -(-len(self._counts) // 2)
        self._sums = {each: place for place, each in enumerate(self._bounds, words)}
        self._fields = {each: fact for fact, each in enumerate(fields)}
        self._asking: list[tuple[MeasuredField | None, SubjectTally, int, int]] = []
        facts, ranges = len(self._fields), 0
        for each, tally in tallies.items():
            if isinstance(tally, SubjectTally):
                self._asking.append((each.measured_field, tally, facts, ranges))
                facts, ranges = facts + tally.facts, ranges + tally.ranges
        self.subjects = DistinctSubjects(space, facts, ranges, words + len(self._sums))
        self._facts, self._ranges = facts, ranges
        for _, asking, first_fact, first_range in self._asking:
            asking.bind(SubjectCounts(self.subjects, first_fact, first_range))

    def add(self, rows: RowView, valued: Mapping[MeasuredField, FieldRows]) -> None:
        """Adds the rows of records in their groups. Takes the rows with a value of each field."""
        facts: list[Bools | None] = [None] * self._facts
        ranges: list[WordRange] = [NO_RANGE] * self._ranges
        sums = self._one_row(None)
        for measured, found in valued.items():
            described, words = self._describe(measured, found)
            summands = self._summands(measured, found.values)
            if found.of_record:
                facts[self._fields[measured]] = found.there
                for fact, mask in described.items():
                    facts[fact] = found.spread(mask, absent=False)
                for place, column in words.items():
                    ranges[place] = found.spread(column, NO_RANGE[0]), found.spread(column, NO_RANGE[1])
                sums = _added(sums, {place: found.spread(column, _NOTHING) for place, column in summands.items()})
                continue
            nothing = np.zeros(len(rows.groups), np.bool_)
            for fact in (self._fields[measured], *described):
                facts[fact] = nothing
            self._add_elements(found.view, {self._fields[measured]: None, **described}, words, summands)
        self.subjects.add(rows.groups, rows.subjects, facts, ranges, self._every_sum(sums))

    @property
    def fields(self) -> list[MeasuredField]:
        """The measured fields."""
        return list(self._fields)

    def with_value(self, groups: Codes, measured: MeasuredField) -> Codes:
        """The number of subjects of some groups that contribute a value of a field."""
        return self.subjects.count(groups, self._fields[measured])

    def totals(self, groups: int, limits: SubjectLimits) -> GroupTotals:
        """The totals of all groups. A subject with more rows or values than the limit counts as that many, with the same mean.

        Rows without a subject count nowhere.
        """
        totals = _Totals(groups, self._fields, self._counts, self._sums)
        for pairs in self.subjects.pairs():
            totals.add(pairs, limits.rows)
        return totals.result()

    def _describe(self, measured: MeasuredField, found: FieldRows) -> tuple[dict[int, Bools], dict[int, HashWords]]:
        """The facts and the ordered words that the measures of a field ask about, by their place."""
        facts, ranges = dict[int, Bools](), dict[int, HashWords]()
        for asked, tally, first_fact, first_range in self._asking:
            if asked == measured:
                masks, words = tally.describe(found.values)
                facts |= dict(enumerate(masks, first_fact))
                ranges |= dict(enumerate(words, first_range))
        return facts, ranges

    def _one_row(self, counted: MeasuredField | None) -> dict[int, Words]:
        """What one row, or one value of a field, adds to the counts."""
        if counted not in self._counts:
            return {}
        word, half = divmod(self._counts[counted], 2)
        return {word: np.uint64(1) << _COUNT_BITS * np.uint64(half)}

    def _summands(self, measured: MeasuredField, values: pa.Array) -> dict[int, HashWords]:
        """What rows with a value of a field add to the sums, by their place; nothing if it is neither counted nor summed."""
        found = {place: np.full(len(values), one) for place, one in self._one_row(measured).items()}
        if measured in self._sums:
            found[self._sums[measured]] = self._bounds[measured].centred(values).view(np.uint64)
        return found

    def _every_sum(self, sums: Mapping[int, Words]) -> list[Words]:
        return [sums.get(place, _NOTHING) for place in range(self.subjects.sums)]

    def _add_elements(
        self,
        view: RowView,
        facts: Mapping[int, Bools | None],
        words: Mapping[int, HashWords],
        sums: Mapping[int, HashWords],
    ) -> None:
        """Adds rows that have these facts and sums only."""
        nothing = np.zeros(len(view.groups), np.bool_)
        every = [facts.get(fact, nothing) for fact in range(self._facts)]
        ranges: list[WordRange] = [NO_RANGE] * self._ranges
        for place, column in words.items():
            ranges[place] = column, column
        self.subjects.add(view.groups, view.subjects, every, ranges, self._every_sum(sums))


def _added(sums: Mapping[int, Words], more: Mapping[int, HashWords]) -> dict[int, Words]:
    """Sums of the same places added up: two counts share a word."""
    return {**sums, **{place: column + sums.get(place, _NOTHING) for place, column in more.items()}}


@dataclass
class _Totals:
    """Totals of each group, added up over parts of the pairs. Fields have the number of a fact, counts (None: rows) the place of
    half a sum, sums that of a sum."""

    groups: int
    fields: Mapping[MeasuredField, int]
    counts: Mapping[MeasuredField | None, int]
    sums: Mapping[MeasuredField, int]
    _subjects: Codes = field(init=False)
    _with: dict[MeasuredField, Codes] = field(init=False)
    _counted: dict[MeasuredField | None, Codes] = field(init=False)
    _centred: dict[MeasuredField, Codes] = field(init=False)
    _most: int = 0

    def __post_init__(self) -> None:
        self._subjects = self._zeros()
        self._with = {each: self._zeros() for each in self.fields}
        self._counted = {each: self._zeros() for each in self.counts}
        self._centred = {each: self._zeros() for each in self.sums}

    def add(self, pairs: Pairs, limit: int) -> None:
        """Adds some pairs."""
        there = pairs.has_subject
        owners = pairs.owners[there]
        self._subjects += np.bincount(owners, minlength=self.groups)
        for each, fact in self.fields.items():
            self._with[each] += np.bincount(owners[~pairs.lacks(fact)[there]], minlength=self.groups)
        for counted, place in self.counts.items():
            word, half = divmod(place, 2)
            count = (pairs.sum(word)[there] >> _COUNT_BITS * np.uint64(half) & _COUNT_MASK).astype(np.int64)
            self._most = max(self._most, int(count.max(initial=0)))
            np.add.at(self._counted[counted], owners, np.minimum(count, limit))
            if counted is not None and counted in self.sums:
                sums = pairs.sum(self.sums[counted])[there].view(np.int64)
                np.add.at(self._centred[counted], owners, _limited(sums, count, limit))

    def result(self) -> GroupTotals:
        """The totals."""
        fields = {each: FieldTotals(self._counted[each], centred) for each, centred in self._centred.items()}
        rows = self._counted.get(None, self._zeros())
        return GroupTotals(self._subjects, self._with, rows, fields, self._most)

    def _zeros(self) -> Codes:
        return np.zeros(self.groups, np.int64)


def _limited(sums: Codes, counts: Codes, limit: int) -> Codes:
    """The sums of subjects with more values than the limit as those of so many values, without the fraction."""
    many = np.flatnonzero(counts > limit)
    if not many.size:
        return sums
    found, by = sums.copy(), counts[many]
    whole, rest = np.divmod(np.abs(sums[many]), by)
    found[many] = np.sign(sums[many]) * (whole * limit + rest * limit // by)
    return found
