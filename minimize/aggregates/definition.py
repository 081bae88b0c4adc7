"""Definition of an aggregate: group keys, measures, threshold, retention, late window; and its faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import SCALARS, Measure, MeasureRefused, MeasureTerms
from minimize.arrow.dictionaries import valid_mask
from minimize.arrow.pointers import Pointer
from minimize.arrow.value_dictionary import stored_type
from minimize.errors import Finding
from minimize.settings.columns import column_microseconds
from minimize.times import day_start, epoch_microseconds


@dataclass(frozen=True, slots=True)
class GroupRetention:
    """Retention of groups.

    The age of a group is that of the oldest instant that its event time may represent: the start of its unit, less the longest
    shift.

    span     the retention
    records  the retention of records, if it is another
    column   the group key that is the event time; None if there is none: the batch date of the partition then counts
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
        """The same with another retention; None without limit."""
        return None if span is None else replace(self, span=span)

    def outlives_records(self, on: str | None, at: datetime) -> bool:
        """Whether records of a batch date are past their retention while groups are kept longer."""
        longer = self.records is not None and self.records < self.span
        return longer and self.records is not None and on is not None and day_start(on) <= at - self.records


TimeUnit = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
TIME_UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)


SUBJECTS_MEANING: Final = ""
"""Key of the counted subjects in the meanings of an aggregate."""


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
        """The pointer of the field in a record."""
        return Pointer.parse(self.key)

    @property
    def star(self) -> Pointer | None:
        """The innermost list that contains the field."""
        return innermost_list(self.key)


@dataclass(frozen=True, slots=True)
class BoundMeasure:
    """One measure, the type of the measured field in aggregates (None for a measure of rows), and whether all values of the field
    are generalized before they reach aggregates."""

    measure: Measure
    type: pa.DataType | None = None
    generalized: bool = False

    @property
    def star(self) -> Pointer | None:
        """The innermost list that contains the field."""
        return None if self.measure.of is None else innermost_list(self.measure.of)

    @property
    def measured_field(self) -> tuple[str, bool] | None:
        """The key of the measured field, and whether it is measured by rank."""
        return None if self.measure.of is None else (self.measure.of, self.measure.by_rank)

    @property
    def plain(self) -> pa.DataType | None:
        """The type of the values without dictionary encoding."""
        return None if self.type is None else stored_type(self.type)


@dataclass(frozen=True, slots=True)
class AggregateDefinition:
    """One aggregate, ready to be tallied.

    keys      the group keys by name, in the order of the columns
    measures  the measures by name, in the order of the columns
    below     groups with fewer distinct subjects are suppressed
    counting  the pointer of the subject in a record
    folds     whether subjects that differ only in case are equal
    related_measures    cell measures of the same groups in other tables
    related_below  the largest threshold of these tables
    retention  retention of groups; None without limit
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
        """The definition of each measure by name, and of the counted subjects."""
        definitions = {
            name: f"{each.measure.name} {each.measure.model_dump_json()}" for name, each in self.measures.items()
        }
        return {**definitions, SUBJECTS_MEANING: str(self.counting)}

    @property
    def groups(self) -> frozenset[tuple[Pointer, TimeUnit | None]]:
        """The fields and units of its groups, independent of the names of the keys."""
        return frozenset((key.pointer, key.to) for key in self.keys.values())

    def terms_of(self, measured: BoundMeasure) -> MeasureTerms:
        """Terms of one measure."""
        return MeasureTerms(self.below, self.counts_to, measured.generalized)

    @property
    def star(self) -> Pointer | None:
        """The list whose elements are grouped; None if each record is in one group."""
        return next((key.star for key in self.keys.values() if key.star is not None), None)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the table: group keys, then measures. Raises MeasureRefused."""
        keys = [(name, stored_type(key.type)) for name, key in self.keys.items()]
        return pa.schema(keys + [(name, self.measure_type(each)) for name, each in self.measures.items()])

    def measure_type(self, measured: BoundMeasure) -> pa.DataType:
        """The type of the column of a measure. Raises MeasureRefused."""
        return pa.int64() if self.counts_subjects(measured) else measured.measure.output_type(measured.plain)

    def counts_subjects(self, measured: BoundMeasure) -> bool:
        """Whether a measure counts the field of the subject. Subjects are then counted by their ids."""
        measure = measured.measure
        return measure.counts_distinct and Pointer.parse(measure.of or "_") == self.counting


def definition_faults(definition: AggregateDefinition) -> tuple[Finding, ...]:
    """All faults of a definition."""
    found = (*_key_faults(definition), *_list_faults(definition), *_measure_faults(definition))
    return tuple(Finding(code, f"{definition.name}: {what}", hint=hint, field=key) for code, what, hint, key in found)


_FaultParts = tuple[str, str, str, str | None]


def _key_faults(definition: AggregateDefinition) -> Iterator[_FaultParts]:
    for name, key in definition.keys.items():
        kind = stored_type(key.type)
        if not SCALARS.includes(kind):
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
    """The innermost list that contains the field of a key."""
    stars = Pointer.parse(key).stars
    return stars[-1] if stars else None


@dataclass(frozen=True, slots=True)
class LateWindow:
    """Late window of an aggregate.

    days   number of days from the event day to its last batch
    time   the key of the released event time
    day_of     returns the calendar day of released times on their clock (date32)
    early  number of days that an event may be later than the date of its batch
    """

    days: int
    time: str
    day_of: Callable[[pa.Array], pa.Array] = field(compare=False)
    early: int = 2

    def event_days(self, batch: date, days: frozenset[date] = frozenset()) -> EventDays:
        """The event days whose late window contains a batch, and the event days to tally."""
        return EventDays(batch - timedelta(self.days), batch + timedelta(self.early), days)


@dataclass(frozen=True, slots=True)
class EventDays:
    """The first and last event day whose late window contains a batch. `tallied` are the days to tally."""

    first: date
    last: date
    tallied: frozenset[date] = frozenset()
