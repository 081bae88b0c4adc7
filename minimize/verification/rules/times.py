"""`truncate_time`, `age`: starts of units, and ages that somebody can have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from minimize.verification.rules.base import Given, Obeys, Place

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IN_A_YEAR: Final = {"days": 365.2425, "months": 12, "years": 1}
_OLDEST, _LONGEST = 2_100, 9_999
"""Years: of what began in year 1 until a run, and between any two days of the calendar."""


def time_starts(given: Given, place: Place) -> Obeys:
    """Times at which a unit begins: the moment before belongs to another one. Dates have no zone."""
    zone: tzinfo = UTC if pa.types.is_date(place.type) else ZoneInfo(str(given.get("zone", "UTC")))
    return starts_of(str(given["to"]), zone)


def starts_of(unit: str, zone: tzinfo) -> Obeys:
    """The judge of times (nanoseconds since 1970) that begin a unit in a zone."""
    naming = _NAMES[unit]

    def obeys(value: Any) -> bool:
        seconds, rest = divmod(value, 10**9)
        if rest:
            return False
        try:
            here = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)
            before = (_EPOCH + timedelta(seconds=seconds, microseconds=-1)).astimezone(zone)
        except OverflowError:
            return bool(seconds % 60 == 0)
        return bool(naming(here) != naming(before))

    return obeys


def ages(given: Given, place: Place) -> Obeys:
    """Completed units: not below zero, and not beyond what the calendar gives."""
    years = _OLDEST if given.get("at", "run") == "run" else _LONGEST
    oldest = years * _IN_A_YEAR[str(given["unit"])]
    return lambda value: 0 <= value <= oldest


_NAMES: Final[dict[str, Callable[[datetime], object]]] = {
    "minute": lambda time: (time.utcoffset(), time.date(), time.hour, time.minute),
    "hour": lambda time: (time.utcoffset(), time.date(), time.hour),
    "day": lambda time: time.date(),
    "week": lambda time: time.isocalendar()[:2],
    "month": lambda time: (time.year, time.month),
    "quarter": lambda time: (time.year, (time.month + 2) // 3),
    "year": lambda time: time.year,
}
