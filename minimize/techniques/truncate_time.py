"""`truncate_time`: the start of a unit of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
from pydantic import AfterValidator

from minimize.techniques.base import (
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    TechniqueStep,
    TimeForm,
    UnsupportedType,
    new_nulls,
)
from minimize.techniques.chosen_level import Auto, ChosenLevel
from minimize.techniques.parameters import UNORDERED
from minimize.techniques.periods import UNIT_ORDER, CalendarUnit, period_starts


def _known_zone(name: str) -> str:
    known = True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    if not known:
        raise ValueError("the zone is not in the IANA time zone database")
    return name


class ChosenTimeUnit(ChosenLevel):
    """The start of a unit of time that a search chooses: hour, day, month or year. A date begins with the day."""

    name: ClassVar[str] = "truncate_time"
    takes: ClassVar[tuple[Family, ...]] = ("timestamp", "date")
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "ISO 8601"
    about: ClassVar[str] = "the start of a unit of time, as coarse as a bound on disclosure risk needs it"

    to: Auto
    zone: Annotated[str, AfterValidator(_known_zone), UNORDERED] = "UTC"

    def levels(self) -> Sequence[Technique]:
        """Units that contain each other: weeks and months do not. An hour of a date is its day."""
        units: tuple[CalendarUnit, ...] = ("day", "month", "year")
        return [_HourOrDay(to="hour", zone=self.zone), *(TruncateTime(to=unit, zone=self.zone) for unit in units)]


class TruncateTime(Technique):
    """The start of the minute, hour, day, ISO week, month, quarter or year that an instant or a date falls into.

    Takes timestamp (every resolution; one without zone is UTC) and date, gives the same type. A date takes `day` and coarser.
    With a zone, units are those of its wall clock. An hour that is repeated when clocks go back keeps its occurrence, and a
    day that would begin in a gap begins after it. Null stays null. Times whose start is outside the range of the type, or before
    year 1, cannot be treated. The residual is coarse: nothing finer than the unit.
    Source: ISO 8601-1:2019 (weeks), IANA time zone database.

    >>> import pyarrow as pa
    >>> from datetime import datetime, UTC
    >>> times = pa.array([datetime(2026, 11, 25, 13, 59, 7)])
    >>> TruncateTime(to="week").apply(times, Context("f", datetime.now(UTC))).values.to_pylist()
    [datetime.datetime(2026, 11, 23, 0, 0)]
    """

    name: ClassVar[str] = "truncate_time"
    takes: ClassVar[tuple[Family, ...]] = ("timestamp", "date")
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "ISO 8601"
    about: ClassVar[str] = "the start of the minute, hour, day, week, month, quarter or year"
    coarsens_itself: ClassVar[bool] = True
    chosen_form: ClassVar[type[TechniqueStep] | None] = ChosenTimeUnit
    proposed_for: ClassVar[Mapping[str, str]] = {
        "birth": "{to: year}",
        "timestamp": "{to: hour}",
        "date": "{to: month}",
    }

    to: Annotated[CalendarUnit, UNIT_ORDER]
    zone: Annotated[str, AfterValidator(_known_zone), UNORDERED] = "UTC"

    @property
    def time_form(self) -> TimeForm:
        """The start of the unit."""
        return TimeForm(self.to, self.zone)

    def phrase(self) -> str:
        """The unit, and the zone unless it is UTC."""
        return f"cut to the {self.to}{'' if self.zone == 'UTC' else f' in {self.zone}'}"

    def is_lossless(self, type_: str) -> bool:
        """Whether the unit of a date is the day."""
        return type_ == "date" and self.to == "day"

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """The same type. Raises UnsupportedType also for a date and a unit that is finer than a day."""
        output = super().output_type(type_)
        if pa.types.is_date(output) and self.to in ("minute", "hour"):
            raise UnsupportedType(("timestamp",))
        return output

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The starts."""
        starts = period_starts(values, self.to, self.zone)
        return TechniqueResult(starts, new_nulls(values, starts))


class _HourOrDay(TruncateTime):
    """The hour of an instant. A date stays as it is."""

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """The same type."""
        return type_ if pa.types.is_date(type_) else super().output_type(type_)

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The hours, or the dates."""
        return TechniqueResult(values) if pa.types.is_date(values.type) else super().apply(values, context)
