"""`truncate_time`, `age`: starts of units, and ages that somebody can have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from minimize.verification.rules.base import Given, Obeys, Place

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OLDEST: Final = {"days": 150_000, "months": 5_000, "years": 420}


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
    oldest = _OLDEST[str(given["unit"])]
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
