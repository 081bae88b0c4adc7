"""Whether rows are shown that were past their retention when they were written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa

from minimize.pointer import Pointer
from minimize.verification.leaves import DAY, at, distinct
from minimize.verification.policy import PolicyView

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST: Final[Mapping[str, int]] = {
    "minute": 60 * 10**9,
    "hour": 3600 * 10**9,
    "day": DAY + 3600 * 10**9,
    "week": 8 * DAY,
    "month": 32 * DAY,
    "quarter": 93 * DAY,
    "year": 367 * DAY,
}
"""How long after the start of a unit an event may have happened, at most; summer time included."""


class Retention:
    """Counts the times that lie so far back that no event of theirs could have been kept."""

    def __init__(self, policy: PolicyView, written: datetime) -> None:
        """Takes the policy, and the time as of which its records were written."""
        self._policy = policy
        self._slack = _slack(policy)
        self._limit = (written - _EPOCH) // timedelta(microseconds=1) * 1000 - (policy.retention or 0)

    def past(self, batch: pa.RecordBatch, leaves: Mapping[Pointer, pa.DataType]) -> int:
        """How many distinct times of this batch are past; none where the output does not tell."""
        time = self._policy.time
        if self._slack is None or time is None or not pa.types.is_temporal(leaves.get(time, pa.null())):
            return 0
        return sum(value + self._slack <= self._limit for (value,) in distinct([at(batch, time).values]))


def _slack(policy: PolicyView) -> int | None:
    """The length of the unit in which the event time is shown; None where it is shown otherwise, or not at all."""
    view = None if policy.time is None else policy.fields.get(policy.time)
    if policy.retention is None or view is None or len(view.branches) != 1 or len(view.chains) != 1:
        return None
    (step, *more) = view.chains[0]
    if more or step.word not in ("keep", "truncate_time"):
        return None
    return _LONGEST.get(str(step.given.get("to")), 0) if step.word == "truncate_time" else 0
