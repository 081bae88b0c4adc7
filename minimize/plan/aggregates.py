"""Plan of aggregates over released records: keys, measures, bounds, noise, retention, late window, and faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial, reduce
from itertools import groupby
from typing import Final

import pyarrow as pa

from minimize.aggregates import MEASURES, Measure
from minimize.aggregates.base import ValueBounds
from minimize.aggregates.definition import (
    TIME_UNITS,
    AggregateDefinition,
    BoundMeasure,
    GroupKey,
    GroupRetention,
    LateWindow,
    NoiseTerms,
    SubjectLimits,
    TimeUnit,
    definition_faults,
)
from minimize.arrow.dictionaries import stored_type
from minimize.arrow.pointers import Pointer
from minimize.config import tree_root
from minimize.errors import Finding
from minimize.plan.model import AggregatePlan, FieldPlan
from minimize.policy.aggregate_forms import AggregateModel, GroupKeyModel
from minimize.policy.fields import group_time_key, is_raw_in_aggregates
from minimize.policy.load import other_tables_of_source
from minimize.policy.pipeline import Pipeline
from minimize.stores.path_patterns import DATE_PLACEHOLDER, source_name
from minimize.techniques.base import TechniqueStep, TimeForm, ValueRange
from minimize.techniques.bin import Bin
from minimize.techniques.periods import local_days, period_starts


def plan_aggregates(
    pipeline: Pipeline, fields: Mapping[str, FieldPlan], faults: list[Finding]
) -> dict[str, AggregatePlan]:
    """Each aggregate with its definition, and after it its roll-ups. Faults are added to `faults`."""
    plans = {}
    faults.extend(_lone_table_faults(pipeline))
    for name, model in pipeline.aggregates.items():
        table_faults = list(_aggregate_faults(pipeline, name, model, fields))
        if not table_faults:
            definition = define_aggregate(pipeline, name, fields)
            table_faults = [_locate_finding(pipeline, name, finding) for finding in definition_faults(definition)]
            table_faults += _rollup_faults(pipeline, name, model, definition)
            plans[name] = AggregatePlan(name, model, definition, _late_window(pipeline, model, fields))
            plans |= {plan.name: plan for plan in _rollup_plans(plans[name])}
        faults.extend(table_faults)
    return {} if faults else plans


def counted_subject(pipeline: Pipeline, model: AggregateModel) -> str | None:
    """The key of the field whose distinct values are the subjects."""
    return model.suppress.counting or pipeline.policy.subject


def define_aggregate(pipeline: Pipeline, name: str, fields: Mapping[str, FieldPlan]) -> AggregateDefinition:
    """The definition of an aggregate or a roll-up without faults. Takes the planned fields."""
    model = pipeline.tables[name]
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
        noise=None if model.exact is not None else NoiseTerms(model.noise.sd, model.noise.releases),
        limits=_subject_limits(model),
        source=source_name(pipeline.source.path, pipeline.folder, tree_root(pipeline.folder)),
    )


def _subject_limits(model: AggregateModel) -> SubjectLimits:
    limits = model.per_subject
    return SubjectLimits(limits.rows, limits.values, "rows" in limits.model_fields_set)


def _group_retention(
    pipeline: Pipeline, name: str, model: AggregateModel, fields: Mapping[str, FieldPlan]
) -> GroupRetention | None:
    span, policy = pipeline.retention_of(name), pipeline.policy
    if span is None:
        return None
    records = policy.retention if policy.retention != span else None
    time_key = group_time_key(
        policy, {label: key.to for label, key in model.group_by.items() if key.field == policy.time}
    )
    if time_key is None or not pa.types.is_temporal(stored_type(fields[str(policy.time)].gives)):
        return GroupRetention(span, records)
    return GroupRetention(span, records, *time_key)


def _group_key(key: GroupKeyModel, field: FieldPlan) -> GroupKey:
    """A time that is released in a time zone is grouped in the same time zone."""
    zone = _release_zone(field)
    cut = None if key.to is None or zone == "UTC" else partial(period_starts, unit=key.to, zone=zone)
    return GroupKey(key.field, field.gives, key.to, cut, released_unit(field))


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
    if field is None:
        return BoundMeasure(measure)
    generalized = not is_raw_in_aggregates(field.field)
    ranks = _every_rank(field) if measure.by_rank else None
    return BoundMeasure(measure, field.measured or field.gives, generalized, value_bounds(field), ranks)


_MAX_KNOWN_RANKS: Final = 16
"""Each rank takes a bit of each pair of a group and a subject."""


def _every_rank(field: FieldPlan) -> tuple[float, ...] | None:
    """All ranks that values of a field can have, ascending; None if they are not known, or many."""
    chains = [branch.steps for branch in field.branches if branch.steps is not None]
    lasts = [chain[-1] if chain else None for chain in chains]
    ranks = [last.every_rank if isinstance(last, Bin) else None for last in lasts]
    distinct_ranks = sorted({rank for chain_ranks in ranks for rank in chain_ranks or ()})
    is_known = field.measured is None and None not in ranks and 0 < len(distinct_ranks) <= _MAX_KNOWN_RANKS
    return tuple(distinct_ranks) if is_known else None


def value_bounds(field: FieldPlan) -> ValueBounds | None:
    """The bounds between which all values of a field are in aggregates; None if there are no two different ones."""
    if field.measured is not None:
        chains = [field.field.in_aggregates]
    else:
        chains = [branch.steps for branch in field.branches if branch.steps is not None]
    ranges = [reduce(lambda values, step: step.result_range(values), chain, ValueRange()) for chain in chains]
    value_range = reduce(ValueRange.join, ranges) if ranges else ValueRange()
    if value_range.low is None or value_range.high is None or value_range.low == value_range.high:
        return None
    return ValueBounds(value_range.low, value_range.high)


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
    if model.exact is not None:
        yield from _exact_faults(pipeline, name, model)
    else:
        yield from _quantile_faults(pipeline, name, model)


def _lone_table_faults(pipeline: Pipeline) -> Iterator[Finding]:
    """P133: another table next to exact statistics, in the pipeline or in another one with the same source."""
    exact = [name for name, model in pipeline.aggregates.items() if model.exact is not None]
    if not pipeline.aggregates:
        return
    others = [str(each) for each in other_tables_of_source(pipeline, only_exact=not exact)]
    siblings = [name for name in pipeline.aggregates if name not in exact[:1]]
    if exact and (siblings or others):
        message = f"statistics of {exact[0]} are exact, but {(siblings + others)[0]} is made from the same source"
        hint = "Remove `exact`, or all other tables of the source: together they show what noise hides."
        yield aggregate_fault(pipeline, exact[0], "P133", message, hint, at="exact")
    elif others:
        name = next(iter(pipeline.aggregates))
        message = f"{others[0]} publishes exact statistics of the same source"
        hint = "Remove this table, or `exact` there: together they show what noise hides."
        yield aggregate_fault(pipeline, name, "P133", message, hint)


def _exact_faults(pipeline: Pipeline, name: str, model: AggregateModel) -> Iterator[Finding]:
    """P134, P135, P136: exact statistics of a source without dates, of records in several groups, and their roll-ups."""
    if DATE_PLACEHOLDER not in pipeline.source.path:
        message = "statistics are exact, but the source has no batch dates, so that each run would publish them again"
        hint = "Write {date} in place of the batch date in the path, or remove `exact`."
        yield aggregate_fault(pipeline, name, "P134", message, hint, at="exact")
    for label, key in model.group_by.items():
        if Pointer.parse(key.field).stars:
            message = f"statistics are exact, but a record can be in several groups by {label}"
            hint = "Group by fields that a record has once, or remove `exact`."
            yield aggregate_fault(pipeline, name, "P135", message, hint, key.field, "group_by")
    for label, measure in model.measures.items():
        subjects = measure.counts_distinct and measure.of == counted_subject(pipeline, model)
        if model.rollups and not measure.adds_up and not subjects:
            message = f"{label}: the {measure.name} of a roll-up cannot be computed from the rows that are shown"
            hint = f"Remove `rollups`, or count subjects and use measures that add up ({_measures_that('adds_up')})."
            yield aggregate_fault(pipeline, name, "P136", message, hint, measure.of, "rollups")


def _rollup_plans(table: AggregatePlan) -> Iterator[AggregatePlan]:
    """The coarser tables of an aggregate. They are made with it, so they do not wait for rows themselves."""
    for name, model in table.model.rollup_tables(table.name).items():
        keys = {column: table.definition.keys[column] for column in model.group_by}
        yield AggregatePlan(name, model, replace(table.definition, name=name, keys=keys, rolls_up=table.name))


def _rollup_faults(
    pipeline: Pipeline, name: str, model: AggregateModel, definition: AggregateDefinition
) -> Iterator[Finding]:
    """P137: roll-ups without the event time by which rows of their table end. They would show what the removed rows had."""
    column = None if definition.retention is None else definition.retention.column
    if column is not None and any(column not in columns for columns in model.rollups):
        message = f"a roll-up is not grouped by {column}, so that it would still show rows whose retention has ended"
        hint = f"Add {column} to each roll-up, or remove it from the groups: each table has a date."
        yield aggregate_fault(pipeline, name, "P137", message, hint, at="rollups")


MOST_QUANTILES: Final = 5
"""The most different quantiles of a field in one table with noise."""


def _quantile_faults(pipeline: Pipeline, name: str, model: AggregateModel) -> Iterator[Finding]:
    """P132: too many values of a field by their rank. Each shows the field once more."""
    ranked = sorted(
        {(measure.of or "", measure.model_dump_json()) for measure in model.measures.values() if measure.by_rank}
    )
    for key, measures in groupby(ranked, lambda pair: pair[0]):
        count = len(list(measures))
        if count > MOST_QUANTILES:
            message = f"{count} quantiles of {key}, but statistics with noise have {MOST_QUANTILES} of a field at most"
            yield aggregate_fault(pipeline, name, "P132", message, "Remove some of them.", key, "measures")


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
        hint = f"Add `in_aggregates` to the field (such as clip), or use another measure ({_measures_that('by_rank')})."
        yield aggregate_fault(pipeline, name, "P114", message, hint, measure.of, "measures")
    elif pipeline.aggregates[name].exact is None and (measure.sums_values or measure.by_rank):
        yield from _value_faults(pipeline, name, label, measure, field)


def _value_faults(pipeline: Pipeline, name: str, label: str, measure: Measure, field: FieldPlan) -> Iterator[Finding]:
    """P130, P131: values whose noise would have no size, and ranks of values that are not public."""
    about = f"{label}: {measure.name} of {measure.of}"
    if measure.sums_values and value_bounds(field) is None:
        message = f"{about}, whose values have no bounds, so that no noise can hide one of them"
        hint = (
            "Add `in_aggregates: {clip: {min: …, max: …}}` to the field, "
            f"or use another measure ({_measures_that('by_rank')}) over a `bin`."
        )
        yield aggregate_fault(pipeline, name, "P130", message, hint, measure.of, "measures")
    if measure.by_rank and is_raw_in_aggregates(field.field):
        message = f"{about}, whose values are not coarsened, so that the statistic would be one person's value"
        hint = "Release the field by `bin`, such as `do: {bin: {width: 10}}`."
        yield aggregate_fault(pipeline, name, "P131", message, hint, measure.of, "measures")


def _measures_that(fact: str) -> str:
    """The measures of which a fact is true."""
    return ", ".join(name for name, kind in MEASURES.items() if getattr(kind, fact))


def released_unit(field: FieldPlan) -> TimeUnit | None:
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
