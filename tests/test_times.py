"""Times and dates as callers write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import ConfigurationError
from minimize.times import parse_date, parse_time

MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-25T00:00:00Z", "2026-11-25T01:00:00+01:00", "2026-11-25", "2026-11-24T19:00:00-05:00"]
)
def test_a_moment_is_in_utc_however_it_is_written(text: str) -> None:
    assert parse_time(text) == MIDNIGHT
    assert f"{parse_time(text):%Z}" == "UTC"


def test_no_moment_stays_none() -> None:
    assert parse_time(None) is None


@pytest.mark.parametrize("given", ["2026-11-25T00:00:00", MIDNIGHT.replace(tzinfo=None)])
def test_a_time_without_a_zone_is_refused(given: datetime | str) -> None:
    with pytest.raises(ConfigurationError, match="has no time zone"):
        parse_time(given)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "25.11.2026", "2026-11-25T25:00:00Z"])
def test_an_invalid_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a time"):
        parse_time(text)


@given(st.datetimes(), st.integers(-720, 720))
def test_a_moment_reads_back_what_it_wrote(naive: datetime, minutes: int) -> None:
    aware = naive.replace(year=1970 + naive.year % 200, tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(aware.isoformat()) == parse_time(aware) == aware


def test_a_day_is_a_calendar_day() -> None:
    assert parse_date("2026-11-24") == parse_date(date(2026, 11, 24)) == date(2026, 11, 24)


def test_the_day_of_a_time_is_its_day() -> None:
    assert type(parse_date(datetime(2026, 11, 24, 23, tzinfo=UTC))) is date
    assert parse_date(datetime(2026, 11, 24, 23, tzinfo=UTC)) == date(2026, 11, 24)
    assert parse_date(datetime(2026, 11, 24, 23, tzinfo=timezone(timedelta(hours=-5)))) == date(2026, 11, 25)


@pytest.mark.parametrize("text", ["", "24.11.2026", "2026-02-30", "20261124T"])
def test_an_invalid_date_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a date"):
        parse_date(text)
