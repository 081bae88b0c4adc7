"""What `DistinctSubjects` counts and sums for an aggregate: the subjects of each group, those with a value of a field, those that
measures ask about, and the contributions that are sketched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import MeasureTally, SubjectTally
from minimize.aggregates.batch_views import RowView
from minimize.aggregates.contribution_sketches import Entries, FigureKind, Sketcher, hash_values
from minimize.aggregates.definition import BoundMeasure
from minimize.aggregates.distinct_subjects import NO_RANGE, DistinctSubjects, SubjectCounts, WordRange, Words
from minimize.arrow.dictionaries import Bools, Codes
from minimize.spill import HashWords, SpillSpace, ValueHasher

MeasuredField = tuple[str, bool]
"""The key of a field, and whether its values are used by rank, which includes values in open bins."""
NO_SUMMAND: Final = np.uint64(0)
"""What a row without a value adds to the sums of a sketch."""


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


class Contributors:
    """Passes the rows of an aggregate to `DistinctSubjects`, which counts. Takes the tallies of all measures, and the kinds of
    figures to sketch."""

    def __init__(
        self,
        tallies: Mapping[BoundMeasure, MeasureTally],
        sketcher: Sketcher | None,
        sketched: Iterable[MeasuredField | None],
        space: SpillSpace,
    ) -> None:
        self._sketcher = sketcher
        self._sums = {} if sketcher is None else {kind: place for place, kind in enumerate(sketched)}
        fields = dict.fromkeys(each.measured_field for each in tallies)
        self._fields = {field: fact for fact, field in enumerate(filter(None, fields))}
        self._asking: list[tuple[MeasuredField | None, SubjectTally, int, int]] = []
        facts, ranges = len(self._fields), 0
        for each, tally in tallies.items():
            if isinstance(tally, SubjectTally):
                self._asking.append((each.measured_field, tally, facts, ranges))
                facts, ranges = facts + tally.facts, ranges + tally.ranges
        self.subjects = DistinctSubjects(space, facts, ranges, len(self._sums))
        self._facts, self._ranges = facts, ranges
        for _, asking, first_fact, first_range in self._asking:
            asking.bind(SubjectCounts(self.subjects, first_fact, first_range))

    def add(self, rows: RowView, valued: Mapping[MeasuredField, FieldRows], hasher: ValueHasher) -> None:
        """Adds the rows of records in their groups. Takes the rows with a value of each field."""
        facts: list[Bools | None] = [None] * self._facts
        ranges: list[WordRange] = [NO_RANGE] * self._ranges
        sums: dict[int, Words] = {**self._summands(None, rows.subjects)}
        for field, found in valued.items():
            described, words = self._describe(field, found)
            summands = self._summands(field, found.view.subjects, found.values, hasher)
            if found.of_record:
                facts[self._fields[field]] = found.there
                for fact, mask in described.items():
                    facts[fact] = found.spread(mask, absent=False)
                for place, column in words.items():
                    ranges[place] = found.spread(column, NO_RANGE[0]), found.spread(column, NO_RANGE[1])
                sums |= {place: found.spread(column, NO_SUMMAND) for place, column in summands.items()}
                continue
            nothing = np.zeros(len(rows.groups), np.bool_)
            for fact in (self._fields[field], *described):
                facts[fact] = nothing
            self._add_elements(found.view, {self._fields[field]: None, **described}, words, summands)
        self.subjects.add(rows.groups, rows.subjects, facts, ranges, self._every_sum(sums))

    def settle_sketches(self, groups: Codes) -> dict[FigureKind, Entries]:
        """The contribution sketches of some groups for each kind of figure."""
        if self._sketcher is None:
            return {}
        return dict(zip(self._sums, self._sketcher.settle(self.subjects, groups), strict=True))

    def with_value(self, groups: Codes, field: MeasuredField) -> Codes:
        """The number of subjects of some groups that contribute a value of a field."""
        return self.subjects.count(groups, self._fields[field])

    def _describe(self, field: MeasuredField, found: FieldRows) -> tuple[dict[int, Bools], dict[int, HashWords]]:
        """The facts and the ordered words that the measures of a field ask about, by their place."""
        facts, ranges = dict[int, Bools](), dict[int, HashWords]()
        for asked, tally, first_fact, first_range in self._asking:
            if asked == field:
                masks, words = tally.describe(found.values)
                facts |= dict(enumerate(masks, first_fact))
                ranges |= dict(enumerate(words, first_range))
        return facts, ranges

    def _summands(
        self,
        kind: MeasuredField | None,
        subjects: HashWords,
        values: pa.Array = None,
        hasher: ValueHasher | None = None,
    ) -> dict[int, HashWords]:
        """What rows with a value add to the sum of a kind of figure, by its place; nothing if it is not sketched."""
        if self._sketcher is None or kind not in self._sums:
            return {}
        hashes = None if hasher is None else hash_values(values, hasher)
        return {self._sums[kind]: self._sketcher.summands(subjects, hashes)}

    def _every_sum(self, sums: Mapping[int, Words]) -> list[Words]:
        return [sums.get(place, NO_SUMMAND) for place in range(len(self._sums))]

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
