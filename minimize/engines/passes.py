"""A chain that holds a tally splits there: what must see everything first is settled in passes of its own.

The order of the passes is the order of the data's path: duplicates are found among the records that the gate lets through,
the most frequent values among the records that remain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from minimize.aggregates.table import AggregateTally
from minimize.engines.base import Job
from minimize.plan import Plan
from minimize.plan.request import fields_read_for
from minimize.pointer import Pointer
from minimize.stage import Batch, Stage
from minimize.stages.deduplicate import DeduplicateTally
from minimize.stages.gate import Gate
from minimize.stages.generalize import Generalize
from minimize.techniques.base import Technique
from minimize.techniques.top import Top, TopTally

Batches = Callable[[frozenset[str] | None], Iterable[Batch]]
"""The good records of a source, with no more than these fields where some are named."""


def way_through(job: Job, batches: Batches) -> tuple[Stage, ...]:
    """The stages of a job, everything settled. Calls `batches` once for each pass that must come first."""
    stages: tuple[Stage, ...] = (Gate(job.plan, job.settings, job.at),)
    duplicates = _duplicates(job)
    if duplicates is not None:
        for batch in _after(stages, batches(None)):
            duplicates.observe(batch)
        stages = (*stages, duplicates.settle())
    settled = _settle_tops(job, stages, batches) if duplicates is not None else _settle_tops_alone(job, batches)
    return (*stages, Generalize(job.plan, job.keys, job.at, settled=settled, ranks=ranked(job.plan)))


def observers(plan: Plan) -> dict[str, AggregateTally]:
    """An empty tally for each aggregate."""
    return {name: AggregateTally(aggregate.definition) for name, aggregate in plan.aggregates.items()}


def passes(plan: Plan) -> int:
    """How often the input is read: once, and once before for each thing that must see everything first."""
    return 1 + _deduplicates(plan) + bool(_tops(plan))


def ranked(plan: Plan) -> frozenset[str]:
    """The fields of which a quantile is wanted."""
    measures = (m for aggregate in plan.aggregates.values() for m in aggregate.model.measures.values())
    return frozenset(measure.of for measure in measures if measure.name == "quantile" and measure.of is not None)


def through(stages: tuple[Stage, ...], batch: Batch) -> Batch:
    """The batch behind all the stages."""
    for stage in stages:
        batch = stage(batch)
    return batch


def _after(stages: tuple[Stage, ...], batches: Iterable[Batch]) -> Iterable[Batch]:
    return (through(stages, batch) for batch in batches)


def _deduplicates(plan: Plan) -> bool:
    return plan.pipeline is not None and plan.pipeline.records is not None and bool(plan.pipeline.records.deduplicate)


def _duplicates(job: Job) -> DeduplicateTally | None:
    if not _deduplicates(job.plan):
        return None
    return DeduplicateTally.of(job.plan, job.row_key)


def _tops(plan: Plan) -> Mapping[str, Top]:
    return {key: step for key, field in plan.fields.items() for step in field.steps if isinstance(step, Top)}


def _settle_tops_alone(job: Job, batches: Batches) -> dict[str, Technique]:
    """Settles them over batches that hold only what they need: nothing before them looks at whole records."""
    plan = replace(job.plan, fields={key: job.plan.fields[key] for key in _tops(job.plan)})
    read = fields_read_for(plan.policy, plan.fields, plan.pipeline)
    narrow = replace(job, plan=plan)
    return _settle_tops(narrow, (Gate(plan, job.settings, job.at),), lambda _: batches(read))


def _settle_tops(job: Job, stages: tuple[Stage, ...], batches: Batches) -> dict[str, Technique]:
    subject = Pointer.parse(job.plan.policy.subject or "_")
    tallies = {key: TopTally(key, job.plan.fields[key].pointer, subject, top) for key, top in _tops(job.plan).items()}
    if not tallies:
        return {}
    prefix = Generalize(job.plan, job.keys, job.at, until_tally=True)
    for batch in _after((*stages, prefix), batches(None)):
        for tally in tallies.values():
            tally.observe(batch)
    return {key: tally.settle() for key, tally in tallies.items()}
