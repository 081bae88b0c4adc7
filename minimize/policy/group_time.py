"""Which group key of an aggregate tells how old a group is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from minimize.policy.fields import ways_of
from minimize.policy.model import Policy
from minimize.techniques.shift_dates import ShiftDates

_UNITS: Final = (None, "minute", "hour", "day", "week", "month", "quarter", "year")


def group_time(policy: Policy, units: Mapping[str, str | None]) -> tuple[str, timedelta] | None:
    """The key that tells how old a group is, and the longest time by which its times are shifted; None if no key does.

    Takes the units of the keys that are event times, None for one in its released form. The finest unit counts.
    """
    field = None if policy.time is None else policy.fields.get(policy.time)
    if field is None or not units:
        return None
    column = min(units, key=lambda column: _UNITS.index(units[column]))
    ways = [way for way in ways_of(field) if not isinstance(way, str)]
    shifts = [sum(step.max_days for step in way if isinstance(step, ShiftDates)) for way in ways]
    return column, timedelta(days=max(shifts, default=0))
