"""Calendar periods: the start of the unit that an instant or a date falls into, in UTC or a zone, for every Arrow resolution.

Arrow does not apply the rule that a zone has for every year from 2037 on. UTC offsets from then on come from the standard
library's `zoneinfo`. Each distinct quarter of an hour is looked up once: from 2037 on no zone changes its offset within one.
The Gregorian calendar repeats after 400 years, so years past 9892 are looked up one cycle earlier.
Source: RFC 8536 §3.3 (the footer's rule), IANA time zone database.

>>> import pyarrow as pa
>>> period_starts(pa.array([1_700_000_000], pa.timestamp("s")), "day", "UTC").cast(pa.int64()).to_pylist()
[1699920000]
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.hashing import null_mask, number_buffer
from minimize.techniques.parameters import ranked

Seconds = npt.NDArray[np.int64]

RULES_FROM: Final = 2_114_380_800
"""2037-01-01 in seconds since 1970."""
_LAST_LOOKED_UP: Final = 250_000_000_000
"""In the year 9892. Python has no dates after 9999."""
_QUARTER_SECONDS: Final = 900
_DAY_SECONDS: Final = 86_400
_CYCLE_SECONDS: Final = 146_097 * _DAY_SECONDS
"""400 years of the Gregorian calendar, a whole number of weeks."""


def zone_offsets(instants: Seconds, zone: str) -> Seconds:
    """The zone's offset from UTC at each instant, in seconds.

    >>> zone_offsets(np.array([2_540_000_000, 2_553_000_000]), "Europe/Berlin").tolist()
    [7200, 3600]
    """
    rule = ZoneInfo(zone)
    known = np.where(
        instants < _LAST_LOOKED_UP,
        instants,
        _LAST_LOOKED_UP - _CYCLE_SECONDS + (instants - _LAST_LOOKED_UP) % _CYCLE_SECONDS,
    )
    quarters, places = np.unique(known // _QUARTER_SECONDS, return_inverse=True)
    offsets = [_utc_offset(rule, int(quarter) * _QUARTER_SECONDS) for quarter in quarters]
    return np.array(offsets, np.int64)[places]


def zone_instants(wall: Seconds, zone: str, which: Literal["earliest", "latest"]) -> Seconds:
    """The instants at which the zone's clock shows these times.

    For a time that the clock shows twice, the earliest or the latest instant. For a time that it skips, the end of the gap.
    """
    before, after = zone_offsets(wall - _DAY_SECONDS, zone), zone_offsets(wall + _DAY_SECONDS, zone)
    early, late = wall - np.maximum(before, after), wall - np.minimum(before, after)
    early_shows = early + zone_offsets(early, zone) == wall
    late_shows = late + zone_offsets(late, zone) == wall
    first, second = (early, early_shows), (late, late_shows)
    if which == "latest":
        first, second = second, first
    instants = np.where(first[1], first[0], second[0])
    skipped = ~(early_shows | late_shows)
    if skipped.any():
        instants[skipped] = _gap_ends(early[skipped], after[skipped], zone)
    return instants


def _gap_ends(early: Seconds, after: Seconds, zone: str) -> Seconds:
    """The instants at which the clock is set forward, each less than a day after `early`."""
    ends = early // _QUARTER_SECONDS * _QUARTER_SECONDS
    while (waiting := zone_offsets(ends, zone) != after).any():
        ends[waiting] += _QUARTER_SECONDS
    return ends


def _utc_offset(rule: ZoneInfo, instant: int) -> int:
    offset = datetime.fromtimestamp(instant, UTC).astimezone(rule).utcoffset()
    assert offset is not None
    return offset.days * _DAY_SECONDS + offset.seconds


CalendarUnit = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
UNIT_ORDER: Final = ranked(
    ("year", "quarter", "month", "day", "hour", "minute"),
    ("week", "day", "hour", "minute"),
    scale=get_args(CalendarUnit),
)
"""A unit tightens if it consists of whole units of the one before. Months do not consist of whole weeks."""
UTC_NAMES = frozenset({"UTC", "Etc/UTC", "Z", "+00:00"})
Ticks = npt.NDArray[np.int64]

_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_MONDAY = 4 * 86_400
"""1970-01-05, the first Monday, in seconds."""
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""The first and the last second of the years 1 to 9999."""
_DATE32_LIMITS = np.iinfo(np.int32)
"""The range of days of a date32."""


