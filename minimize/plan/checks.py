"""Checks of a plan without data.

Types of a chain from step to step, faults of gates (exit 2), and refusals by the policy or the configuration (exit 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

import pyarrow as pa

from minimize.aggregates import MEASURES, Measure
from minimize.arrow.dictionaries import value_type
from minimize.arrow.nested import leaf_type
from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, PolicyError
from minimize.plan import model as model_module
from minimize.plan.model import AggregatePlan, CaseBranch, FieldPlan, Plan, case_branches, encryption_refusals
from minimize.policy.condition import fields_read_by_condition
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.techniques import TechniqueStep, UnsupportedType
from minimize.text import did_you_mean


def input_type(field: Field, inputs: Sequence[Pointer], source: pa.Schema) -> pa.DataType:
    """The type that the technique chain of a field receives."""
    if not field.from_:
        return value_type(leaf_type(source, field.pointer))
    children = [(key, value_type(leaf_type(source, pointer))) for key, pointer in zip(field.from_, inputs, strict=True)]
    return pa.struct(children)


def output_type(
    policy: Policy, field: Field, takes: pa.DataType, branches: Sequence[CaseBranch], faults: list[Finding]
) -> pa.DataType:
    """The type of a released field. Adds a fault if the cases return different types."""
    types = [chain_type(policy, field, takes, branch.steps, faults) for branch in branches if branch.steps is not None]
    if len(set(types)) > 1:
        names = ", ".join(sorted({str(type_) for type_ in types}))
        faults.append(
            field_fault(
                policy,
                field,
                "P102",
                f"its cases return different types: {names}",
                "Make all cases return the same type.",
            )
        )
    return types[0]


def chain_type(
    policy: Policy, field: Field, type_: pa.DataType, steps: Sequence[TechniqueStep], faults: list[Finding]
) -> pa.DataType:
    """The type after a chain of techniques. Adds a fault for a step that does not accept its input type."""
    for step in steps:
        try:
            type_ = step.output_type(type_)
        except UnsupportedType as refused:
            message = f"`{step.name}` does not accept the type {type_}"
            faults.append(
                field_fault(policy, field, "P101", message, f"Use a field of type {', '.join(refused.takes)}.")
            )
            break
    return type_


def misplaced_techniques(policy: Policy, field: Field) -> Iterator[Finding]:
    """Faults of techniques that are not valid for a field, or not at this place."""
    names = [step.name for branch in case_branches(field) for step in branch.steps or () if step.needs_all_rows]
    if len(names) > 1:
        hint = f"Use `{names[1]}` once per field."
        yield field_fault(policy, field, "P103", f"the field has more than one `{names[1]}`", hint)
    if names and policy.subject is None:
        message = f"`{names[0]}` counts subjects, but the policy names no subject"
        yield field_fault(policy, field, "P104", message, "Add `subject: FIELD`.")
    for name in dict.fromkeys(step.name for step in field.in_aggregates if step.needs_all_rows):
        yield field_fault(policy, field, "P105", f"`{name}` is not valid in `in_aggregates`", "Move it to `do`.")
    if field.from_ and not field.pointer.is_flat:
        yield field_fault(policy, field, "P106", "a derived field cannot be nested", "Use a plain column name.")


def field_fault(policy: Policy, field: Field | None, code: str, message: str, hint: str = "") -> Finding:
    """A fault of a field, with the place where the policy names it."""
    file = None if policy.path is None else str(policy.path)
    key, line = (None, None) if field is None else (field.key, field.line)
    return Finding(code, message, hint=hint, file=file, line=line, field=key)


MAX_CASES = 127
_RECORD_PLACE = Pointer(())


def check_gates(plan: Plan) -> None:
    """Raises PolicyError with all faults that prevent the evaluation of the gates of a plan."""
    faults = tuple(gate_faults(plan))
    if faults:
        raise PolicyError("the gates of this policy cannot be evaluated; nothing was read", findings=faults)


def gate_faults(plan: Plan) -> Iterator[Finding]:
    """All faults that prevent the evaluation of the gates of a plan."""
    yield from gate_cycles(plan.policy)
    yield from _record_condition_faults(plan)
    for field in plan.fields.values():
        if field.gives is not None or field.measured is not None:
            yield from _field_faults(plan.policy, field)


def gate_cycles(policy: Policy) -> Iterator[Finding]:
    """One finding per field whose gate depends on itself, directly or through other fields."""
    for key, field in policy.fields.items():
        if key in _gate_dependencies(policy, key):
            yield field_fault(
                policy, field, "P120", "the gate of the field depends on itself", "Let the condition read other fields."
            )


def _gate_dependencies(policy: Policy, key: str) -> set[str]:
    """The fields on whose gates the gate of this field depends."""
    dependencies: set[str] = set()
    open_ = [key]
    while open_:
        field = policy.fields.get(open_.pop())
        new = set() if field is None else {*field.from_, *fields_read_by_condition(field.collect_if)} - dependencies
        dependencies |= new
        open_.extend(new)
    return dependencies


def _record_condition_faults(plan: Plan) -> Iterator[Finding]:
    records = None if plan.pipeline is None else plan.pipeline.records
    for condition in (plan.policy.records.collect_if, None if records is None else records.collect_if):
        for key in fields_read_by_condition(condition):
            yield from _unreachable_field(plan.policy, None, key, _RECORD_PLACE, "a condition on records")


def _field_faults(policy: Policy, field: FieldPlan) -> Iterator[Finding]:
    place = field.place
    conditions = [field.field.collect_if, *(branch.when for branch in field.branches)]
    for key in dict.fromkeys(key for condition in conditions for key in fields_read_by_condition(condition)):
        yield from _unreachable_field(policy, field.field, key, place, "its condition")
    steps = (*field.steps, *field.field.in_aggregates)
    for key in dict.fromkeys(key for step in steps for key in sorted(step.reads())):
        yield from _unreachable_field(policy, field.field, key, place, "its technique")
    if any(pointer.stars != place.stars[: len(pointer.stars)] for pointer in field.inputs):
        yield field_fault(
            policy,
            field.field,
            "P122",
            "the field is derived from fields of different lists",
            "Name fields of one list.",
        )
    elif field.pointer.stars != place.stars:
        yield field_fault(
            policy, field.field, "P122", "the field is in another list than its inputs", f"Name it below {place}."
        )
    if len(field.branches) > MAX_CASES:
        yield field_fault(
            policy, field.field, "P123", f"the field has more than {MAX_CASES} cases", "Use `map` or `generalize`."
        )


def _unreachable_field(policy: Policy, field: Field | None, key: str, place: Pointer, what: str) -> Iterator[Finding]:
    read = policy.fields.get(key)
    if read is None:
        hint = did_you_mean(key, policy.fields)
        yield field_fault(policy, field, "P121", f"{what} reads `{key}`, which is not declared", hint)
    elif read.from_:
        yield field_fault(
            policy, field, "P121", f"{what} reads `{key}`, which is derived", "Read the fields that it is derived from."
        )
    elif read.pointer.stars != place.stars[: len(read.pointer.stars)]:
        hint = "Use a field of the record, or of the same list element."
        yield field_fault(policy, field, "P121", f"{what} reads `{key}`, which is in another list", hint)


def plan_refusals(plan: Plan) -> Iterator[Finding]:
    """All refusals of a plan, each with a hint how to avoid it."""
    yield from _retention_without_time(plan.policy)
    if plan.pipeline is None:
        return
    yield from _long_telemetry(plan.pipeline)
    yield from _groups_without_time(plan.pipeline)
    yield from _excess_categories(plan)
    yield from _partition_refusals(plan)
    yield from _unencrypted_outputs(plan)
    for aggregate in plan.aggregates.values():
        yield from _single_value_measures(plan, aggregate)
        yield from _measures_without_noise(plan, aggregate)


def _retention_without_time(policy: Policy) -> Iterator[Finding]:
    """Age counts from the event time. Without one every row, or every value of the feature, would be too old."""
    if policy.time is not None:
        return
    limited: list[tuple[str, tuple[str, ...]]] = [
        (f"feature {name}", ("features", name))
        for name, feature in policy.features.items()
        if feature.retention is not None
    ]
    if policy.retention is not None:
        limited.append(("the policy", ("retention",)))
    for who, at in limited:
        message = f"{who} limits retention, but the policy names no event time: everything would be too old"
        file = None if policy.path is None else str(policy.path)
        hint = "Name the field of the event time: `time: FIELD`."
        yield Finding("R007", message, hint=hint, file=file, line=policy.lines.get(at))


TELEMETRY_RETENTION: Final = timedelta(days=30)
"""The longest retention of telemetry."""


def _long_telemetry(pipeline: Pipeline) -> Iterator[Finding]:
    """The refusal of telemetry whose records are kept for more than 30 days, or without a limit."""
    policy = pipeline.policy
    if pipeline.data != "telemetry" or (policy.retention is not None and policy.retention <= TELEMETRY_RETENTION):
        return
    kept = "without a limit" if policy.retention is None else f"for {policy.retention.days} days"
    file = None if policy.path is None else str(policy.path)
    hint = f"Set `retention: {TELEMETRY_RETENTION.days}d` or less."
    yield Finding("R014", f"telemetry is kept {kept}", hint=hint, file=file, line=policy.lines.get(("retention",)))


def _groups_without_time(pipeline: Pipeline) -> Iterator[Finding]:
    """Refusals of aggregates that have their own retention, in a policy without event time."""
    limited = [name for name, model in pipeline.aggregates.items() if model.retention is not None]
    for name in limited if pipeline.policy.time is None else ():
        message = f"the aggregate {name} limits retention, but the policy names no event time"
        file = None if pipeline.path is None else str(pipeline.path)
        hint = "Name the field of the event time: `time: FIELD`."
        yield Finding("R007", message, hint=hint, file=file, line=pipeline.line_of("aggregates", name, "retention"))


def _excess_categories(plan: Plan) -> Iterator[Finding]:
    limits = {name: model.must_be for name, model in (plan.pipeline.tables if plan.pipeline else {}).items()}
    if plan.pipeline is not None and plan.pipeline.records is not None:
        limits["records"] = plan.pipeline.records.must_be
    for name, output in plan.outputs.items():
        if model_module.exceeds(output.category, limits.get(name)):
            culprits = [
                key
                for key, field in plan.fields.items()
                if model_module.exceeds(field.category or "aggregated", limits[name])
            ]
            hint = (
                f"Drop, pseudonymize or coarsen {', '.join(culprits)}"
                if culprits
                else "Allow pseudonymized, the lowest category of records"
            )
            unstated = [key for key in culprits if "role" not in plan.fields[key].field.model_fields_set]
            hint += f"; or state the role of {', '.join(unstated)}." if unstated else "."
            message = f"output {name} is {output.category} but must be {limits[name]}"
            at = ("records", "must_be") if name == "records" else ("aggregates", name, "must_be")
            yield plan_refusal(plan, "R001", message, hint, at=at)


def _partition_refusals(plan: Plan) -> Iterator[Finding]:
    if plan.pipeline is None or plan.pipeline.records is None:
        return
    for key in plan.pipeline.records.partition_by:
        field = plan.fields.get(key)
        if field is None or field.field.role != "plain" or field.gives is None:
            hint = "Use released fields of role plain: the values of a partition are visible in the paths."
            yield plan_refusal(
                plan,
                "R002",
                "the output cannot be partitioned by this field",
                hint,
                key,
                at=("records", "partition_by"),
            )


def _unencrypted_outputs(plan: Plan) -> Iterator[Finding]:
    for name, at in encryption_refusals(plan):
        message = f"output {name} would be encrypted less than minimize.yaml requires"
        hint = "Remove `encrypt`: the default is at least `access: {encrypt: …}` of minimize.yaml."
        yield plan_refusal(plan, "R005", message, hint, at=at)


def _single_value_measures(plan: Plan, aggregate: AggregatePlan) -> Iterator[Finding]:
    for name, measure in aggregate.model.measures.items():
        field = plan.fields.get(measure.of or "")
        if field is not None and field.measured is not None and _shows_one_value(measure):
            message = f"measure {name} of {aggregate.name}: {measure.name} over a field with in_aggregates"
            others = ", ".join(word for word, kind in MEASURES.items() if not _shows_one_value(kind))
            hint = f"Use a measure that does not release single values ({others})."
            yield plan_refusal(plan, "R003", message, hint, field.key, at=("aggregates", aggregate.name, "measures"))


def _measures_without_noise(plan: Plan, aggregate: AggregatePlan) -> Iterator[Finding]:
    for name, measure in aggregate.model.measures.items():
        if aggregate.definition.noise is not None and not measure.takes_noise:
            reason, instead = measure.noise_obstacle
            noisy = ", ".join(word for word, kind in MEASURES.items() if kind.takes_noise)
            alone = "or publish it in an exact table, the only one of its source: `exact: {because: …}`"
            hint = instead or f"Use a measure whose statistics can have noise ({noisy}), {alone}."
            at = ("aggregates", aggregate.name, "measures")
            yield plan_refusal(plan, "R024", f"measure {name} of {aggregate.name}: {reason}", hint, measure.of, at=at)


def _shows_one_value(measure: Measure | type[Measure]) -> bool:
    return measure.shown_values in ("supported", "single")


def plan_refusal(
    plan: Plan, code: str, message: str, hint: str, field: str | None = None, *, at: tuple[str, ...]
) -> Finding:
    """A refusal of a plan. Without a pipeline, it has no place."""
    if plan.pipeline is None:
        return Finding(code, message, hint=hint, field=field)
    path = plan.pipeline.path
    return Finding(
        code, message, hint=hint, file=None if path is None else str(path), line=plan.pipeline.line_of(*at), field=field
    )
