"""What goes when, and what should be gone: by the retention of today's policy, and by what an expiry would find."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from minimize.governance.retention.expire import Expiry, resolved
from minimize.governance.retention.plan import Open, Plan, opens
from minimize.io.places import place_of
from minimize.policy.model import Policy
from minimize.policy.words import duration
from minimize.receipt import in_force
from minimize.report.facts import Due, Keeping, OpenEvent, Partition, Retention
from minimize.report.rounding import Count
from minimize.report.standing import Standing

SOON: Final = timedelta(days=7)
_AGE: Final = "retention"


def retention_of(standing: Standing) -> Retention:
    """The retention of an output as it stands. Raises PolicyError, OutputError where no policy can be read."""
    policy = standing.policy_of(standing.newest) if standing.job is None else standing.job.policy
    found = None if standing.job is None else standing.try_to("what is overdue", lambda: _looked(standing))
    due, events = (None, ()) if found is None else found
    features = {name: duration(each.retention) for name, each in policy.features.items() if each.retention is not None}
    whole = "" if policy.retention is None else duration(policy.retention)
    spans = {} if standing.job is None else standing.job.own_retentions
    partitions = tuple(_partitions(standing, policy, spans))
    aggregates = {name: duration(span) for name, span in spans.items()}
    return Retention(whole, features, partitions, due, events, aggregates)


def _partitions(standing: Standing, policy: Policy, spans: Mapping[str, timedelta]) -> Iterator[Partition]:
    """The dates that hold something, the oldest first, and when the first output of each is due."""
    rows: dict[str, Count] = {}
    ends: dict[str, list[datetime | None]] = {}
    for name, files in in_force(standing.chain).items():
        for file in files:
            on = place_of(file.path)[1]
            if on is not None:
                rows[on] = rows.get(on, Count()) + Count.of(file.rows)
                ends.setdefault(on, []).append(_gone_by(on, spans.get(name, policy.retention)))
    for on, count in sorted(rows.items()):
        gone_by = min((each for each in ends[on] if each is not None), default=None)
        yield Partition(on, count, gone_by, _state(gone_by, standing.asked.at))


def _gone_by(on: str, retention: timedelta | None) -> datetime | None:
    """When the youngest event that a batch date can hold is past its retention."""
    if retention is None:
        return None
    return datetime.combine(date.fromisoformat(on) + timedelta(days=1), time(), UTC) + retention


def _state(gone_by: datetime | None, at: datetime) -> Keeping:
    if gone_by is None:
        return "without end"
    return "overdue" if gone_by <= at else "soon" if gone_by <= at + SOON else "kept"


def _looked(standing: Standing) -> tuple[tuple[Due, ...], tuple[OpenEvent, ...]]:
    """What an expiry at this time would take out, and which events are open. Raises as `expire` does."""
    asked = standing.asked
    expiry = resolved(standing.output, at=asked.at, pipeline=asked.pipeline, keys=standing.keys, ledger=asked.ledger)
    plan = expiry.plan()
    return tuple(_due(plan)), tuple(_events(_opens(expiry, plan)))


def _opens(expiry: Expiry, plan: Plan) -> list[Open]:
    return opens(plan, expiry.asked.events, {}) if not expiry.asked.happened else expiry.open(plan)


def _due(plan: Plan) -> Iterator[Due]:
    for each in plan.partitions:
        rows = {reason: Count.of(number) for reason, number in each.gated.items() if number}
        values = Count.total(Count.of(number) for number in each.values.values())
        yield Due(each.name, each.date or "", rows, values)


def _events(items: Iterable[Open]) -> Iterator[OpenEvent]:
    """Kinds of events, without whose they are."""
    by: dict[str, list[Open]] = {}
    for each in items:
        if each.what != _AGE:
            by.setdefault(each.what, []).append(each)
    for kind, mine in sorted(by.items()):
        yield _event(kind, mine)


def _event(kind: str, mine: Sequence[Open]) -> OpenEvent:
    return OpenEvent(kind, len(mine), sum(each.overdue for each in mine), min(each.by for each in mine))