def period_starts(times: pa.Array, unit: CalendarUnit, zone: str) -> pa.Array:
    """The start of the unit of each time, in the same type; null for null, and if the start is outside the type or the calendar.

    Weeks are ISO weeks. When a clock is set back, a repeated hour keeps its occurrence, and a day begins with the earlier
    one. If midnight is skipped, the day begins after the gap. Dates have no zone.
    """
    if pa.types.is_date(times.type):
        return _date_starts(times, unit)
    if zone in UTC_NAMES and unit in _SECONDS:
        starts = _fixed_length_starts(times, unit)
        if starts is not None:
            return starts
    utc = times.cast(pa.timestamp(times.type.unit)) if times.type.tz is None else _without_zone(times)
    starts = _floor_to_unit(utc, unit) if zone in UTC_NAMES else _zone_starts(utc, unit, zone)
    whole = starts.cast(pa.int64())
    leaving = leaves_calendar(ticks(times), ticks(starts), ticks_per_second(times.type))
    if leaving.any():
        whole = pc.if_else(pa.array(leaving), pa.nulls(len(whole), pa.int64()), whole)
    return whole.cast(times.type)


def _fixed_length_starts(times: pa.TimestampArray, unit: CalendarUnit) -> pa.TimestampArray | None:
    """Starts of units of fixed length in UTC; None if a start may be outside the type or the calendar."""
    per = ticks_per_second(times.type)
    width, first = _SECONDS[unit] * per, (_MONDAY * per if unit == "week" else 0)
    values = number_buffer(times, np.int64)
    null = null_mask(times) if times.null_count else None
    if null is not None:
        values = np.where(null, 0, values)
    if len(values) and int(values.min()) - 2 * width < max(_FIRST_SECOND * per, -(2**63)):
        return None
    low = np.floor_divide(values if not first else values - first, width)
    low *= width
    low += first
    valid = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(times.type, len(low), [valid, pa.py_buffer(low)])


def leaves_calendar(before: Ticks, after: Ticks, per_second: int) -> npt.NDArray[np.bool_]:
    """Mask of times in the years 1 to 9999, the range of common calendars, whose result is outside these years."""
    low, high = max(_FIRST_SECOND * per_second, -(2**63)), min((_LAST_SECOND + 1) * per_second - 1, 2**63 - 1)
    if not len(after) or (after.min() >= low and after.max() <= high):
        return np.zeros(len(after), np.bool_)
    leaving: npt.NDArray[np.bool_] = (before >= low) & (before <= high) & ((after < low) | (after > high))
    return leaving


def utc_days(times: pa.Array) -> Ticks:
    """The UTC day of each instant or date as days since 1970, 0 for null."""
    return np.floor_divide(ticks(times), ticks_per_second(times.type) * 86_400)


def local_days(times: pa.Array, zone: str) -> pa.Date32Array:
    """The calendar day that a zone's clock shows at each instant; a date is unchanged. Null for null. Days beyond the type
    become its last day.

    >>> local_days(pa.array([1_700_000_000], pa.timestamp("s")), "Asia/Tokyo").to_pylist()
    [datetime.date(2023, 11, 15)]
    """
    if pa.types.is_date(times.type):
        return _date32(times)
    utc = times.cast(pa.timestamp(times.type.unit)) if times.type.tz is None else _without_zone(times)
    wall = utc if zone in UTC_NAMES else _wall_clock(utc, zone)
    return _date32(_floor_to_unit(wall, "day"))


def _date32(times: pa.Array) -> pa.Date32Array:
    days = np.clip(utc_days(times), _DATE32_LIMITS.min, _DATE32_LIMITS.max).astype(np.int32)
    return pa.array(days, mask=np.asarray(times.is_null().to_numpy(zero_copy_only=False))).cast(pa.date32())


def ticks(times: pa.Array) -> Ticks:
    """Instants or dates as integers of their own resolution, 0 for null."""
    whole = times.cast(pa.int32()) if pa.types.is_date32(times.type) else times
    filled = whole.cast(pa.int64()).fill_null(0)
    scale = 86_400 if pa.types.is_date32(times.type) else 1
    return np.asarray(filled.to_numpy(zero_copy_only=False), np.int64) * scale


def ticks_per_second(type_: pa.DataType) -> int:
    """The number of `ticks` per second."""
    if pa.types.is_date(type_):
        return 1_000 if pa.types.is_date64(type_) else 1
    return _TICKS[type_.unit]


