"""Definition of an aggregate by names and types.

Group keys, measures, threshold, retention, the wait for late rows; and its faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import Measure, MeasureRefused, MeasureTerms, is_scalar
from minimize.arrow.dictionaries import valid_mask
from minimize.arrow.pointers import Pointer
from minimize.arrow.value_dictionary import stored_type
from minimize.errors import Finding
from minimize.settings.columns import column_microseconds
from minimize.times import day_start, epoch_microseconds


@dataclass(frozen=True, slots=True)
class GroupRetention:
    """How long groups are kept.

    A group is as old as the oldest instant that its event time may stand for: the start of its unit, less the longest shift.

    span     the retention
    records  the retention of records, if it is another
    column   the group key that is the event time; None if there is none: the group is then as old as its partition's date
    shift    the longest time by which event times are shifted
    """

    span: timedelta
    records: timedelta | None = None
    column: str | None = None
    shift: timedelta = timedelta()

    def expired(self, table: pa.Table, on: str | None, at: datetime) -> npt.NDArray[np.bool_]:
        """Which groups of a table are past their retention at a time. Takes the date of the table's partition, if it has one."""
        if self.column is not None:
            times = table.column(self.column).combine_chunks()
            found = np.asarray(column_microseconds(times) <= epoch_microseconds(at - self.span + self.shift), np.bool_)
            there = valid_mask(times)
            return found if there is None else found | ~there
        return np.full(table.num_rows, on is not None and day_start(on) <= at - self.span)

    def with_span(self, span: timedelta | None) -> GroupRetention | None:
        """The same with another retention; None for no limit."""
        return None if span is None else replace(self, span=span)

    def outlives_records(self, on: str | None, at: datetime) -> bool:
        """Whether records of a batch date are past their retention, and groups are kept for longer."""
        longer = self.records is not None and self.records < self.span
        return longer and self.records is not None and on is not None and day_start(on) <= at - self.records


TimeUnit = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
TIME_UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)


SUBJECTS_MEANING: Final = ""
"""What stands for the subjects that an aggregate counts among the meanings of its measures."""


@dataclass(frozen=True, slots=True)
class GroupKey:
    """One group key: a field (its key in the policy) in its released form and type, a time possibly cut to a coarser unit.

    `cut` gives the starts of the unit on the clock that the field is released by; without it that clock is UTC.
    """

    key: str
    type: pa.DataType
    to: TimeUnit | None = None
    cut: Callable[[pa.Array], pa.Array] | None = field(default=None, compare=False)

    @property
    def pointer(self) -> Pointer:
        """Where the field stands in a record."""
        return Pointer.parse(self.key)

    @property
    def star(self) -> Pointer | None:
        """The innermost list that the field stands in."""
        return innermost_list(self.key)


@dataclass(frozen=True, slots=True)
class BoundMeasure:
    """One measure, the type of the field that it is over as aggregates see it (None for a measure over rows), and whether no
    value of the field reaches aggregates as it came in."""

    measure: Measure
    type: pa.DataType | None = None
    generalized: bool = False

    @property
    def star(self) -> Pointer | None:
        """The innermost list that the field stands in."""
        return None if self.measure.of is None else innermost_list(self.measure.of)

    @property
    def plain(self) -> pa.DataType | None:
        """The type of the values, no dictionary."""
        return None if self.type is None else stored_type(self.type)


