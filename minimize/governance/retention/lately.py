"""Event days that waited for late rows, made anew from all their batches after records of some went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

from minimize.aggregates.table import AggregateResult
from minimize.engines import local
from minimize.engines.base import Job, Outcome, Unkept
from minimize.governance.retention.events import Event
from minimize.governance.retention.recompute import Before, UntilOn, as_then, keeping, only, reached
from minimize.governance.retention.recompute import Without as Left
from minimize.governance.retention.written import Written
from minimize.io.base import Source
from minimize.job.given import Given
from minimize.keys import Keyring
from minimize.policy.model import Policy

Sources = Mapping[date, Source]


@dataclass(frozen=True, slots=True)
class Day:
    """One event day of an aggregate: the job that published it, and the batches that it was counted from."""

    name: str
    day: date
    job: Job = field(repr=False)
    sources: Sources = field(repr=False)

    def without(self, events: Sequence[Event], policy: Policy, keys: Keyring, until: UntilOn) -> Sources:
        """Its batches without the records that events take."""
        return {
            when: Left(each, keeping(policy, events, each, keys, partial(until, on=when.isoformat())))
            for when, each in self.sources.items()
        }

    def table(self, sources: Sources, left: Callable[[str | None], int]) -> AggregateResult | None:
        """The day over these batches; None if a batch has other records than are left in the output."""
        outcomes = dict(self._outcomes(replace(self.job, plan=only(self.job, [self.name])), sources))
        if any(reached(outcome) != left(when.isoformat()) for when, outcome in outcomes.items()):
            return None
        first, *others = (outcome.late[self.name].days[self.day] for outcome in outcomes.values())
        for other in others:
            first.merge(other)
        return first.settle()

    def _outcomes(self, job: Job, sources: Sources) -> Iterator[tuple[date, Outcome]]:
        waits = job.plan.aggregates[self.name].late
        assert waits is not None
        for when, source in sources.items():
            reach = {self.name: waits.reach(when, frozenset({self.day}))}
            yield when, local.run(replace(job, reach=reach), source, None, Unkept())


def day_of(
    written: Written, batches: Mapping[date, Given], name: str, on: date, known: Before
) -> tuple[Job, AggregateResult] | None:
    """An event day made anew without the records that events took, and the job that published it; None where that cannot be.

    Takes the receipt that published the day, and runs that find the sources of its batches.
    """
    then = {when: as_then(written, given, when.isoformat()) for when, given in batches.items()}
    found = {when: each for when, each in then.items() if each is not None}
    if len(found) < len(then):
        return None
    keys = next(iter(batches.values())).keys
    day = Day(name, on, next(iter(found.values()))[0], {when: source for when, (_, source) in found.items()})
    result = day.table(day.without(known.events, written.policy, keys, known.until), known.left)
    return None if result is None else (day.job, result)
