"""Plan of aggregates over released records: keys, measures, retention, late window, and faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pyarrow as pa

from minimize.aggregates import MEASURES, Measure
from minimize.aggregates.cells import CellMeasure
from minimize.aggregates.definition import (
    TIME_UNITS,
    AggregateDefinition,
    BoundMeasure,
    GroupKey,
    GroupRetention,
    LateWindow,
    definition_faults,
)
from minimize.arrow.pointers import Pointer
from minimize.arrow.value_dictionary import stored_type
from minimize.errors import Finding
from minimize.plan.model import AggregatePlan, FieldPlan
from minimize.policy.fields import group_time_key, is_raw_in_aggregates
from minimize.policy.pipeline import AggregateModel, GroupKeyModel, Pipeline
from minimize.techniques.base import TechniqueStep, TimeForm
from minimize.techniques.periods import local_days, period_starts


def plan_aggregates(
    pipeline: Pipeline, fields: Mapping[str, FieldPlan], faults: list[Finding]
) -> dict[str, AggregatePlan]:
    """Each aggregate with its definition. Faults are added to `faults`."""
    plans = {}
    for name, model in pipeline.aggregates.items():
        found = list(_aggregate_faults(pipeline, name, model, fields))
        if not found:
            definition = _aggregate_definition(pipeline, name, model, fields)
            found = [_locate_finding(pipeline, name, finding) for finding in definition_faults(definition)]
            plans[name] = AggregatePlan(name, model, definition, _late_window(pipeline, model, fields))
        faults.extend(found)
    return {} if faults else dict(_add_related_measures(plans))


def _add_related_measures(plans: Mapping[str, AggregatePlan]) -> Iterator[tuple[str, AggregatePlan]]:
    """Each aggregate, with the cell measures that other aggregates publish for the same groups."""
    for name, plan in plans.items():
        mine = plan.definition
        alike = [
            each.definition
            for label, each in plans.items()
            if label != name and each.definition.groups == mine.groups and each.definition.counting == mine.counting
        ]
        others = dict.fromkeys(
            each for one in alike for each in one.measures.values() if isinstance(each.measure, CellMeasure)
        )
        below = max([mine.below, *(each.below for each in alike)]) if others else mine.below
        yield name, replace(plan, definition=replace(mine, related_measures=tuple(others), related_below=below))


def counted_subject(pipeline: Pipeline, model: AggregateModel) -> str | None:
    """The key of the field whose distinct values are the subjects."""
    return model.suppress.counting or pipeline.policy.subject


def _aggregate_definition(
    pipeline: Pipeline, name: str, model: AggregateModel, fields: Mapping[str, FieldPlan]
) -> AggregateDefinition:
    subject = counted_subject(pipeline, model)
    return AggregateDefinition(
        name=name,
        keys={label: _group_key(key, fields[key.field]) for label, key in model.group_by.items()},
        measures={label: _bound_measure(measure, fields) for label, measure in model.measures.items()},
        below=model.suppress.below,
        counting=Pointer.parse(subject or ""),
        counts_to=None if model.round is None else model.round.counts_to,
        folds=pipeline.policy.folds_case(subject),
        retention=_group_retention(pipeline, name, model, fields),
    )


def _group_retention(
    pipeline: Pipeline, name: str, model: AggregateModel, fields: Mapping[str, FieldPlan]
) -> GroupRetention | None:
    span, policy = pipeline.retention_of(name), pipeline.policy
    if span is None:
        return None
    records = policy.retention if policy.retention != span else None
    found = group_time_key(policy, {label: key.to for label, key in model.group_by.items() if key.field == policy.time})
    if found is None or not pa.types.is_temporal(stored_type(fields[str(policy.time)].gives)):
        return GroupRetention(span, records)
    return GroupRetention(span, records, *found)


def _group_key(key: GroupKeyModel, field: FieldPlan) -> GroupKey:
    """A time that is released in a time zone is grouped in the same time zone."""
    zone = _release_zone(field)
    cut = None if key.to is None or zone == "UTC" else partial(period_starts, unit=key.to, zone=zone)
    return GroupKey(key.field, field.gives, key.to, cut)


def _release_zone(field: FieldPlan) -> str:
    """The time zone in which a time is released."""
    return next((form.zone for form in _time_forms(field) if form.unit is not None), "UTC")


def _late_window(pipeline: Pipeline, model: AggregateModel, fields: Mapping[str, FieldPlan]) -> LateWindow | None:
    """The late window in whole days, because a batch is a day; None for a source without batch dates.

    An event may be `future` ahead of the end of its batch, and a day more if the batch day is in another time zone.
    """
    time = pipeline.policy.time
    if model.late is None or time is None or "{date}" not in pipeline.source.path:
        return None
    on = partial(local_days, zone=_release_zone(fields[time]))
    return LateWindow(_whole_days(model.late), time, on, _whole_days(pipeline.policy.future) + 1)


def _whole_days(length: timedelta) -> int:
    """A duration in days, rounded up."""
    return -(-length // timedelta(days=1))


def _bound_measure(measure: Measure, fields: Mapping[str, FieldPlan]) -> BoundMeasure:
    field = fields.get(measure.of or "")
    return BoundMeasure(
        measure, _measured_type(measure, fields), field is not None and not is_raw_in_aggregates(field.field)
    )


def _measured_type(measure: Measure, fields: Mapping[str, FieldPlan]) -> object:
    field = fields.get(measure.of or "")
    return None if field is None else field.measured or field.gives


def _aggregate_faults(
    pipeline: Pipeline, name: str, model: AggregateModel, fields: Mapping[str, FieldPlan]
) -> Iterator[Finding]:
    if counted_subject(pipeline, model) is None:
        yield aggregate_fault(
            pipeline, name, "P110", "there is no subject to count", "Add `subject: FIELD` to the policy."
        )
    if model.late is not None:
        yield from _late_faults(pipeline, name, fields)
    for label, key in model.group_by.items():
        yield from _key_faults(pipeline, name, label, key, fields)
    for label, measure in model.measures.items():
        yield from _measure_faults(pipeline, name, label, measure, fields, counted_subject(pipeline, model))


def _late_faults(pipeline: Pipeline, name: str, fields: Mapping[str, FieldPlan]) -> Iterator[Finding]:
    key = pipeline.policy.time
    field = fields.get(key or "")
    unit = None if field is None else released_unit(field)
    if field is None or field.gives is None or (unit is not None and TIME_UNITS.index(unit) > TIME_UNITS.index("day")):
        hint = "Release the event time by day or finer, or remove `late`."
        yield aggregate_fault(
            pipeline, name, "P115", f"`late` counts in days, but {key} is not released by day", hint, key, "late"
        )


def _key_faults(
    pipeline: Pipeline, name: str, label: str, key: GroupKeyModel, fields: Mapping[str, FieldPlan]
) -> Iterator[Finding]:
    field = fields.get(key.field)
    if field is None or field.gives is None:
        hint = "Release the field, or group by another one. Group keys use the released form."
        yield aggregate_fault(
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
    if key.to is not None and released is not None and TIME_UNITS.index(key.to) < TIME_UNITS.index(released):
        message = f"{label}: {key.to} is finer than {released}, the unit by which {key.field} is released"
        yield aggregate_fault(
            pipeline, name, "P112", message, f"Group by {released} or coarser.", key.field, "group_by"
        )


def _measure_faults(
    pipeline: Pipeline,
    name: str,
    label: str,
    measure: Measure,
    fields: Mapping[str, FieldPlan],
    subject: str | None,
) -> Iterator[Finding]:
    if measure.of is None or (measure.counts_distinct and measure.of == subject):
        return
    field = fields.get(measure.of)
    if field is None or (field.gives is None and field.measured is None):
        hint = "Release the field, or add `in_aggregates` to it."
        yield aggregate_fault(
            pipeline,
            name,
            "P113",
            f"{label}: {measure.of} is not available to aggregates",
            hint,
            measure.of,
            "measures",
        )
    elif measure.needs_bounds and _field_has_open_ends(field):
        message = f"{label}: {measure.name} over {measure.of}, whose first and last bins are open-ended"
        ranked = ", ".join(name for name, kind in MEASURES.items() if kind.by_rank)
        hint = f"Add `in_aggregates` to the field (such as clip), or use another measure ({ranked})."
        yield aggregate_fault(pipeline, name, "P114", message, hint, measure.of, "measures")


def released_unit(field: FieldPlan) -> str | None:
    """The finest unit to which the branches of a field truncate its time; None if no step truncates it."""
    units = [form.unit for form in _time_forms(field) if form.unit is not None]
    return min(units, key=TIME_UNITS.index, default=None)


def _time_forms(field: FieldPlan) -> list[TimeForm]:
    return [form for step in field.steps if (form := step.time_form) is not None]


def _field_has_open_ends(field: FieldPlan) -> bool:
    steps = field.field.in_aggregates if field.measured is not None else field.steps
    return any(has_open_ends(step) for step in steps)


def has_open_ends(step: TechniqueStep) -> bool:
    """Whether a step has open-ended bins."""
    return bool(getattr(step, "is_open", False))


def aggregate_fault(
    pipeline: Pipeline, name: str, code: str, message: str, hint: str = "", field: str | None = None, at: str = ""
) -> Finding:
    """The finding for a fault of an aggregate, at the line of its key `at`."""
    file = None if pipeline.path is None else str(pipeline.path)
    line = pipeline.line_of("aggregates", name, at)
    return Finding(code, f"aggregate {name}: {message}", hint=hint, file=file, line=line, field=field)


def _locate_finding(pipeline: Pipeline, name: str, finding: Finding) -> Finding:
    return aggregate_fault(pipeline, name, finding.code, finding.message, finding.hint, finding.field)
