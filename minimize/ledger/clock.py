"""Clocks: whether a time is plausible, and since when an act counts.

A time is implausible if it differs from the clock of the database or object store. If there is none, the times of what was
published show whether the clock of this machine can be right. All commands that write use this rule. Commands that change files
have a limit of seven days, because a wrong time removes data and locks dates. Commands that only record an act have a limit of
two years: an act removes nothing, an objection must not wait, and acts are rare. They are also refused if the time is before the
last entry of the ledger: the clock is behind, and an act that it dates would not cover what was published since.

The time of recording of an act is in the future only if a clock was ahead. If such an act restricts, it counts immediately. A
later day that a person stated differs from the time of recording, and is kept.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from minimize.errors import RefusedError
from minimize.ledger.audit_event import PUBLICATION_OPERATIONS
from minimize.ledger.database import Connection, server_time
from minimize.times import EPOCH, seconds_text

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


def time_difference(at: datetime, reference: datetime) -> str:
    """Two times in words."""
    return f"{seconds_text(at)}, compared with {seconds_text(reference)}"


def doubt_time(
    at: datetime,
    clock: datetime | None,
    evidence: datetime | None,
    *,
    gap: timedelta = MAX_GAP,
    since: str = "the last receipt",
) -> str:
    """Why a time is implausible; empty if it is plausible.

    clock     the time of the database or store; None if there is none
    evidence  a time that has passed; None if there is none
    gap       the longest time after it that is plausible
    since     what happened at that time, in words
    """
    if clock is not None:
        if abs(at - clock) <= CLOCK_SKEW:
            return ""
        return f"more than 5 minutes from the time of the database or store ({time_difference(at, clock)})"
    if evidence is None or at <= evidence + gap:
        return ""
    limit = f"{gap.days} days" if gap == MAX_GAP else f"{gap.days // 365} years"
    return f"more than {limit} after {since} ({time_difference(at, evidence)})"


def check_recording_time(connection: Connection, now: datetime) -> None:
    """Raises RefusedError (E304) if the time of this machine is implausible, so that it must not date an act."""
    if is_time_allowed():
        return
    clock = server_time(connection)
    evidence = None if clock is not None else _last_entry(connection)
    doubt = doubt_time(now, clock, evidence, gap=MAX_RECORDING_GAP, since="the last entry of the ledger")
    if doubt:
        raise RefusedError(f"nothing was recorded: the time is {doubt}", code=IMPLAUSIBLE_TIME, hint=ALLOW_TIME_HINT)


def _last_entry(connection: Connection) -> datetime | None:
    """The time of the last entry of the audit log that records an act or a publication; None if there is none.

    Other entries are no evidence: a clock that is wrong writes them, too, like the decision that permits this command.
    """
    query = (
        "SELECT time FROM audit AS entry WHERE result = 'success' AND (operation IN :operations OR acts >"
        " COALESCE((SELECT acts FROM audit AS before WHERE before.sequence = entry.sequence - 1), 0))"
        " ORDER BY sequence DESC LIMIT 1"
    )
    row = connection.row(query, operations=PUBLICATION_OPERATIONS)
    return None if row is None else row["time"]


def known_times(recorded: Sequence[datetime], now: datetime, *, at_latest: bool = False) -> list[datetime]:
    """For each act, in the order of the log, the time at which it counts as known.

    This is its time of recording, unless that is still in the future, because a clock was ahead. Then it is the time of an act
    after it, or if these are in the future, too, that of the act before it; with `at_latest` it is now.

    >>> from datetime import UTC, datetime
    >>> given, wrong, now = (datetime(year, 1, 1, tzinfo=UTC) for year in (2026, 2036, 2027))
    >>> [each.year for each in known_times([given, wrong], now)], [each.year for each in known_times([given, wrong, now], now)]
    ([2026, 2026], [2026, 2027, 2027])
    """
    known, last = list[datetime](), EPOCH
    bounds = reversed([*accumulate(reversed(recorded), min)])
    for time, bound in zip(recorded, bounds, strict=True):
        last = next((each for each in (time, bound) if each <= now), now if at_latest else last)
        known.append(last)
    return known


def effective_start(stated: datetime, recorded: datetime, known_at: datetime) -> datetime:
    """The time from which a restricting act counts: the stated day, or the time at which it was known if none was stated."""
    return stated if stated != recorded else min(stated, known_at)
