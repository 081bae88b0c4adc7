"""Aggregates bound to what the records stage releases: keys, measures, and what they may not ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pyarrow as pa

from minimize.aggregates import Measure
from minimize.aggregates.cell_sketches import has_cells
from minimize.aggregates.days import Lateness
from minimize.aggregates.definition import UNITS, Definition, GroupKey, Measured
from minimize.aggregates.definition import faults as definition_faults
from minimize.aggregates.group_retention import GroupRetention
from minimize.codebook import settled
from minimize.errors import Finding
from minimize.plan.model import AggregatePlan, FieldPlan
from minimize.pointer import Pointer
from minimize.policy.fields import is_raw_in_aggregates
from minimize.policy.group_time import group_time
from minimize.policy.pipeline import AggregateModel, Key, Pipeline
from minimize.techniques.base import Step
from minimize.techniques.periods import local_days, starts
from minimize.techniques.truncate_time import TruncateTime

_NULL_ENDS = ("sum", "mean")


def plan_aggregates(
    pipeline: Pipeline, fields: Mapping[str, FieldPlan], faults: list[Finding]
) -> dict[str, AggregatePlan]:
    """Each aggregate with its definition; what does not fit goes to `faults`."""
    plans = {}
    for name, model in pipeline.aggregates.items():
        found = list(_faults(pipeline, name, model, fields))
        if not found:
            definition = _definition(pipeline, name, model, fields)
            found = [_placed(pipeline, name, finding) for finding in definition_faults(definition)]
            plans[name] = AggregatePlan(name, model, definition, _lateness(pipeline, model, fields))
        faults.extend(found)
    return {} if faults else dict(_with_others(plans))


def _with_others(plans: Mapping[str, AggregatePlan]) -> Iterator[tuple[str, AggregatePlan]]:
    """Each aggregate, with the shares and histograms that others publish of the same groups."""
    for name, plan in plans.items():
        mine = plan.definition
        alike = [
            each.definition
            for label, each in plans.items()
            if label != name and each.definition.groups == mine.groups and each.definition.counting == mine.counting
        ]
        others = dict.fromkeys(each for one in alike for each in one.measures.values() if has_cells(each))
        below = max([mine.below, *(each.below for each in alike)]) if others else mine.below
        yield name, replace(plan, definition=replace(mine, others=tuple(others), together=below))


def counting(pipeline: Pipeline, model: AggregateModel) -> str | None:
    """The key of the field whose distinct values are the subjects."""
    return model.suppress.counting or pipeline.policy.subject


def _definition(pipeline: Pipeline, name: str, model: AggregateModel, fields: Mapping[str, FieldPlan]) -> Definition:
    subject = counting(pipeline, model)
    return Definition(
        name=name,
        keys={label: _group(key, fields[key.field]) for label, key in model.group_by.items()},
        measures={label: _measured(measure, fields) for label, measure in model.measures.items()},
        below=model.suppress.below,
        counting=Pointer.parse(subject or ""),
        counts_to=None if model.round is None else model.round.counts_to,
        folds=pipeline.policy.folds(subject),
        retention=_retention(pipeline, name, model, fields),
    )


def _retention(
    pipeline: Pipeline, name: str, model: AggregateModel, fields: Mapping[str, FieldPlan]
) -> GroupRetention | None:
    span, policy = pipeline.retention_of(name), pipeline.policy
    if span is None:
        return None
    records = policy.retention if policy.retention != span else None
    found = group_time(policy, {label: key.to for label, key in model.group_by.items() if key.field == policy.time})
    if found is None or not pa.types.is_temporal(settled(fields[str(policy.time)].gives)):
        return GroupRetention(span, records)
    return GroupRetention(span, records, *found)


def _group(key: Key, field: FieldPlan) -> GroupKey:
    """A time that is released by a zone's clock is grouped by the same clock."""
    zone = _zone(field)
    cut = None if key.to is None or zone == "UTC" else partial(starts, unit=key.to, zone=zone)
    return GroupKey(key.field, field.gives, key.to, cut)


def _zone(field: FieldPlan) -> str:
    """The clock that a time is released by."""
    return next((step.zone for step in field.steps if isinstance(step, TruncateTime)), "UTC")


def _lateness(pipeline: Pipeline, model: AggregateModel, fields: Mapping[str, FieldPlan]) -> Lateness | None:
    """How long it waits, in whole days: a batch is a day. A source without batch dates has nothing to wait for.

    An event may lie `future` ahead of the end of its batch, and a day more if the day of a batch is another zone's.
    """
    time = pipeline.policy.time
    if model.late is None or time is None or "{date}" not in pipeline.source.path:
        return None
    on = partial(local_days, zone=_zone(fields[time]))
    return Lateness(_days(model.late), time, on, _days(pipeline.policy.future) + 1)


