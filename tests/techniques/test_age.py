from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques.age import Age

Run = Callable[..., list[Any]]
MONTHS = Age(unit="months", at="seen")


def wall_clock(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0
) -> datetime:
    """A time without zone."""
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC).replace(tzinfo=None)


def test_ages_count_to_the_run(run: Run) -> None:
    """The run is at noon of 2026-11-25."""
    days = [wall_clock(2026, 11, 24, 12), wall_clock(2026, 11, 24, 12, 0, 1), wall_clock(2026, 11, 25, 12), None]
    for resolution in ("s", "ms", "us", "ns"):
        assert run(Age(unit="days"), days, pa.timestamp(resolution)) == [1, 0, 0, None]
    assert run(Age(unit="years"), [date(2020, 11, 25), date(2020, 11, 26), date(1950, 1, 1)]) == [6, 5, 76]


@pytest.mark.parametrize(
    ("born", "seen", "months"),
    [
        (date(2026, 1, 31), date(2026, 2, 28), 0),
        (date(2026, 1, 31), date(2026, 3, 1), 1),
        (date(2024, 2, 29), date(2025, 2, 28), 11),
        (date(2024, 2, 29), date(2025, 3, 1), 12),
        (date(2026, 5, 17), date(2026, 6, 16), 0),
        (date(2026, 5, 17), date(2026, 6, 17), 1),
    ],
)
def test_a_month_is_complete_when_its_day_comes_again(run: Run, born: date, seen: date, months: int) -> None:
    assert run(MONTHS, [born], seen=[seen]) == [months]


def test_a_month_is_complete_when_its_time_of_day_comes_again(run: Run) -> None:
    born = wall_clock(2026, 5, 17, 10, 0, 0, 5)
    assert run(
        MONTHS, [born, born], seen=[wall_clock(2026, 6, 17, 10, 0, 0, 4), wall_clock(2026, 6, 17, 10, 0, 0, 5)]
    ) == [
        0,
        1,
    ]


def test_where_one_is_a_date_both_are(run: Run) -> None:
    assert run(Age(unit="days", at="seen"), [wall_clock(2026, 5, 17, 23, 59)], seen=[date(2026, 5, 18)]) == [1]


def test_a_date_in_the_future_or_without_a_reference_time_cannot_be_treated(run: Run, untreated: Run) -> None:
    born, seen = [date(2026, 5, 2), date(2026, 5, 1), None], [date(2026, 5, 1), None, None]
    assert run(MONTHS, born, seen=seen) == [None, None, None]
    assert untreated(MONTHS, born, seen=seen) == [True, True, False]


def test_an_age_beyond_int32_cannot_be_treated(untreated: Run) -> None:
    ancient = pa.array([-(2**61)], pa.int64()).cast(pa.timestamp("s"))
    assert untreated(Age(unit="days"), ancient) == [True]


def test_it_reads_the_field_that_it_counts_to() -> None:
    assert MONTHS.reads() == {"seen"}
    assert Age(unit="days").reads() == frozenset()


@given(st.dates(date(1900, 1, 1), date(2026, 11, 25)))
def test_years_are_whole_months_and_days_agree_with_subtraction(run: Run, born: date) -> None:
    [days], [months], [years] = (run(Age(unit=unit), [born]) for unit in ("days", "months", "years"))
    assert timedelta(days=days) == datetime(2026, 11, 25, tzinfo=UTC).date() - born
    assert years == months // 12 == 2026 - born.year - ((born.month, born.day) > (11, 25))
