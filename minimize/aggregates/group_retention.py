"""How long the groups of an aggregate are kept, and which groups of a table are past that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.settings.columns import moments, valid
from minimize.settings.rows import microseconds_of


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

    def past(self, table: pa.Table, on: str | None, at: datetime) -> npt.NDArray[np.bool_]:
        """Which groups of a table are past their retention at a time. Takes the date of the table's partition, if it has one."""
        if self.column is not None:
            times = table.column(self.column).combine_chunks()
            found = np.asarray(moments(times) <= microseconds_of(at - self.span + self.shift), np.bool_)
            there = valid(times)
            return found if there is None else found | ~there
        return np.full(table.num_rows, on is not None and day_start(on) <= at - self.span)

    def spanning(self, span: timedelta | None) -> GroupRetention | None:
        """The same with another retention; None for no limit."""
        return None if span is None else replace(self, span=span)

    def outlives_records(self, on: str | None, at: datetime) -> bool:
        """Whether records of a batch date are past their retention, and groups are kept for longer."""
        longer = self.records is not None and self.records < self.span
        return longer and self.records is not None and on is not None and day_start(on) <= at - self.records


def day_start(on: str) -> datetime:
    """The start of a date, in UTC."""
    return datetime.combine(date.fromisoformat(on), time(), UTC)