def month_and_rest(seconds: Ticks) -> tuple[Ticks, Ticks]:
    """For instants in seconds since 1970: the month since 1970, and the seconds since that month began."""
    month = seconds.astype("datetime64[s]").astype("datetime64[M]")
    return month.astype(np.int64), seconds - month.astype("datetime64[s]").astype(np.int64)


def _without_zone(times: pa.Array) -> pa.Array:
    return times.cast(pa.int64()).cast(pa.timestamp(times.type.unit))


def _date_starts(dates: pa.Array, unit: CalendarUnit) -> pa.Array:
    null = np.asarray(dates.is_null().to_numpy(zero_copy_only=False))
    whole = np.floor_divide(ticks(dates), ticks_per_second(dates.type))
    starts = _floor_to_unit(pa.array(whole, mask=null).cast(pa.timestamp("s")), unit)
    if pa.types.is_date64(dates.type):
        return pc.multiply(starts.cast(pa.int64()), 1_000).cast(dates.type)
    first = ticks(starts) // 86_400
    null = np.asarray(starts.is_null().to_numpy(zero_copy_only=False)) | (first < _DATE32_LIMITS.min)
    return pa.array(np.where(null, 0, first).astype(np.int32), mask=null).cast(dates.type)


def _floor_to_unit(times: pa.Array, unit: CalendarUnit) -> pa.Array:
    """Rounds down on the clock that the values show."""
    values = ticks(times)
    per = ticks_per_second(times.type)
    if unit in _SECONDS:
        width, first = _SECONDS[unit] * per, (_MONDAY * per if unit == "week" else 0)
        low = values - (values - first) % width
    else:
        low = _month_starts(np.floor_divide(values, per), _MONTHS[unit]) * per
    beyond = low > values
    null = np.asarray(times.is_null().to_numpy(zero_copy_only=False))
    return pa.array(np.where(null | beyond, 0, low), mask=null | beyond).cast(times.type)


def _month_starts(seconds: Ticks, month_count: int) -> Ticks:
    month, _ = month_and_rest(seconds)
    first = (month - month % month_count).astype("datetime64[M]")
    return first.astype("datetime64[s]").astype(np.int64)


def _zone_starts(utc: pa.Array, unit: CalendarUnit, zone: str) -> pa.Array:
    wall = _floor_to_unit(_wall_clock(utc, zone), unit)
    early = _instants_of_wall_clock(wall, zone, "earliest")
    if unit not in ("minute", "hour"):
        return early
    late = _instants_of_wall_clock(wall, zone, "latest")
    return pc.if_else(pc.less_equal(late, utc), late, early)


def _wall_clock(utc: pa.Array, zone: str) -> pa.Array:
    """The wall-clock time of a zone at each instant, as a timestamp without zone."""
    arrow = pc.local_timestamp(_with_zone(utc, zone))
    return _correct_late_times(utc, arrow, lambda seconds: seconds + zone_offsets(seconds, zone))


def _instants_of_wall_clock(wall: pa.Array, zone: str, which: Literal["earliest", "latest"]) -> pa.Array:
    """The instants at which a zone's clock shows these times; the end of the gap if it skips one."""
    arrow = _without_zone(pc.assume_timezone(wall, zone, ambiguous=which, nonexistent="latest"))
    return _correct_late_times(wall, arrow, lambda seconds: zone_instants(seconds, zone, which))


def _correct_late_times(times: pa.Array, arrow: pa.Array, convert: Callable[[Ticks], Ticks]) -> pa.Array:
    """Arrow's result, and from 2037 on a conversion of whole seconds: Arrow then stays at the last offset that it knows."""
    per = ticks_per_second(times.type)
    values = ticks(times)
    late = values >= RULES_FROM * per
    if not late.any():
        return arrow
    seconds, remainders = np.divmod(values[late], per)
    distinct, places = np.unique(seconds, return_inverse=True)
    converted = ticks(arrow).copy()
    converted[late] = convert(distinct)[places] * per + remainders
    null = np.asarray(times.is_null().to_numpy(zero_copy_only=False))
    return pa.array(converted, mask=null).cast(times.type)


def _with_zone(utc: pa.Array, zone: str) -> pa.Array:
    return utc.cast(pa.timestamp(utc.type.unit, tz="UTC")).cast(pa.timestamp(utc.type.unit, tz=zone))
