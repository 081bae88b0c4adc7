"""A chain that holds a tally splits there: what must see everything first is settled in passes of its own.

The order of the passes is the order of the data's path: duplicates are found among the records that the gate lets through,
the most frequent values among the records that remain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypeVar

from minimize.aggregates.days import DayTally
from minimize.aggregates.definition import Definition
from minimize.aggregates.groups import GroupBook
from minimize.aggregates.roster import Roster
from minimize.aggregates.table import AggregateTally
from minimize.engines.base import Bound, Job
from minimize.engines.shares import side_by_side
from minimize.plan import Plan
from minimize.plan.request import fields_read_for
from minimize.pointer import Pointer
from minimize.spill import Aside
from minimize.stage import Batch, Stage, Tally
from minimize.stages.deduplicate import DeduplicateTally
from minimize.stages.generalize import Generalize
from minimize.techniques.base import Technique
from minimize.techniques.frequent import TopTally
from minimize.techniques.said import Said
from minimize.techniques.top import Top

Shares = Callable[[frozenset[str] | None], Sequence[Iterable[Batch]]]
"""The good records of a source in shares, with no more than these fields where some are named."""
T = TypeVar("T", bound=Tally[Any])


@dataclass(frozen=True, slots=True)
class Shared:
    """What the tallies of several threads share, so that codes mean the same in all of them.

    rosters  the subjects, by the field that tells them
    books    the groups of each aggregate
    days     the groups of each event day of those that wait for late rows
    """

    rosters: Mapping[Pointer, Roster]
    books: Mapping[str, GroupBook]
    days: Mapping[str, Mapping[date, GroupBook]]

    def of(self, definition: Definition) -> Roster:
        """The subjects that an aggregate counts."""
        return self.rosters[definition.counting]


def way_through(job: Job, shares: Shares) -> tuple[Stage, ...]:
    """The stages of a job, everything settled. Calls `shares` once for each pass that must come first."""
    if job.bound is not None:
        return bound_way(job, job.bound)
    gate = job.gate
    if not deduplicates(job.plan):
        return (gate, generalize(job, _settled_alone(job, shares)))
    duplicates = tallied(lambda: DeduplicateTally.of(job.plan, job.row_key, job.aside), (gate,), shares(None)).settle()
    return (gate, duplicates, generalize(job, _settled(job, (gate, duplicates), shares(None))))


def bound_way(job: Job, bound: Bound) -> tuple[Stage, ...]:
    """The stages of a job that was bound before, whose plan has nothing to settle."""
    return (job.gate, Generalize(job.plan, job.keys, job.at, memos=job.memos, bound=bound.fields))


def tallied(start: Callable[[], T], stages: tuple[Stage, ...], shares: Sequence[Iterable[Batch]]) -> T:
    """One tally of all shares, each of which is observed by itself, behind these stages."""

    def observe(share: Iterable[Batch]) -> T:
        tally = start()
        for batch in share:
            tally.observe(through(stages, batch))
            del batch  # or it would stay in memory while the next one is read
        return tally

    first, *others = side_by_side(observe, shares)
    for other in others:
        first.merge(other)
    return first


def shared(job: Job) -> Shared:
    """Nothing yet, for all tallies of a process."""
    aggregates = job.plan.aggregates
    rosters = {aggregate.definition.counting: Roster() for aggregate in aggregates.values()}
    books = {name: GroupBook.of(aggregate.definition) for name, aggregate in aggregates.items()}
    days = {
        name: {day: GroupBook.of(aggregate.definition) for day in job.reach[name].wanted}
        for name, aggregate in aggregates.items()
        if aggregate.late is not None
    }
    return Shared(rosters, books, days)


def observers(job: Job, known: Shared) -> dict[str, AggregateTally]:
    """An empty tally for each aggregate that is complete with its batch."""
    complete = {name: aggregate for name, aggregate in job.plan.aggregates.items() if aggregate.late is None}
    return {
        name: AggregateTally(
            aggregate.definition, job.aside, known.of(aggregate.definition), known.books[name], job.sketch_hasher
        )
        for name, aggregate in complete.items()
    }


def late_observers(job: Job, known: Shared) -> dict[str, DayTally]:
    """An empty tally for each aggregate that waits for late rows."""
    return {
        name: DayTally(
            aggregate.definition,
            aggregate.late,
            job.reach[name],
            job.aside,
            known.of(aggregate.definition),
            known.days[name],
            job.sketch_hasher,
        )
        for name, aggregate in job.plan.aggregates.items()
        if aggregate.late is not None
    }


def passes(plan: Plan) -> int:
    """How often the input is read: once, and once before for each thing that must see everything first."""
    return 1 + deduplicates(plan) + bool(_tops(plan))


def ranked(plan: Plan) -> frozenset[str]:
    """The fields of which a quantile is wanted."""
    measures = (m for aggregate in plan.aggregates.values() for m in aggregate.model.measures.values())
    return frozenset(measure.of for measure in measures if measure.name == "quantile" and measure.of is not None)


def through(stages: tuple[Stage, ...], batch: Batch) -> Batch:
    """The batch behind all the stages."""
    for stage in stages:
        batch = stage(batch)
    return batch


def generalize(job: Job, settled: Mapping[str, Technique]) -> Generalize:
    """The stage that generalizes, everything before it settled."""
    return Generalize(job.plan, job.keys, job.at, settled=settled, ranks=ranked(job.plan), memos=job.memos)


def deduplicates(plan: Plan) -> bool:
    """Whether records are looked at for duplicates."""
    return plan.pipeline is not None and plan.pipeline.records is not None and bool(plan.pipeline.records.deduplicate)


def _tops(plan: Plan) -> dict[str, Top]:
    return {key: step for key, field in plan.fields.items() for step in field.steps if isinstance(step, Top)}


class Tallies:
    """The tallies of all fields with a `top`, as one; by field, what those of one process may share."""

    def __init__(self, plan: Plan, aside: Aside, said: Mapping[str, Said]) -> None:
        subject = Pointer.parse(plan.policy.subject or "_")
        self._each = {
            key: TopTally(key, plan.fields[key].pointer, subject, top, aside, said.get(key))
            for key, top in _tops(plan).items()
        }

    def observe(self, batch: Batch) -> None:
        """Takes one batch in."""
        for tally in self._each.values():
            tally.observe(batch)

    def merge(self, other: Tallies) -> None:
        """Takes in what others have seen."""
        for key, tally in self._each.items():
            tally.merge(other._each[key])

    def settle(self) -> dict[str, Technique]:
        """The technique that each settled into, by field."""
        return {key: tally.settle() for key, tally in self._each.items()}


def until_tally(job: Job) -> Generalize:
    """The stage that generalizes what the tallies of `top` look at, and nothing else."""
    return Generalize(job.plan, job.keys, job.at, until_tally=True)


def _settled(job: Job, stages: tuple[Stage, ...], shares: Sequence[Iterable[Batch]]) -> dict[str, Technique]:
    said = said_of(job)
    return tallied(lambda: Tallies(job.plan, job.aside, said), (*stages, until_tally(job)), shares).settle()


def said_of(job: Job) -> dict[str, Said]:
    """What subjects have said of each field with a `top`: nothing yet."""
    return {key: Said(job.aside.budget) for key in _tops(job.plan)}


def _settled_alone(job: Job, shares: Shares) -> dict[str, Technique]:
    alone = only_tops(job)
    if not alone.plan.fields:
        return {}
    read = fields_read_for(alone.plan.policy, alone.plan.fields, alone.plan.pipeline)
    return _settled(alone, (alone.gate,), shares(read))


def only_tops(job: Job) -> Job:
    """The job of the fields with a `top` alone: where nothing before them looks at whole records, no more is needed."""
    return replace(job, plan=replace(job.plan, fields={key: job.plan.fields[key] for key in _tops(job.plan)}))
