"""Times and dates as callers write them: aware UTC inside the package, ISO 8601 outside."""

from __future__ import annotations

from datetime import UTC, date, datetime

from minimize.errors import ConfigurationError


def parse_time(value: datetime | str | None, named: str = "this") -> datetime | None:
    """An aware time in UTC; a text is ISO 8601, a date alone its midnight in UTC.

    Raises ConfigurationError for what is none, by the name under which it was asked for.

    >>> parse_time("2026-11-25T01:00:00+01:00")
    datetime.datetime(2026, 11, 25, 0, 0, tzinfo=datetime.timezone.utc)
    """
    if value is None:
        return None
    parsed = _parse_iso(value) if isinstance(value, str) else value
    if parsed is None:
        raise ConfigurationError(f"{named} is no time", hint="write ISO 8601, as in 2026-11-25T00:00:00Z")
    if parsed.tzinfo is None and not (isinstance(value, str) and len(value) == len("2026-11-25")):
        raise ConfigurationError(f"{named} is a time without a zone", hint="add Z for UTC, or an offset")
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)


def parse_date(value: date | str, named: str = "this") -> date:
    """A calendar day; a text is YYYY-MM-DD, a time counts by its day in UTC.

    Raises ConfigurationError for what is none, by the name under which it was asked for.

    >>> parse_date("2026-11-24")
    datetime.date(2026, 11, 24)
    """
    if isinstance(value, datetime):
        return value.date() if value.tzinfo is None else value.astimezone(UTC).date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        found = None
    if found is None:
        raise ConfigurationError(f"{named} is no date", hint="write YYYY-MM-DD")
    return found


def _parse_iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