def _days(length: timedelta) -> int:
    """A length of time in days, rounded up."""
    return -(-length // timedelta(days=1))


def _measured(measure: Measure, fields: Mapping[str, FieldPlan]) -> Measured:
    field = fields.get(measure.of or "")
    return Measured(measure, _seen(measure, fields), field is not None and not is_raw_in_aggregates(field.field))


def _seen(measure: Measure, fields: Mapping[str, FieldPlan]) -> object:
    field = fields.get(measure.of or "")
    return None if field is None else field.measured or field.gives


def _faults(pipeline: Pipeline, name: str, model: AggregateModel, fields: Mapping[str, FieldPlan]) -> Iterator[Finding]:
    if counting(pipeline, model) is None:
        yield _fault(pipeline, name, "P110", "there is no subject to count", "the policy names one with `subject:`")
    if model.late is not None:
        yield from _late_faults(pipeline, name, fields)
    for label, key in model.group_by.items():
        yield from _key_faults(pipeline, name, label, key, fields)
    for label, measure in model.measures.items():
        yield from _measure_faults(pipeline, name, label, measure, fields, counting(pipeline, model))


def _late_faults(pipeline: Pipeline, name: str, fields: Mapping[str, FieldPlan]) -> Iterator[Finding]:
    key = pipeline.policy.time
    field = fields.get(key or "")
    unit = None if field is None else released_unit(field)
    if field is None or field.gives is None or (unit is not None and UNITS.index(unit) > UNITS.index("day")):
        hint = "release the event time at a day or finer, or leave `late` out"
        yield _fault(
            pipeline, name, "P115", f"`late` counts in days, to which {key} is not released", hint, key, "late"
        )


def _key_faults(
    pipeline: Pipeline, name: str, label: str, key: Key, fields: Mapping[str, FieldPlan]
) -> Iterator[Finding]:
    field = fields.get(key.field)
    if field is None or field.gives is None:
        hint = "group keys are always the released form: release the field, or group by another"
        yield _fault(
            pipeline,
            name,
            "P111",
            f"{label}: {key.field} is not released for this purpose",
            hint,
            key.field,
            "group_by",
        )
        return
    released = released_unit(field)
    if key.to is not None and released is not None and UNITS.index(key.to) < UNITS.index(released):
        message = f"{label}: {key.to} is finer than {released}, to which {key.field} is released"
        yield _fault(pipeline, name, "P112", message, f"group by {released} or coarser", key.field, "group_by")


def _measure_faults(
    pipeline: Pipeline,
    name: str,
    label: str,
    measure: Measure,
    fields: Mapping[str, FieldPlan],
    subject: str | None,
) -> Iterator[Finding]:
    if measure.of is None or (measure.name == "count_distinct" and measure.of == subject):
        return
    field = fields.get(measure.of)
    if field is None or (field.gives is None and field.measured is None):
        hint = "release the field, or give it `in_aggregates`"
        yield _fault(
            pipeline, name, "P113", f"{label}: {measure.of} is not there for aggregates", hint, measure.of, "measures"
        )
    elif measure.name in _NULL_ENDS and _ends_open(field):
        message = f"{label}: {measure.name} over {measure.of}, whose first and last bins are open"
        hint = "give the field `in_aggregates` (as clip), or use a quantile"
        yield _fault(pipeline, name, "P114", message, hint, measure.of, "measures")


def released_unit(field: FieldPlan) -> str | None:
    """The unit to which a time field is cut in every branch, as far as the plan knows; the finest of them."""
    units = [step.to for step in field.steps if step.name == "truncate_time" and hasattr(step, "to")]
    return min(units, key=lambda unit: UNITS.index(unit), default=None)


def _ends_open(field: FieldPlan) -> bool:
    steps = field.field.in_aggregates if field.measured is not None else field.steps
    return any(has_open_ends(step) for step in steps)


def has_open_ends(step: Step) -> bool:
    """Whether a step has bins without an end."""
    return bool(getattr(step, "is_open", False))


def _fault(
    pipeline: Pipeline, name: str, code: str, message: str, hint: str = "", field: str | None = None, at: str = ""
) -> Finding:
    file = None if pipeline.path is None else str(pipeline.path)
    line = pipeline.line_of("aggregates", name, at)
    return Finding(code, f"aggregate {name}: {message}", hint=hint, file=file, line=line, field=field)


def _placed(pipeline: Pipeline, name: str, finding: Finding) -> Finding:
    return _fault(pipeline, name, finding.code, finding.message, finding.hint, finding.field)
