from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques import Context
from minimize.techniques.shift_dates import ShiftDates

Run = Callable[..., list[Any]]
SHIFT = ShiftDates(key="dates", per="device", max_days=5)


def wall_clock(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0
) -> datetime:
    """A time without zone."""
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC).replace(tzinfo=None)


def test_one_subject_moves_as_one(run: Run) -> None:
    times = [wall_clock(2026, 3, 1, 12, 30), wall_clock(2026, 3, 2), wall_clock(1969, 12, 31)]
    moved = run(SHIFT, times, device=["d", "d", "d"])
    assert len({new - old for new, old in zip(moved, times, strict=True)}) == 1


def test_all_fields_of_a_subject_move_together(context: Context) -> None:
    day, devices = pa.array([date(2026, 3, 1)]), {"device": pa.array(["d"])}
    one, other = (SHIFT.apply(day, replace(context, field=field, columns=devices)) for field in ("f", "g"))
    assert one.values.equals(other.values)


def test_shifts_are_never_zero_and_reach_both_ends(run: Run) -> None:
    days = [date(2026, 3, 1)] * 300
    shifts = {(new - old).days for new, old in zip(run(SHIFT, days, device=list(range(300))), days, strict=True)}
    assert shifts == {*range(-5, 0), *range(1, 6)}


def test_whole_days_at_every_resolution(run: Run) -> None:
    time = wall_clock(2026, 3, 1, 12, 30, 15)
    moved = {run(SHIFT, [time], pa.timestamp(unit), device=["d"])[0] for unit in ("s", "ms", "us", "ns")}
    assert len({each.replace(tzinfo=None) for each in moved}) == 1
    assert (moved.pop() - time) % timedelta(days=1) == timedelta(0)


def test_an_unknown_subject_cannot_be_treated(run: Run, untreated: Run) -> None:
    days = [date(2026, 3, 1), None]
    assert run(SHIFT, days, device=pa.nulls(2, pa.string())) == [None, None]
    assert untreated(SHIFT, days, device=pa.nulls(2, pa.string())) == [True, False]


@pytest.mark.parametrize("type_", [pa.date32(), pa.timestamp("ns"), pa.timestamp("s")])
def test_a_date_shifted_beyond_its_type_cannot_be_treated(untreated: Run, type_: pa.DataType) -> None:
    bits = pa.int32() if pa.types.is_date(type_) else pa.int64()
    limit = 2 ** (bits.bit_width - 1)
    ends = pa.array([limit - 1, -limit + 1] * 20, bits).cast(type_)
    devices = [device for device in range(20) for _ in range(2)]
    marks = untreated(SHIFT, ends, device=devices)
    assert all(sum(marks[place : place + 2]) == 1 for place in range(0, 40, 2))


@pytest.mark.parametrize("parameters", [{"max_days": 0}, {"key": ""}, {"per": None}])
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ShiftDates.model_validate({"key": "dates", "per": "device", "max_days": 5, **parameters})


@given(st.lists(st.datetimes(wall_clock(1900, 1, 1), wall_clock(2100, 1, 1))), st.text("ab", min_size=1))
def test_order_and_distance_are_kept(run: Run, times: list[datetime], device: str) -> None:
    moved = run(SHIFT, sorted(times), pa.timestamp("us"), device=pa.array([device] * len(times), pa.string()))
    assert moved == sorted(moved)
    assert len({new - old for new, old in zip(moved, sorted(times), strict=True)}) <= 1


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("us", "UTC")])
def test_a_date_shifted_beyond_the_calendar_cannot_be_treated(run: Run, untreated: Run, kind: pa.DataType) -> None:
    ends = pa.array([date(9999, 12, 31), date(1, 1, 1)] * 40).cast(kind)
    devices = [str(number // 2) for number in range(80)]
    moved, lost = run(SHIFT, ends, device=devices), untreated(SHIFT, ends, device=devices)
    assert sum(lost) == 40
    assert [value is None for value in moved] == lost
    assert all(one != other for one, other in zip(lost[::2], lost[1::2], strict=True))
