"""Parse and format times and dates: aware UTC inside the package, ISO 8601 outside."""

from __future__ import annotations

import re
from calendar import month_name, monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from minimize.errors import ConfigurationError
from minimize.text import count_noun

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
END_OF_TIME: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""A time after all recorded times."""
_MICROSECOND: Final = timedelta(microseconds=1)
Clock = Callable[[], datetime]
"""Returns the current time, aware UTC."""


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


def parse_time(value: datetime | str | None, named: str = "this") -> datetime | None:
    """An aware time in UTC. A text is ISO 8601; a date without a time means midnight in UTC.

    Raises ConfigurationError, with `named` in its message, if the value is not valid.

    >>> parse_time("2026-11-25T01:00:00+01:00")
    datetime.datetime(2026, 11, 25, 0, 0, tzinfo=datetime.timezone.utc)
    """
    if value is None:
        return None
    parsed = _parse_iso(value) if isinstance(value, str) else value
    if parsed is None:
        about = impossible_part(value) if isinstance(value, str) else ""
        message = f"{named} is not a time{about}"
        raise ConfigurationError(message, hint="Use ISO 8601, such as 2026-11-25T00:00:00Z.")
    if parsed.tzinfo is None and not (isinstance(value, str) and len(value) == len("2026-11-25")):
        raise ConfigurationError(f"{named} has no time zone", hint="Add Z for UTC, or an offset.")
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)


def parse_date(value: date | str, named: str = "this") -> date:
    """A calendar day. A text is YYYY-MM-DD; a time becomes its day in UTC.

    Raises ConfigurationError, with `named` in its message, if the value is not valid.

    >>> parse_date("2026-11-24")
    datetime.date(2026, 11, 24)
    """
    if isinstance(value, datetime):
        return value.date() if value.tzinfo is None else value.astimezone(UTC).date()
    if isinstance(value, date):
        return value
    day = parse_iso_date(value)
    if day is None:
        about = impossible_part(value)
        raise ConfigurationError(f"{named} is not a date{about}", hint="Use YYYY-MM-DD.")
    return day


_WRITTEN_DAY: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:$|[T ])")


def impossible_part(text: str) -> str:
    """What is wrong with the day of a text that is not a date or time; empty if it does not begin with year, month and day.

    >>> impossible_part("2026-13-01"), impossible_part("2026-02-30T00:00Z"), impossible_part("2026-1-05")
    (': there is no month 13', ': February 2026 has 28 days', ': month and day need two digits')
    """
    written = _WRITTEN_DAY.match(text)
    if written is None:
        return ""
    year, month, day = map(int, written.groups())
    if not 1 <= month <= 12:
        return f": there is no month {month}"
    if not 1 <= day <= (days := monthrange(max(year, 1), month)[1]):
        return f": {month_name[month]} {year} has {days} days"
    return ": month and day need two digits" if len(written[2]) + len(written[3]) < 4 else ""


def parse_iso_date(text: str) -> date | None:
    """The date of a text in ISO 8601; None if the text is not a date.

    >>> parse_iso_date("2026-11-24"), parse_iso_date("2026-11-31")
    (datetime.date(2026, 11, 24), None)
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def day_start(day: date | str) -> datetime:
    """The start of a date in UTC. Takes the date, or its text in ISO 8601.

    >>> day_start("2026-11-24")
    datetime.datetime(2026, 11, 24, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.combine(date.fromisoformat(day) if isinstance(day, str) else day, time(), UTC)


def minute_text(moment: datetime) -> str:
    """An aware time for readers: to the minute, in UTC.

    >>> minute_text(datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC))
    '2026-11-24 23:59 UTC'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def time_text(moment: datetime) -> str:
    """An aware time in UTC; fractions only if there are any.

    >>> time_text(datetime(2026, 11, 25, tzinfo=UTC))
    '2026-11-25T00:00:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def time_text_or_none(moment: datetime | None) -> str | None:
    """As `time_text`; None for None."""
    return None if moment is None else time_text(moment)


def seconds_text(moment: datetime) -> str:
    """A time in UTC without its fractions.

    >>> seconds_text(datetime(2026, 11, 25, 8, 30, 0, 250_000, tzinfo=UTC))
    '2026-11-25T08:30:00Z'
    """
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def epoch_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time. Raises ValueError for a time without offset."""
    if moment.utcoffset() is None:
        raise ValueError("a time without offset from UTC")
    return (moment - EPOCH) // _MICROSECOND


def from_epoch_microseconds(microseconds: int) -> datetime:
    """The time in UTC for a number of microseconds since the start of 1970.

    >>> from_epoch_microseconds(1_000_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + microseconds * _MICROSECOND


def instant_text(microseconds: int | None) -> str | None:
    """The time for a number of microseconds since 1970 as text; None for None.

    >>> instant_text(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    return None if microseconds is None else time_text(from_epoch_microseconds(microseconds))


def _parse_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def duration_text(span: timedelta) -> str:
    """A duration in the notation of policies.

    >>> duration_text(timedelta(hours=24)), duration_text(timedelta(hours=36)), duration_text(timedelta(minutes=90))
    ('1d', '36h', '90m')
    """
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


_UNIT_NAMES: Final = {"d": "day", "h": "hour", "m": "minute", "s": "second"}


def period_text(span: timedelta) -> str:
    """A duration in words.

    >>> period_text(timedelta(days=30)), period_text(timedelta(hours=1))
    ('30 days', '1 hour')
    """
    text = duration_text(span)
    return count_noun(int(text[:-1]), _UNIT_NAMES[text[-1]])
