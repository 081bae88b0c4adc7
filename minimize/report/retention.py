"""Retention of an output: when each date is due by today's policy, and what an expiry would remove now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from minimize.governance.retention.expire import ResolvedExpiry, resolve_expiry
from minimize.governance.retention.removal_plan import OpenDeadline, RemovalPlan, open_deadlines
from minimize.output.paths import output_and_date
from minimize.policy.describe import duration_text
from minimize.policy.model import Policy
from minimize.receipts import files_in_force
from minimize.report.context import ReportContext
from minimize.report.facts import DueRemoval, OpenEvents, PartitionFacts, PartitionState, RetentionFacts
from minimize.report.rounded_counts import RoundedCount

SOON_DUE: Final = timedelta(days=7)
_AGE_EVENT: Final = "retention"


def retention_facts(context: ReportContext) -> RetentionFacts:
    """The retention of an output as it stands. Raises PolicyError, OutputError where no policy can be read."""
    policy = context.policy_of(context.newest) if context.pipeline is None else context.pipeline.policy
    found = None if context.pipeline is None else context.attempt("what is overdue", lambda: _due_now(context))
    due, events = (None, ()) if found is None else found
    features = {
        name: duration_text(each.retention) for name, each in policy.features.items() if each.retention is not None
    }
    whole = "" if policy.retention is None else duration_text(policy.retention)
    spans = {} if context.pipeline is None else context.pipeline.own_retentions
    partitions = tuple(_partition_facts(context, policy, spans))
    aggregates = {name: duration_text(span) for name, span in spans.items()}
    return RetentionFacts(whole, features, partitions, due, events, aggregates)


def _partition_facts(
    context: ReportContext, policy: Policy, spans: Mapping[str, timedelta]
) -> Iterator[PartitionFacts]:
    """The dates that hold something, the oldest first, and when the first output of each is due."""
    rows: dict[str, RoundedCount] = {}
    ends: dict[str, list[datetime | None]] = {}
    for name, files in files_in_force(context.chain).items():
        for file in files:
            on = output_and_date(file.path)[1]
            if on is not None:
                rows[on] = rows.get(on, RoundedCount()) + RoundedCount.rounded(file.rows)
                ends.setdefault(on, []).append(_due_time(on, spans.get(name, policy.retention)))
    for on, count in sorted(rows.items()):
        gone_by = min((each for each in ends[on] if each is not None), default=None)
        yield PartitionFacts(on, count, gone_by, _partition_state(gone_by, context.request.at))


def _due_time(on: str, retention: timedelta | None) -> datetime | None:
    """When the youngest event that a batch date can hold is past its retention."""
    if retention is None:
        return None
    return datetime.combine(date.fromisoformat(on) + timedelta(days=1), time(), UTC) + retention


def _partition_state(gone_by: datetime | None, at: datetime) -> PartitionState:
    if gone_by is None:
        return "without end"
    return "overdue" if gone_by <= at else "soon" if gone_by <= at + SOON_DUE else "kept"


def _due_now(context: ReportContext) -> tuple[tuple[DueRemoval, ...], tuple[OpenEvents, ...]]:
    """What an expiry at this time would take out, and which events are open. Raises as `expire` does."""
    asked = context.request
    expiry = resolve_expiry(
        context.output, at=asked.at, pipeline=asked.pipeline, keys=context.keys, ledger=asked.ledger
    )
    plan = expiry.plan()
    return tuple(_due_removals(plan)), tuple(_events_by_kind(_open_events(expiry, plan)))


def _open_events(expiry: ResolvedExpiry, plan: RemovalPlan) -> list[OpenDeadline]:
    return (
        open_deadlines(plan, expiry.request.events, {})
        if not expiry.request.past_events
        else expiry.open_deadlines(plan)
    )


def _due_removals(plan: RemovalPlan) -> Iterator[DueRemoval]:
    for each in plan.partitions:
        rows = {reason: RoundedCount.rounded(number) for reason, number in each.gated.items() if number}
        values = RoundedCount.total(RoundedCount.rounded(number) for number in each.values.values())
        yield DueRemoval(each.name, each.date or "", rows, values)


def _events_by_kind(items: Iterable[OpenDeadline]) -> Iterator[OpenEvents]:
    """Kinds of events, without whose they are."""
    by: dict[str, list[OpenDeadline]] = {}
    for each in items:
        if each.kind != _AGE_EVENT:
            by.setdefault(each.kind, []).append(each)
    for kind, mine in sorted(by.items()):
        yield _open_events_of_kind(kind, mine)


def _open_events_of_kind(kind: str, mine: Sequence[OpenDeadline]) -> OpenEvents:
    return OpenEvents(kind, len(mine), sum(each.overdue for each in mine), min(each.deadline for each in mine))
