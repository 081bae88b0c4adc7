"""`age`: elapsed time in completed units."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import decode_dictionary
from minimize.techniques.base import (
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    ValueRange,
    failure_mask,
    type_family,
)
from minimize.techniques.parameters import UNORDERED, Names, ranked
from minimize.techniques.periods import Ticks, month_and_rest, ticks, ticks_per_second

RUN = "run"
AgeUnit = Literal["days", "months", "years"]


class Age(Technique):
    """Completed days, months or years from the value to the run's time, or to another field.

    Takes timestamp (one without zone is UTC) and date, gives int32. A month is complete when its day and time of day are
    reached again: from 31 January, one month is complete on 1 March. If one of the two is a date, both are taken as UTC dates.
    Null stays null. Values after the reference time, and values whose other field is null, cannot be treated. The residual
    is coarse: nothing finer than the unit, unless the reference time is published in finer form.
    Source: ISO 8601-1:2019, calendar durations.

    >>> import pyarrow as pa
    >>> from datetime import date, datetime, UTC
    >>> context = Context("f", datetime(2026, 11, 25, tzinfo=UTC))
    >>> Age(unit="years").apply(pa.array([date(2020, 11, 25), date(2020, 11, 26)]), context).values.to_pylist()
    [6, 5]
    """

    name: ClassVar[str] = "age"
    takes: ClassVar[tuple[Family, ...]] = ("timestamp", "date")
    result_type: ClassVar[pa.DataType | None] = pa.int32()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "ISO 8601"
    about: ClassVar[str] = "completed days, months or years until the run or another field"

    unit: Annotated[AgeUnit, ranked(("years", "months", "days"))]
    at: Annotated[str, Names.FIELD, UNORDERED] = RUN

    def reads(self) -> frozenset[str]:
        """The field with the reference time, unless that is the run."""
        return super().reads() - {RUN}

    @property
    def reads_only(self) -> tuple[Family, ...]:
        """The other field must be a time too."""
        return self.takes

    def result_range(self, values: ValueRange) -> ValueRange:
        """No age is negative."""
        return ValueRange(low=Decimal(0))

    def phrase(self) -> str:
        """The unit and the reference time."""
        until = "the time of processing" if self.at == RUN else f"`{self.at}`"
        return f"only the number of completed {self.unit} until {until}"

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The ages."""
        until = self._reference_time(values, context)
        by_day = pa.types.is_date(values.type) or pa.types.is_date(until.type)
        born, now = _seconds_and_rest(values, by_day=by_day), _seconds_and_rest(until, by_day=by_day)
        ages = (
            _completed_days(born, now)
            if self.unit == "days"
            else _completed_months(born, now) // (12 if self.unit == "years" else 1)
        )
        missing = values.is_null().to_numpy(zero_copy_only=False)
        bad = until.is_null().to_numpy(zero_copy_only=False) | (ages < 0) | (ages > np.iinfo(np.int32).max)
        results = pa.array(np.where(bad | missing, 0, ages).astype(np.int32), mask=bad | missing)
        return TechniqueResult(results, failure_mask(bad & ~missing))

    def _reference_time(self, values: pa.Array, context: Context) -> pa.Array:
        if self.at == RUN:
            return pa.repeat(_time_scalar(context.at), len(values))
        until = decode_dictionary(context.columns[self.at])
        return until if type_family(until.type) in self.takes else pa.nulls(len(values), pa.timestamp("us"))


Clock = tuple[Ticks, Ticks]
"""Seconds since 1970, and nanoseconds into the second."""


def _completed_days(born: Clock, now: Clock) -> Ticks:
    days: Ticks = (now[0] - born[0] - (now[1] < born[1])) // 86_400
    return days


def _completed_months(born: Clock, now: Clock) -> Ticks:
    (first, since), (last, until) = month_and_rest(born[0]), month_and_rest(now[0])
    early = (until < since) | ((until == since) & (now[1] < born[1]))
    whole: Ticks = last - first - early
    return whole


def _time_scalar(at: datetime) -> pa.Scalar:
    return pa.scalar(at, pa.timestamp("us", tz="UTC"))


def _seconds_and_rest(times: pa.Array, *, by_day: bool) -> Clock:
    per = ticks_per_second(times.type)
    seconds, remainders = np.divmod(ticks(times), per)
    if by_day:
        return seconds - seconds % 86_400, np.zeros_like(remainders)
    return seconds, remainders * (1_000_000_000 // per)