@dataclass(frozen=True, slots=True)
class AggregateDefinition:
    """One aggregate, ready to be tallied.

    keys      the group's names and what they stand for, in the order of the columns
    measures  the measures' names and what they stand for, in the order of the columns
    below     groups with fewer distinct subjects are absent
    counting  where the subject stands in a record
    folds     whether subjects that differ in case alone are the same
    related_measures    shares and histograms that other tables publish of the same groups
    related_below  the largest threshold of these tables
    retention  how long groups are kept; None for no limit
    """

    name: str
    keys: Mapping[str, GroupKey]
    measures: Mapping[str, BoundMeasure]
    below: int
    counting: Pointer
    counts_to: int | None = None
    folds: bool = False
    related_measures: tuple[BoundMeasure, ...] = ()
    related_below: int = 0
    retention: GroupRetention | None = None

    @property
    def meanings(self) -> dict[str, str]:
        """How each measure is defined, by its name; and whom the aggregate counts."""
        said = {name: f"{each.measure.name} {each.measure.model_dump_json()}" for name, each in self.measures.items()}
        return {**said, SUBJECTS_MEANING: str(self.counting)}

    @property
    def groups(self) -> frozenset[tuple[Pointer, TimeUnit | None]]:
        """What its groups are, however its keys are named."""
        return frozenset((key.pointer, key.to) for key in self.keys.values())

    @property
    def terms(self) -> MeasureTerms:
        """What holds for every measure."""
        return MeasureTerms(self.below, self.counts_to)

    def terms_of(self, measured: BoundMeasure) -> MeasureTerms:
        """What one measure is bound to."""
        return MeasureTerms(self.below, self.counts_to, measured.generalized)

    @property
    def star(self) -> Pointer | None:
        """The list whose elements are grouped; None where a record stands in one group."""
        return next((key.star for key in self.keys.values() if key.star is not None), None)

    @property
    def schema(self) -> pa.Schema:
        """The table's schema: the group's names, then the measures'. Raises MeasureRefused."""
        keys = [(name, stored_type(key.type)) for name, key in self.keys.items()]
        return pa.schema(keys + [(name, self.measure_type(each)) for name, each in self.measures.items()])

    def measure_type(self, measured: BoundMeasure) -> pa.DataType:
        """The type of a measure's column. Raises MeasureRefused."""
        return pa.int64() if self.counts_subjects(measured) else measured.measure.output_type(measured.plain)

    def counts_subjects(self, measured: BoundMeasure) -> bool:
        """Whether a measure is over the field that the aggregate counts by: then subjects are counted as given."""
        measure = measured.measure
        return measure.name == "count_distinct" and Pointer.parse(measure.of or "_") == self.counting


def definition_faults(definition: AggregateDefinition) -> tuple[Finding, ...]:
    """Everything that is wrong with a definition, all at once."""
    found = (*_key_faults(definition), *_list_faults(definition), *_measure_faults(definition))
    return tuple(Finding(code, f"{definition.name}: {what}", hint=hint, field=key) for code, what, hint, key in found)


_FaultParts = tuple[str, str, str, str | None]


def _key_faults(definition: AggregateDefinition) -> Iterator[_FaultParts]:
    for name, key in definition.keys.items():
        kind = stored_type(key.type)
        if not is_scalar(kind):
            yield "A001", f"{name} is nested and cannot be a group key", "Group by a leaf of the field.", key.key
        elif key.to is not None and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            yield "A002", f"{name} is not a time and cannot be cut to {key.to}", "Remove the unit.", key.key
    for name in definition.keys.keys() & definition.measures.keys():
        yield "A003", f"{name} is the name of a group key and of a measure", "Rename one of them.", None


def _list_faults(definition: AggregateDefinition) -> Iterator[_FaultParts]:
    star = definition.star
    for name, key in definition.keys.items():
        if key.star not in (None, star):
            yield "A004", f"{name} is in another list than {star}", "Group by leaves of one list.", key.key
    for name, each in definition.measures.items():
        if star is not None and each.star not in (None, star) and not definition.counts_subjects(each):
            yield (
                "A004",
                f"{name} measures another list than {star}",
                "Measure leaves of the list that the aggregate groups by.",
                each.measure.of,
            )
    if definition.counting.stars:
        yield "A005", "a subject in a list cannot be counted", "Count a field of the record.", str(definition.counting)


def _measure_faults(definition: AggregateDefinition) -> Iterator[_FaultParts]:
    for name, each in definition.measures.items():
        try:
            definition.measure_type(each)
        except MeasureRefused as error:
            refused = error.takes
            yield (
                "A006",
                f"{name}: {each.measure.name} takes {refused}",
                "Choose another measure or field.",
                each.measure.of,
            )


def innermost_list(key: str) -> Pointer | None:
    """The innermost list that a field's key stands in."""
    stars = Pointer.parse(key).stars
    return stars[-1] if stars else None


@dataclass(frozen=True, slots=True)
class LateWindow:
    """How long an aggregate waits.

    days   how many days after the event day its last batch is
    time   the key of the event time, as it is released
    day_of     gives for released times the day that their clock shows (date32)
    early  how many days an event may lie ahead of the batch that brings it
    """

    days: int
    time: str
    day_of: Callable[[pa.Array], pa.Array] = field(compare=False)
    early: int = 2

    def event_days(self, batch: date, days: frozenset[date] = frozenset()) -> EventDays:
        """The event days that wait for a batch, and those of them that are tallied."""
        return EventDays(batch - timedelta(self.days), batch + timedelta(self.early), days)


@dataclass(frozen=True, slots=True)
class EventDays:
    """The first and the last event day that wait for the rows of a batch; `wanted` are the ones to be tallied."""

    first: date
    last: date
    tallied: frozenset[date] = frozenset()
