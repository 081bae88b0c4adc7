"""Zones with daylight saving, compared with the standard library's `zoneinfo` from 1800 to 2300."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques import periods
from minimize.techniques.periods import local_days
from minimize.techniques.truncate_time import TruncateTime

Run = Callable[..., list[Any]]
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Europe/Dublin",
    "Asia/Beirut",
)
UNITS = ("minute", "hour", "day", "week", "month", "quarter", "year")
MOMENT = st.integers(-5_364_662_400, 10_413_792_000).map(lambda second: datetime.fromtimestamp(second, UTC))


def fields(wall: datetime, unit: str) -> datetime:
    day = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "minute": wall.replace(second=0, microsecond=0),
        "hour": wall.replace(minute=0, second=0, microsecond=0),
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "quarter": day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1),
        "year": day.replace(day=1, month=1),
    }[unit]


def shows(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def expected(instant: datetime, unit: str, zone: ZoneInfo) -> datetime:
    """The start by brute force: of the instants that show it the right one, or the first after the gap."""
    wall = fields(shows(instant, zone), unit)
    found = sorted({wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)})
    showing = [each for each in found if shows(each, zone) == wall]
    if not showing:
        first = found[0].replace(second=0)
        return next(
            each
            for each in (first + timedelta(minutes=minutes) for minutes in range(24 * 60))
            if shows(each, zone) >= wall
        )
    if unit in ("minute", "hour"):
        return max((each for each in showing if each <= instant), default=showing[0])
    return showing[0]


@given(MOMENT, st.sampled_from(ZONES), st.sampled_from(UNITS))
def test_start_is_that_of_zoneinfo(run: Run, instant: datetime, zone: str, unit: Any) -> None:
    (found,) = run(TruncateTime(to=unit, zone=zone), [instant], pa.timestamp("us", "UTC"))
    assert found == expected(instant, unit, ZoneInfo(zone))


@pytest.mark.parametrize("zone", ZONES)
def test_every_tenth_day_of_a_later_century_is_that_of_zoneinfo(run: Run, zone: str) -> None:
    first = datetime(2038, 1, 1, 0, 17, 3, tzinfo=UTC)
    instants = [first + timedelta(days=10 * number, minutes=97 * number) for number in range(2300)]
    for unit in ("hour", "day"):
        found = run(TruncateTime(to=unit, zone=zone), instants, pa.timestamp("s", "UTC"))
        assert found == [expected(each, unit, ZoneInfo(zone)) for each in instants]


@pytest.mark.parametrize("year", [2040, 2099, 2299])
def test_both_hours_of_a_clock_that_is_set_back_are_kept_apart(run: Run, year: int) -> None:
    rule = ZoneInfo("Europe/Berlin")
    days = [datetime(year, 10, day, 0, 30, tzinfo=UTC) for day in range(25, 32)]
    back = next(day for day in days if shows(day, rule).hour == shows(day + timedelta(hours=1), rule).hour)
    found = run(
        TruncateTime(to="hour", zone="Europe/Berlin"), [back, back + timedelta(hours=1)], pa.timestamp("s", "UTC")
    )
    assert found == [back.replace(minute=0), back.replace(minute=0) + timedelta(hours=1)]


def test_midnight_that_is_skipped_begins_after_the_gap(run: Run) -> None:
    instants = [datetime(2045, 9, day, 15, tzinfo=UTC) for day in range(1, 12)]
    zone = ZoneInfo("America/Santiago")
    found = run(TruncateTime(to="day", zone="America/Santiago"), instants, pa.timestamp("s", "UTC"))
    assert found == [expected(each, "day", zone) for each in instants]
    assert {shows(each, zone).hour for each in found} == {0, 1}


def test_nulls_stay_null_and_local_days_follow_the_rule() -> None:
    times = pa.array([datetime(2050, 7, 1, 22, 30, tzinfo=UTC), None], pa.timestamp("us", "UTC"))
    assert local_days(times, "Europe/Berlin").to_pylist() == [datetime(2050, 7, 2, tzinfo=UTC).date(), None]


def test_years_past_9999_follow_the_rule_of_an_equal_year() -> None:
    cycle = 146_097 * 86_400
    summer = np.array([periods.RULES_FROM + 200 * 86_400, periods.RULES_FROM + 200 * 86_400 + 21 * cycle])
    assert periods.zone_offsets(summer, "Europe/Berlin").tolist() == [7200, 7200]
