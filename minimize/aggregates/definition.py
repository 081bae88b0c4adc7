"""Definition of an aggregate: group keys, measures, threshold, retention, late window; and its faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import SCALARS, Measure, MeasureRefused, MeasureTerms, StatedNoise, ValueBounds
from minimize.arrow.columns import column_microseconds
from minimize.arrow.dictionaries import stored_type, valid_mask
from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.times import day_start, epoch_microseconds


@dataclass(frozen=True, slots=True)
class GroupRetention:
    """Retention of groups.

    The age of a group is that of the oldest instant that its event time may represent: the start of its unit, less the longest
    shift.
    """

    span: timedelta
    """The retention of the groups."""
    records: timedelta | None = None
    """The retention of records, if it is another."""
    column: str | None = None
    """The group key that is the event time. If it is None, the batch date of the partition counts."""
    shift: timedelta = timedelta()
    """The longest time by which event times are shifted."""

    def expired(self, table: pa.Table, on: str | None, at: datetime) -> npt.NDArray[np.bool_]:
        """Which groups of a table are past their retention at a time. Takes the date of the table's partition, if it has one."""
        if self.column is not None:
            times = table.column(self.column).combine_chunks()
            is_expired = np.asarray(
                column_microseconds(times) <= epoch_microseconds(at - self.span + self.shift), np.bool_
            )
            valid = valid_mask(times)
            return is_expired if valid is None else is_expired | ~valid
        return np.full(table.num_rows, on is not None and day_start(on) <= at - self.span)

    def outlives_records(self, on: str | None, at: datetime) -> bool:
        """Whether records of a batch date are past their retention while groups are kept longer."""
        longer = self.records is not None and self.records < self.span
        return longer and self.records is not None and on is not None and day_start(on) <= at - self.records


TimeUnit = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
TIME_UNITS: tuple[TimeUnit, ...] = get_args(TimeUnit)


StandardDeviation = Literal["1", "1.5", "2", "2.5", "3", "4", "5"]
STANDARD_DEVIATIONS: Final[tuple[StandardDeviation, ...]] = get_args(StandardDeviation)


def total_deviation(sd: str) -> Fraction:
    """The standard deviation of a count, which has two draws, to three decimals.

    >>> float(total_deviation("2"))
    2.828
    """
    return Fraction(round((2 * Decimal(sd) ** 2).sqrt() * 1000), 1000)


