"""Passes over the input: shares for parallel threads, stages with settled tallies, and the tallies of the last pass.

A chain that contains a tally is split at the tally: a separate pass settles it before the last pass. The order of the
passes is the order of the stages. Duplicates are searched among the records that pass the gate. The most frequent values
are computed from the records that remain.

Arrow and NumPy release the interpreter lock while they work. The assignment of pieces to shares depends on the input and the
number of processors only, never on the speed of a thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypeVar

from minimize.aggregates.dictionaries import GroupDictionary
from minimize.aggregates.tally import AggregateTally, EventDayTally
from minimize.arrow.pointers import Pointer
from minimize.engines.base import BoundPlan, Job
from minimize.errors import ConfigurationError
from minimize.plan import Plan
from minimize.plan.model import RiskPlan
from minimize.plan.request import fields_read_for
from minimize.records import Batch, Stage, Tally
from minimize.sources.base import SourcePart
from minimize.stages.deduplicate import DeduplicateTally
from minimize.stages.generalize import GeneralizeFields, bind_fields
from minimize.stages.risk_bound import CoarsenFields, RiskDecision, RiskTally, SuppressRecords, decide
from minimize.techniques.base import Technique
from minimize.techniques.top import SubjectValues, Top, TopTally

T = TypeVar("T")
S = TypeVar("S")
MIN_SHARE_BYTES = 16 << 20
"""Bytes below which a share does not justify its own thread and file."""

InputShare = Sequence[SourcePart]


def split_shares(parts: Sequence[SourcePart], workers: int | None = None, least: int | None = None) -> list[InputShare]:
    """The parts, or their pieces, in order, in at most `workers` shares, by default one for each processor.

    A share has at least `least` bytes, by default `MIN_SHARE_BYTES`.
    """
    size = sum(part.size for part in parts)
    count = min(workers or _processor_count(), size // (least or MIN_SHARE_BYTES))
    pieces = [piece for part in parts for piece in part.pieces()] if count > 1 else list(parts)
    if count < 2 or len(pieces) < 2:
        return [pieces]
    shares: list[list[SourcePart]] = [[]]
    taken = 0
    for piece in pieces:
        if shares[-1] and len(shares) < count and taken + piece.size / 2 > size * len(shares) / count:
            shares.append([])
        shares[-1].append(piece)
        taken += piece.size
    return list(shares)


def _processor_count() -> int:
    """The processors that this process may use; all of the machine on systems without affinity, such as macOS."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def thread_map(count: int) -> Iterator[Callable[[Callable[[T], S], Iterable[T]], Iterator[S]]]:
    """A `map` that processes `count` items in parallel, each in a thread; the built-in `map` if `count` is 1.

    Results are in the order of the items. The block ends when all threads have ended, even after an error.
    """
    if count < 2:
        yield map
    else:
        with ThreadPoolExecutor(count, thread_name_prefix="minimize") as pool:
            yield pool.map


ReadShares = Callable[[frozenset[str] | None], Sequence[Iterable[Batch]]]
"""The valid records of a source in shares; with keys, only these fields."""
TallyT = TypeVar("TallyT", bound=Tally[Any])


@dataclass(frozen=True, slots=True)
class SharedDictionaries:
    """Dictionaries that the tallies of several threads share, so that codes mean the same in all of them."""

    groups: Mapping[str, GroupDictionary]
    """The groups of each aggregate."""
    days: Mapping[str, Mapping[date, GroupDictionary]]
    """The groups of each event day of aggregates with a late window."""


def settle_stages(job: Job, shares: ReadShares) -> tuple[Stage, ...]:
    """The stages of a job up to its values, with all tallies settled. Calls `shares` once for each pass before the last.

    The bound on disclosure risk is not part of them: it concerns all records of a date, not a sample of them.
    """
    if job.bound is not None:
        return bound_stages(job, job.bound)
    stages: tuple[Stage, ...] = (job.gate,)
    if deduplicates(job.plan):
        duplicates = tally_shares(
            lambda: DeduplicateTally.from_plan(job.plan, job.row_key, job.space), stages, shares(None)
        )
        stages = (*stages, duplicates.settle())
    if not _top_steps(job.plan):
        return (*stages, generalize_stage(job, {}))
    counted, before, read = job, stages, None
    if not deduplicates(job.plan):
        counted = top_fields_job(job)
        before, read = (counted.gate,), fields_read_for(counted.plan.policy, counted.plan.fields, counted.plan.pipeline)
    top_values = empty_top_values(counted)
    tops = tally_shares(
        lambda: TopTallies(counted.plan, top_values), (*before, until_tally_stage(counted)), shares(read)
    )
    return (*stages, generalize_stage(job, tops.settle()))


