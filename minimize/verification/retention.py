"""Whether rows or values are shown that were past their retention, or too far in the future, when they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.pointer import Pointer
from minimize.verification.leaves import DAY, at, distinct, judged
from minimize.verification.policy import FieldView, PolicyView

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
    """Counts the times, and the values of features, that lie so far back that no event of theirs could have been kept."""

    def __init__(self, policy: PolicyView, limits: PolicyView, written: datetime) -> None:
        """Takes the policy of the records, the one whose retention counts, and the time as of which they were written."""
        self._policy, self._limits = policy, limits
        self._slack = _slack(policy)
        self._written = nanoseconds(written)

    def past(self, batch: pa.RecordBatch, leaves: Mapping[Pointer, pa.DataType]) -> int:
        """How many distinct times of this batch are past; none where the output does not tell."""
        time = self._time(leaves)
        if time is None or self._limits.retention is None:
            return 0
        return sum(self._is_past(value, self._limits.retention) for (value,) in distinct([at(batch, time).values]))

    def ahead(self, batch: pa.RecordBatch, leaves: Mapping[Pointer, pa.DataType]) -> int:
        """How many distinct times of this batch lie later than the time of writing and `future` allow."""
        time, latest = self._time(leaves), self._written + self._policy.future
        if time is None:
            return 0
        return sum(value is not None and value > latest for (value,) in distinct([at(batch, time).values]))

    def outlived(self, batch: pa.RecordBatch, leaves: Mapping[Pointer, pa.DataType]) -> dict[Pointer, int]:
        """How many times are past of which a value of a feature stands, by field; nothing for those without any."""
        time = self._time(leaves)
        found = (
            {}
            if time is None
            else {pointer: self._values(batch, time, pointer, long) for pointer, long in self._long(leaves)}
        )
        return {pointer: count for pointer, count in found.items() if count}

    def _values(self, batch: pa.RecordBatch, time: Pointer, pointer: Pointer, long: int) -> int:
        leaf = at(batch, pointer)
        there = leaf.rows.filter(leaf.values.is_valid())
        times = at(batch, time).values.take(there)
        return sum(self._is_past(value, long) for (value,) in distinct([times]))

    def _long(self, leaves: Mapping[Pointer, pa.DataType]) -> Iterator[tuple[Pointer, int]]:
        """The released fields of features that are kept for less long, and how long."""
        for pointer in leaves:
            view = self._limits.fields.get(pointer) or self._policy.fields[pointer]
            limits = [self._limits.features[name] for name in view.features if name in self._limits.features]
            if limits:
                yield pointer, min(limits)

    def _is_past(self, value: int | None, retention: int) -> bool:
        return value is not None and value + (self._slack or 0) <= self._written - retention

    def _time(self, leaves: Mapping[Pointer, pa.DataType]) -> Pointer | None:
        time = self._policy.time
        told = self._slack is not None and time is not None and pa.types.is_temporal(leaves.get(time, pa.null()))
        return time if told else None


def nanoseconds(moment: datetime) -> int:
    """A time in nanoseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def end_of(on: str) -> int:
    """The end of a date, in nanoseconds since 1970."""
    return nanoseconds(datetime.fromisoformat(f"{on}T00:00:00+00:00")) + DAY


def past_groups(times: pa.ChunkedArray, unit: str | None, policy: PolicyView, limit: int) -> int | None:
    """How many groups hold no event after a limit in nanoseconds, by their times; None if the times do not tell."""
    slack = _slack(policy)
    if slack is None or not pa.types.is_temporal(times.type):
        return None
    width = slack if unit is None else max(slack, _LONGEST.get(unit, 0))
    distinct_times, counts = pc.value_counts(times.combine_chunks()).flatten()
    starts = zip(judged(distinct_times), counts.to_pylist(), strict=True)
    return sum(int(count) for start, count in starts if start is not None and start + width <= limit)


def _slack(policy: PolicyView) -> int | None:
    """The length of the unit in which the event time is shown; None where it is shown otherwise, or not at all."""
    view: FieldView | None = None if policy.time is None else policy.fields.get(policy.time)
    if view is None or len(view.branches) != 1 or len(view.chains) != 1:
        return None
    (step, *more) = view.chains[0]
    if more or step.word not in ("keep", "truncate_time"):
        return None
    return _LONGEST.get(str(step.given.get("to")), 0) if step.word == "truncate_time" else 0
