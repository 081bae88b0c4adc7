"""Clocks: whether a time is plausible, and since when an act counts.

A time is implausible if it is ahead of the clock that decides: the clock of the database or object store if there is one, else the
clock of this machine. Then the last publications show whether the clock of this machine can be right. All commands that write use
this rule. Commands that change files have a limit of seven days, because a wrong time removes data and locks dates. Commands that
only record an act have a limit of two years: an act removes nothing, an objection must not wait, and acts are rare.

An act that a clock ahead has recorded has a time in the future, or a time after that of an act that follows it in the log. If it
restricts, it counts immediately. A later day that a person stated is different from the time of recording, and is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from minimize.errors import RefusedError
from minimize.ledger.database import Connection, server_time
from minimize.times import seconds_text, utc_now

IMPLAUSIBLE_TIME: Final = "E304"
ALLOW_VARIABLE: Final = "MINIMIZE_ALLOW_TIME"
CLOCK_SKEW: Final = timedelta(minutes=5)
"""Maximum difference between two clocks that are both right."""
MAX_GAP: Final = timedelta(days=7)
"""Maximum time between the last publication and a change of files, if no other clock is available."""
MAX_RECORDING_GAP: Final = timedelta(days=731)
"""The same for an act that only is recorded."""
ALLOW_TIME_HINT: Final = f"Check the clock. If it is right, set {ALLOW_VARIABLE}=1 for this command."


def is_time_allowed() -> bool:
    """Whether the environment accepts every time."""
    return os.environ.get(ALLOW_VARIABLE, "") not in ("", "0")


def time_difference(at: datetime, other: datetime) -> str:
    """Two times in words."""
    return f"{seconds_text(at)}, compared with {seconds_text(other)}"


def doubt_time(at: datetime, clock: datetime | None, evidence: datetime | None, gap: timedelta = MAX_GAP) -> str:
    """Why a time is implausible; empty if it is plausible.

    clock     the time of the database or store; None if there is none
    evidence  a time that has passed, such as that of the last publication; None if there is none
    """
    if clock is not None:
        if abs(at - clock) <= CLOCK_SKEW:
            return ""
        return f"more than 5 minutes from the time of the database or store ({time_difference(at, clock)})"
    if evidence is None or at <= evidence + gap:
        return ""
    limit = f"{gap.days} days" if gap == MAX_GAP else f"{gap.days // 365} years"
    return f"more than {limit} after the last receipt ({time_difference(at, evidence)})"


def check_recording_time(connection: Connection) -> None:
    """Raises RefusedError (E304) if the clock of this machine is implausible, so that it must not date an act."""
    if is_time_allowed():
        return
    now, clock = utc_now(), server_time(connection)
    evidence = None if clock is not None else _latest(last_publication(connection), _last_act(connection))
    doubt = doubt_time(now, clock, evidence, MAX_RECORDING_GAP)
    if doubt:
        raise RefusedError(f"nothing was recorded: the time is {doubt}", code=IMPLAUSIBLE_TIME, hint=ALLOW_TIME_HINT)


def last_publication(connection: Connection) -> datetime | None:
    """The time of the last publication in the audit log, by its place in the log; None if there is none.

    Entries of runs that published nothing are no evidence: a clock that is wrong writes them, too.
    """
    query = "SELECT time AS at FROM audit WHERE operation = 'publish' ORDER BY sequence DESC LIMIT 1"
    found = connection.row(query)
    return None if found is None else found["at"]


def _last_act(connection: Connection) -> datetime | None:
    found = connection.row("SELECT recorded_at FROM acts ORDER BY id DESC LIMIT 1")
    return None if found is None else found["recorded_at"]


def _latest(*times: datetime | None) -> datetime | None:
    return max((each for each in times if each is not None), default=None)


def known_times(recorded: Sequence[datetime], now: datetime) -> list[datetime]:
    """For each act, in the order of the log, the time at which it was known at the latest.

    This is its time of recording, that of an act after it, or now: the earliest of them. It differs from the time of recording only
    if a clock was ahead.

    >>> from datetime import UTC, datetime
    >>> wrong, right = datetime(2036, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    >>> [each.year for each in known_times([wrong, right], now=right)]
    [2026, 2026]
    """
    return list(reversed([*accumulate(reversed(recorded), min, initial=now)][1:]))


def effective_start(stated: datetime, recorded: datetime, known: datetime) -> datetime:
    """The time from which a restricting act counts: the stated day, or the time at which it was known if none was stated."""
    return stated if stated != recorded else min(stated, known)


def was_ahead(times: Iterable[datetime], now: datetime) -> bool:
    """Whether one of these times of recording is still in the future."""
    return any(each > now + CLOCK_SKEW for each in times)