@dataclass(frozen=True, slots=True)
class NoiseTerms:
    """Terms of the noise of one table."""

    sd: StandardDeviation = "2"
    """The standard deviation of each of the two draws of a count."""
    releases: int = 3
    """The number of different releases that a date may have."""

    @property
    def total_sd(self) -> Fraction:
        """The standard deviation of a count, which has two draws, to three decimals: 2.828 for an `sd` of 2."""
        return total_deviation(self.sd)

    @property
    def margin(self) -> int:
        """By how much a noisy count must exceed the threshold: its standard deviation, rounded up."""
        return -(-self.total_sd.numerator // self.total_sd.denominator)


@dataclass(frozen=True, slots=True)
class SubjectLimits:
    """What one subject can contribute to a row at most."""

    rows: int = 1
    """The number of rows of the group, and of values of each field."""
    values: int = 1
    """The number of distinct values of a field that are counted."""
    is_stated: bool = False
    """Whether the pipeline states the limits."""


@dataclass(frozen=True, slots=True)
class GroupKey:
    """One group key: a field (its key in the policy) in its released form and type, a time possibly cut to a coarser unit.

    `cut` gives the starts of the unit on the clock that the field is released by; without it that clock is UTC. `released` is the
    unit by which a time is released.
    """

    key: str
    type: pa.DataType
    to: TimeUnit | None = None
    cut: Callable[[pa.Array], pa.Array] | None = field(default=None, compare=False)
    released: TimeUnit | None = None

    @property
    def unit(self) -> TimeUnit | None:
        """The unit of its times; None if they are not cut."""
        return self.to or self.released

    @property
    def pointer(self) -> Pointer:
        """The pointer of the field in a record."""
        return Pointer.parse(self.key)

    @property
    def star(self) -> Pointer | None:
        """The innermost list that contains the field."""
        return innermost_list(self.key)


MeasuredField = tuple[str, bool]
"""The key of a field, and whether its values are used by rank, which includes values in open bins."""


@dataclass(frozen=True, slots=True)
class BoundMeasure:
    """One measure, and what is known of its field."""

    measure: Measure
    type: pa.DataType | None = None
    """The type of the values in aggregates; None for a measure of rows."""
    generalized: bool = False
    """Whether all values are generalized before they reach aggregates."""
    bounds: ValueBounds | None = None
    """The bounds of the values; None if there are none."""
    ranks: tuple[float, ...] | None = None
    """All ranks that the values can have, ascending; None if they are not known."""

    @property
    def star(self) -> Pointer | None:
        """The innermost list that contains the field."""
        return None if self.measure.of is None else innermost_list(self.measure.of)

    @property
    def meaning(self) -> str:
        """What its statistics are: the measure with its parameters and bounds."""
        return f"{self.measure.name} {self.measure.model_dump_json()} {self.bounds}"

    @property
    def measured_field(self) -> MeasuredField | None:
        """The key of the measured field, and whether it is measured by rank."""
        return None if self.measure.of is None else (self.measure.of, self.measure.by_rank)

    @property
    def plain(self) -> pa.DataType | None:
        """The type of the values without dictionary encoding."""
        return None if self.type is None else stored_type(self.type)


@dataclass(frozen=True, slots=True)
class AggregateDefinition:
    """One aggregate, ready to be tallied."""

    name: str
    keys: Mapping[str, GroupKey]
    """The group keys by name, in the order of the columns."""
    measures: Mapping[str, BoundMeasure]
    """The measures by name, in the order of the columns."""
    below: int
    """The number of distinct subjects below which a group is suppressed."""
    counting: Pointer
    """The pointer of the subject in a record."""
    counts_to: int | None = None
    folds: bool = False
    """Whether subjects that differ only in case are equal."""
    retention: GroupRetention | None = None
    """The retention of groups; None without limit."""
    noise: NoiseTerms | None = None
    """The noise of the statistics; None if they are exact."""
    limits: SubjectLimits = SubjectLimits()
    """What one subject can contribute to a row."""
    source: str = ""
    """The name of the source of the records."""
    rolls_up: str | None = None
    """The name of the exact table whose shown rows this one sums; None for a table of records."""

    @property
    def meaning(self) -> str:
        """What its statistics are, with the size of their noise, independent of its name and of the names of its keys and
        measures."""
        keys = sorted(f"{key.pointer} {key.unit or ''}" for key in self.keys.values())
        measures = sorted(each.meaning for each in self.measures.values())
        sizes = [self.below, self.limits.rows, self.limits.values, None if self.noise is None else self.noise.sd]
        return json.dumps([self.source, str(self.counting), *sizes, keys, measures])

    @property
    def groups(self) -> frozenset[tuple[Pointer, TimeUnit | None]]:
        """The fields and units of its groups, independent of the names of the keys."""
        return frozenset((key.pointer, key.to) for key in self.keys.values())

    @property
    def needs_limit(self) -> bool:
        """Whether statistics with noise depend on how many rows a subject has, and the pipeline does not limit their number."""
        depend = any(each.measure.depends_on_rows for each in self.measures.values())
        return self.noise is not None and depend and not self.limits.is_stated

    def with_noise(self, sd: str | None) -> AggregateDefinition:
        """The same with noise whose draws have another standard deviation; exact for None."""
        known_sd = next((each for each in STANDARD_DEVIATIONS if each == sd), None)
        return replace(self, noise=None if known_sd is None else replace(self.noise or NoiseTerms(), sd=known_sd))

    @property
    def subject_count(self) -> str | None:
        """The name of a measure whose statistics are numbers of subjects; None if there is none."""
        subjects = (name for name, bound_measure in self.measures.items() if self.counts_subjects(bound_measure))
        rows = (
            name
            for name, bound_measure in self.measures.items()
            if bound_measure.measure.of is None and bound_measure.measure.depends_on_rows
        )
        is_one_row = self.noise is not None and self.limits.rows == 1
        return next(subjects, next(rows, None) if is_one_row else None)

    def stated_noise(self, measured: BoundMeasure) -> StatedNoise | None:
        """The size of the noise of a measure's statistics; None if they are exact, or not one number."""
        if self.noise is None:
            return None
        deviation = float(self.noise.total_sd)
        if self.counts_subjects(measured):
            return StatedNoise(deviation)
        return measured.measure.stated_noise(deviation, self.limits, measured.bounds)

    def terms_of(self, measured: BoundMeasure) -> MeasureTerms:
        """Terms of one measure."""
        return MeasureTerms(self.below, self.counts_to, measured.generalized, measured.ranks)

    @property
    def star(self) -> Pointer | None:
        """The list whose elements are grouped; None if each record is in one group."""
        return next((key.star for key in self.keys.values() if key.star is not None), None)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the table: group keys, then measures. Raises MeasureRefused."""
        keys = [(name, stored_type(key.type)) for name, key in self.keys.items()]
        return pa.schema(
            keys + [(name, self.measure_type(bound_measure)) for name, bound_measure in self.measures.items()]
        )

    def measure_type(self, measured: BoundMeasure) -> pa.DataType:
        """The type of the column of a measure. Raises MeasureRefused."""
        return pa.int64() if self.counts_subjects(measured) else measured.measure.output_type(measured.plain)

    def counts_subjects(self, measured: BoundMeasure) -> bool:
        """Whether a measure counts the field of the subject. Subjects are then counted by their ids."""
        measure = measured.measure
        return measure.counts_distinct and Pointer.parse(measure.of or "_") == self.counting


def definition_faults(definition: AggregateDefinition) -> tuple[Finding, ...]:
    """All faults of a definition."""
    faults = (*_key_faults(definition), *_list_faults(definition), *_measure_faults(definition))
    return tuple(Finding(code, f"{definition.name}: {what}", hint=hint, field=key) for code, what, hint, key in faults)


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
    for name, bound_measure in definition.measures.items():
        if (
            star is not None
            and bound_measure.star not in (None, star)
            and not definition.counts_subjects(bound_measure)
        ):
            yield (
                "A004",
                f"{name} measures another list than {star}",
                "Measure leaves of the list that the aggregate groups by.",
                bound_measure.measure.of,
            )
    if definition.counting.stars:
        yield "A005", "a subject in a list cannot be counted", "Count a field of the record.", str(definition.counting)


def _measure_faults(definition: AggregateDefinition) -> Iterator[_FaultParts]:
    for name, bound_measure in definition.measures.items():
        try:
            definition.measure_type(bound_measure)
        except MeasureRefused as error:
            refused = error.takes
            yield (
                "A006",
                f"{name}: {bound_measure.measure.name} takes {refused}",
                "Choose another measure or field.",
                bound_measure.measure.of,
            )


def innermost_list(key: str) -> Pointer | None:
    """The innermost list that contains the field of a key."""
    stars = Pointer.parse(key).stars
    return stars[-1] if stars else None


@dataclass(frozen=True, slots=True)
class LateWindow:
    """Late window of an aggregate."""

    days: int
    """The number of days from the event day to its last batch."""
    time: str
    """The key of the released event time."""
    day_of: Callable[[pa.Array], pa.Array] = field(compare=False)
    """Returns the calendar day of released times on their clock (date32)."""
    early: int = 2
    """The number of days that an event may be later than the date of its batch."""

    def event_days(self, batch: date, days: frozenset[date] = frozenset()) -> EventDays:
        """The event days whose late window contains a batch, and the event days to tally."""
        return EventDays(batch - timedelta(self.days), batch + timedelta(self.early), days)


@dataclass(frozen=True, slots=True)
class EventDays:
    """The first and last event day whose late window contains a batch. `tallied` are the days to tally."""

    first: date
    last: date
    tallied: frozenset[date] = frozenset()