def decide_risk_first(job: Job, stages: tuple[Stage, ...], shares: ReadShares) -> RiskDecision | None:
    """What a bound on disclosure risk does that can remove or coarsen records: it counts all of them before one is written.

    Takes the stages up to the values. None without such a bound.
    """
    if not decides_risk_before_writing(job.plan):
        return None
    risk, settled = planned_risk(job.plan), stages[-1].settled if isinstance(stages[-1], GeneralizeFields) else {}
    counted, read = job, None
    if not deduplicates(job.plan):
        counted = risk_fields_job(job)
        stages, read = (counted.gate,), fields_read_for_risk(job)
    else:
        stages = stages[:-1]
    tally = tally_shares(
        lambda: RiskTally.from_plan(risk, job.space), (*stages, risk_fields_stage(counted, settled)), shares(read)
    )
    return decide_risk(job, tally)


def risk_fields_job(job: Job) -> Job:
    """The job restricted to the fields that the bound on disclosure risk reads, unless an earlier stage needs whole records."""
    keys = _risk_fields(planned_risk(job.plan))
    return replace(job, plan=replace(job.plan, fields={key: job.plan.fields[key] for key in keys}))


def risk_fields_stage(job: Job, settled: Mapping[str, Technique]) -> GeneralizeFields:
    """The transformation of the fields that the bound reads, without counts."""
    plan = risk_fields_job(job).plan
    known = {key: technique for key, technique in settled.items() if key in plan.fields}
    bound = bind_fields(plan, known, frozenset(), counts=False)
    return GeneralizeFields(plan, job.keys, job.at, settled=known, memos=job.memos, bound=bound)


def fields_read_for_risk(job: Job) -> frozenset[str]:
    """The keys of all fields that are read to gate the records and to count their combinations."""
    return fields_read_for(job.plan.policy, _risk_fields(planned_risk(job.plan)), job.plan.pipeline)


def _risk_fields(risk: RiskPlan) -> tuple[str, ...]:
    return (*risk.quasi_identifiers, *risk.sensitive)


def with_bound(job: Job, stages: tuple[Stage, ...], decision: RiskDecision | None) -> tuple[Stage, ...]:
    """The stages with those that remove and coarsen records: before and after the transformation, which is the last stage."""
    if decision is None or decision.bound is None:
        return stages
    *earlier, generalize = stages
    risk, settled = planned_risk(job.plan), generalize.settled if isinstance(generalize, GeneralizeFields) else {}
    suppress = SuppressRecords(job.plan, risk, decision.bound, risk_fields_stage(job, settled))
    return (*earlier, suppress, generalize, CoarsenFields(job.plan, risk, decision.bound))


def bound_stages(job: Job, bound: BoundPlan) -> tuple[Stage, ...]:
    """The stages of a job that was bound before and whose plan has no tallies."""
    return (job.gate, GeneralizeFields(job.plan, job.keys, job.at, memos=job.memos, bound=bound.fields))


def tally_shares(start: Callable[[], TallyT], stages: tuple[Stage, ...], shares: Sequence[Iterable[Batch]]) -> TallyT:
    """One tally of all shares, each observed separately after these stages."""

    def observe(share: Iterable[Batch]) -> TallyT:
        tally = start()
        for batch in share:
            passed = batch
            for stage in stages:
                passed = stage(passed)
            tally.observe(passed)
            del batch, passed  # otherwise they stay in memory while the next batch is read
        return tally

    with thread_map(len(shares)) as map_shares:
        first, *others = map_shares(observe, shares)
    for share_tally in others:
        first.merge(share_tally)
    return first


def empty_dictionaries(job: Job) -> SharedDictionaries:
    """Empty dictionaries for all tallies of a process."""
    aggregates = {name: aggregate for name, aggregate in job.plan.aggregates.items() if not aggregate.is_rollup}
    dictionaries = {
        name: GroupDictionary.for_definition(aggregate.definition) for name, aggregate in aggregates.items()
    }
    days = {
        name: {day: GroupDictionary.for_definition(aggregate.definition) for day in job.event_days[name].tallied}
        for name, aggregate in aggregates.items()
        if aggregate.late is not None
    }
    return SharedDictionaries(dictionaries, days)


def aggregate_tallies(job: Job, dictionaries: SharedDictionaries) -> dict[str, AggregateTally]:
    """An empty tally for each aggregate that is complete with its batch."""
    return {
        name: AggregateTally(
            aggregate.definition,
            job.space,
            dictionaries.groups[name],
            job.noise_hasher,
        )
        for name, aggregate in job.plan.aggregates.items()
        if aggregate.late is None and not aggregate.is_rollup
    }


