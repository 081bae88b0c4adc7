from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques import Context, UnsupportedType
from minimize.techniques.periods import local_days
from minimize.techniques.truncate_time import TruncateTime

Run = Callable[..., list[Any]]
UNITS = ("minute", "hour", "day", "week", "month", "quarter", "year")
RESOLUTIONS = ("s", "ms", "us", "ns")


def wall_clock(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0
) -> datetime:
    """A time without zone."""
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC).replace(tzinfo=None)


def start(wall: datetime, unit: str) -> datetime:
    """The start of the unit on a clock without zone."""
    day = wall_clock(wall.year, wall.month, wall.day)
    starts = {
        "minute": wall.replace(second=0, microsecond=0),
        "hour": wall.replace(minute=0, second=0, microsecond=0),
        "day": day,
        "week": day - timedelta(days=day.isoweekday() - 1),
        "month": day.replace(day=1),
        "quarter": day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1),
        "year": day.replace(day=1, month=1),
    }
    return starts[unit]


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("unit", UNITS)
def test_every_resolution_truncates_to_the_same_time(run: Run, unit: Any, resolution: str) -> None:
    times = [wall_clock(2024, 2, 29, 23, 59, 59), wall_clock(1969, 12, 31, 23, 59, 59), wall_clock(1901, 1, 1), None]
    released = run(TruncateTime(to=unit), times, pa.timestamp(resolution))
    assert [None if each is None else each.replace(tzinfo=None) for each in released] == [
        None if time is None else start(time, unit) for time in times
    ]


def test_iso_weeks_start_on_monday_in_every_year(run: Run) -> None:
    days = [date(2021, 1, 3), date(2021, 1, 4), date(2008, 12, 31), date(2010, 1, 3)]
    mondays = [date(2020, 12, 28), date(2021, 1, 4), date(2008, 12, 29), date(2009, 12, 28)]
    assert run(TruncateTime(to="week"), days) == mondays
    assert [day.isocalendar()[:2] for day in days] == [day.isocalendar()[:2] for day in mondays]


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64()])
def test_dates_truncate_by_day_and_coarser(run: Run, type_: pa.DataType) -> None:
    days = [date(2024, 2, 29), date(1969, 12, 31), None]
    assert run(TruncateTime(to="day"), days, type_) == days
    assert run(TruncateTime(to="quarter", zone="Asia/Tokyo"), days, type_) == [
        date(2024, 1, 1),
        date(1969, 10, 1),
        None,
    ]


def test_a_date64_that_is_not_a_whole_day_is_cut_like_any_other() -> None:
    odd = pa.array([1_700_000_000_123], pa.int64()).cast(pa.date64())
    assert TruncateTime(to="day").apply(odd, Context("f", utc(2026, 1, 1))).values.cast(pa.int64()).to_pylist() == [
        1_699_920_000_000
    ]


