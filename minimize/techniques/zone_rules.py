"""UTC offsets of a zone from 2037 on, where only its rule for every year is left. Arrow does not apply that rule.

Offsets come from the standard library's `zoneinfo`. Each distinct quarter of an hour is looked up once: from 2037 on no zone
changes its offset within one. The Gregorian calendar repeats after 400 years, so years past 9892
are looked up one cycle earlier.
Source: RFC 8536 §3.3 (the footer's rule), IANA time zone database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.int64]

FROM: Final = 2_114_380_800
"""2037-01-01 in seconds since 1970."""
_LAST: Final = 250_000_000_000
"""In the year 9892. Python has no dates after 9999."""
_QUARTER: Final = 900
_DAY: Final = 86_400
_CYCLE: Final = 146_097 * _DAY
"""400 years of the Gregorian calendar, a whole number of weeks."""


def offsets(instants: Seconds, zone: str) -> Seconds:
    """The zone's offset from UTC at each instant, in seconds.

    >>> offsets(np.array([2_540_000_000, 2_553_000_000]), "Europe/Berlin").tolist()
    [7200, 3600]
    """
    rule = ZoneInfo(zone)
    known = np.where(instants < _LAST, instants, _LAST - _CYCLE + (instants - _LAST) % _CYCLE)
    quarters, places = np.unique(known // _QUARTER, return_inverse=True)
    found = [_offset(rule, int(quarter) * _QUARTER) for quarter in quarters]
    return np.array(found, np.int64)[places]


def instants(wall: Seconds, zone: str, which: Literal["earliest", "latest"]) -> Seconds:
    """The instants at which the zone's clock shows these times.

    Of a time that the clock shows twice, the earliest or the latest. Of a time that it skips, the end of the gap.
    """
    before, after = offsets(wall - _DAY, zone), offsets(wall + _DAY, zone)
    early, late = wall - np.maximum(before, after), wall - np.minimum(before, after)
    early_shows = early + offsets(early, zone) == wall
    late_shows = late + offsets(late, zone) == wall
    first, second = (early, early_shows), (late, late_shows)
    if which == "latest":
        first, second = second, first
    found = np.where(first[1], first[0], second[0])
    skipped = ~(early_shows | late_shows)
    if skipped.any():
        found[skipped] = _gap_ends(early[skipped], after[skipped], zone)
    return found


def _gap_ends(early: Seconds, after: Seconds, zone: str) -> Seconds:
    """The instants at which the clock goes forward, each less than a day after `early`."""
    found = early // _QUARTER * _QUARTER
    while (waiting := offsets(found, zone) != after).any():
        found[waiting] += _QUARTER
    return found


def _offset(rule: ZoneInfo, instant: int) -> int:
    offset = datetime.fromtimestamp(instant, UTC).astimezone(rule).utcoffset()
    assert offset is not None
    return offset.days * _DAY + offset.seconds