def event_day_tallies(job: Job, dictionaries: SharedDictionaries) -> dict[str, EventDayTally]:
    """An empty tally for each aggregate with a late window."""
    return {
        name: EventDayTally(
            definition=aggregate.definition,
            lateness=aggregate.late,
            reach=job.event_days[name],
            space=job.space,
            groups=dictionaries.days[name],
            hasher=job.noise_hasher,
        )
        for name, aggregate in job.plan.aggregates.items()
        if aggregate.late is not None
    }


def count_passes(plan: Plan) -> int:
    """How often the input is read: once, and once more for each tally that must settle first."""
    return 1 + deduplicates(plan) + bool(_top_steps(plan)) + decides_risk_before_writing(plan)


def decides_risk_before_writing(plan: Plan) -> bool:
    """Whether a bound on disclosure risk can remove or coarsen records, so that all are counted before one is written."""
    return plan.risk is not None and plan.risk.needs_first_pass


def planned_risk(plan: Plan) -> RiskPlan:
    """The bound of a plan that has one."""
    if plan.risk is None:
        raise ConfigurationError("the pipeline has no bound on disclosure risk")
    return plan.risk


def last_pass_risk_tally(job: Job) -> RiskTally | None:
    """An empty tally of the combinations, if the bound refuses the run as a whole and so is checked after the last pass."""
    risk = job.plan.risk
    return None if risk is None or risk.needs_first_pass else RiskTally.from_plan(risk, job.space)


def decide_risk(job: Job, tally: RiskTally) -> RiskDecision:
    """What the bound does to the records that a tally has counted."""
    return decide(job.plan, planned_risk(job.plan), tally.settle(), job.at)


def ranked_fields(plan: Plan) -> frozenset[str]:
    """The fields that are measured by rank."""
    measures = (m for aggregate in plan.aggregates.values() for m in aggregate.model.measures.values())
    return frozenset(measure.of for measure in measures if measure.by_rank and measure.of is not None)


def run_stages(stages: tuple[Stage, ...], batch: Batch) -> Batch:
    """The batch after all the stages."""
    for stage in stages:
        batch = stage(batch)
    return batch


def generalize_stage(job: Job, settled: Mapping[str, Technique]) -> GeneralizeFields:
    """The transformation stage, with its tallies settled."""
    return GeneralizeFields(job.plan, job.keys, job.at, settled=settled, ranks=ranked_fields(job.plan), memos=job.memos)


def deduplicates(plan: Plan) -> bool:
    """Whether the plan removes duplicates."""
    return plan.pipeline is not None and plan.pipeline.records is not None and bool(plan.pipeline.records.deduplicate)


def _top_steps(plan: Plan) -> dict[str, Top]:
    return {key: step for key, field in plan.fields.items() for step in field.steps if isinstance(step, Top)}


class TopTallies:
    """The tallies of all fields with a `top`, combined; by field, the parts that the tallies of a process can share."""

    def __init__(self, plan: Plan, pairs: Mapping[str, SubjectValues]) -> None:
        subject = Pointer.parse(plan.policy.subject or "_")
        self._each = {
            key: TopTally(key=key, pointer=plan.fields[key].pointer, subject=subject, top=top, pairs=pairs[key])
            for key, top in _top_steps(plan).items()
        }

    def observe(self, batch: Batch) -> None:
        """Add one batch."""
        for tally in self._each.values():
            tally.observe(batch)

    def merge(self, tallies: TopTallies) -> None:
        """Add the rows that other tallies have observed."""
        for key, tally in self._each.items():
            tally.merge(tallies._each[key])

    def settle(self) -> dict[str, Technique]:
        """The technique that each tally settles into, by field."""
        return {key: tally.settle() for key, tally in self._each.items()}


def until_tally_stage(job: Job) -> GeneralizeFields:
    """The transformation stage for the inputs of the `top` tallies only."""
    return GeneralizeFields(job.plan, job.keys, job.at, until_tally=True)


def empty_top_values(job: Job) -> dict[str, SubjectValues]:
    """Empty sets of (subject, value) pairs for each field with a `top`."""
    return {key: SubjectValues(job.space) for key in _top_steps(job.plan)}


def top_fields_job(job: Job) -> Job:
    """The job restricted to the fields with a `top`: unless an earlier stage needs whole records, no others are needed."""
    return replace(job, plan=replace(job.plan, fields={key: job.plan.fields[key] for key in _top_steps(job.plan)}))