def test_a_date_has_no_hours() -> None:
    with pytest.raises(UnsupportedType, match="takes timestamp"):
        TruncateTime(to="hour").output_type(pa.date32())


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "unit", "time", "expected"),
    [
        ("Europe/Paris", "day", (2026, 11, 25, 23, 30), (2026, 11, 25, 23, 0)),
        ("Europe/Paris", "day", (2026, 11, 25, 22, 30), (2026, 11, 24, 23, 0)),
        ("America/New_York", "month", (2026, 11, 1, 3, 59), (2026, 10, 1, 4, 0)),
        ("Asia/Kolkata", "hour", (2026, 1, 1, 0, 15), (2025, 12, 31, 23, 30)),
        ("Europe/London", "hour", (2026, 10, 25, 0, 40), (2026, 10, 25, 0, 0)),
        ("Europe/London", "hour", (2026, 10, 25, 1, 40), (2026, 10, 25, 1, 0)),
        ("Australia/Lord_Howe", "hour", (2026, 4, 4, 15, 15), (2026, 4, 4, 14, 0)),
        ("America/Sao_Paulo", "day", (2018, 11, 4, 12, 0), (2018, 11, 4, 3, 0)),
        ("America/Havana", "day", (2026, 11, 1, 12, 0), (2026, 11, 1, 4, 0)),
        ("Europe/Paris", "week", (2026, 3, 29, 12, 0), (2026, 3, 22, 23, 0)),
    ],
)
def test_zones_cut_by_their_own_clock(
    run: Run, zone: str, unit: Any, time: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    for resolution in RESOLUTIONS:
        assert run(TruncateTime(to=unit, zone=zone), [utc(*time)], pa.timestamp(resolution, "UTC")) == [utc(*expected)]


def test_the_zone_of_the_column_is_only_how_it_is_shown(run: Run) -> None:
    time = utc(2026, 11, 25, 23, 30)
    paris = run(TruncateTime(to="day"), [time], pa.timestamp("us", "Europe/Paris"))
    assert paris == [utc(2026, 11, 25)]
    assert paris[0].tzinfo == ZoneInfo("Europe/Paris")


def test_a_start_before_the_type_begins_cannot_be_treated(run: Run, untreated: Run) -> None:
    first = pa.array([-(2**63) + 1, None], pa.int64()).cast(pa.timestamp("ns"))
    assert run(TruncateTime(to="year"), first) == [None, None]
    assert untreated(TruncateTime(to="hour"), first) == [True, False]


@pytest.mark.parametrize(
    "parameters", [{}, {"to": "second"}, {"to": "hour", "zone": "Mars/Olympus"}, {"to": "hour", "zone": ""}]
)
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TruncateTime.model_validate(parameters)


@given(
    st.datetimes(wall_clock(1971, 1, 1), wall_clock(2037, 1, 1)),
    st.sampled_from(UNITS),
    st.sampled_from(
        ["UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana"]
    ),
)
def test_truncating_twice_is_truncating_once_and_agrees_with_zoneinfo(
    run: Run, time: datetime, unit: Any, zone: str
) -> None:
    technique = TruncateTime(to=unit, zone=zone)
    aware = time.replace(tzinfo=UTC)
    [once] = run(technique, [aware], pa.timestamp("us", "UTC"))
    assert run(technique, [once], pa.timestamp("us", "UTC")) == [once]
    assert once <= aware
    assert start(once.astimezone(ZoneInfo(zone)).replace(tzinfo=None), unit) == start(
        aware.astimezone(ZoneInfo(zone)).replace(tzinfo=None), unit
    )


def test_a_period_that_begins_before_the_calendar_cannot_be_treated(run: Run, untreated: Run) -> None:
    first = pa.array([wall_clock(1, 1, 1), wall_clock(1, 1, 2)], pa.timestamp("us"))
    technique = TruncateTime(to="day", zone="Europe/Paris")
    assert [value is None for value in run(technique, first)] == [True, False]
    assert untreated(technique, first) == [True, False]
    assert run(TruncateTime(to="year"), first) == [wall_clock(1, 1, 1)] * 2


@pytest.mark.parametrize("to", ["week", "month", "year"])
def test_a_date_whose_unit_began_before_the_first_date_cannot_be_treated(to: Any) -> None:
    first = pa.array([-(2**31), 0], pa.int32()).cast(pa.date32())
    treated = TruncateTime(to=to).apply(first, Context("f", datetime(2026, 11, 25, tzinfo=UTC)))
    assert treated.values.is_null().to_pylist() == [True, False]
    assert treated.untreated is not None
    assert treated.untreated.to_pylist() == [True, False]


@pytest.mark.parametrize("times", [pa.array([2**62]).view(pa.date64()), pa.array([-(2**62)]).view(pa.timestamp("s"))])
def test_the_day_of_a_time_beyond_all_dates_is_the_last_that_there_is(times: pa.Array) -> None:
    days = local_days(times, "UTC").cast(pa.int32()).to_pylist()
    assert days in ([2**31 - 1], [-(2**31)])
