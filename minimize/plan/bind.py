"""Bind a policy to a schema and a purpose: the plan, or all faults and refusals at once.

Fields with their explanations, then keys of maps, then outputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from minimize.arrow.nested import leaf_type
from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, PolicyError, RefusedError
from minimize.keys.keyring import NOISE_KEY
from minimize.plan import model
from minimize.plan.aggregates import plan_aggregates
from minimize.plan.checks import (
    chain_type,
    field_fault,
    gate_faults,
    input_type,
    misplaced_techniques,
    output_type,
    plan_refusals,
)
from minimize.plan.columns import aggregate_schema, records_schema
from minimize.plan.model import (
    AggregatePlan,
    CaseBranch,
    Category,
    FieldAction,
    FieldPlan,
    OutputPlan,
    Plan,
    RiskPlan,
    case_branches,
    encryption_faults,
)
from minimize.plan.request import allows_purpose
from minimize.plan.risk import level_faults, plan_risk
from minimize.policy.describe import WORDS, condition_text, feature_text
from minimize.policy.fields import locates_finely
from minimize.policy.model import Field, Policy, Role
from minimize.policy.pipeline import Pipeline
from minimize.policy.roles import presumed_role
from minimize.policy.treatments import DROP
from minimize.receipts.parts import canonical_json, sha256_text
from minimize.records import RECORDS
from minimize.techniques import Residual
from minimize.text import did_you_mean
from minimize.times import duration_text


def plan_field(
    policy: Policy,
    field: Field,
    source: pa.Schema,
    purpose: str | None,
    faults: list[Finding],
    *,
    coarse: bool = False,
) -> FieldPlan:
    """The field under this purpose. Faults are added to `faults`. `coarse` as for `bind`."""
    only_for = _excluding_purposes(policy, field, purpose)
    branches = (CaseBranch(None, None),) if only_for else case_branches(field)
    inputs = tuple(Pointer.parse(key) for key in field.from_) or (field.pointer,)
    measured_steps = () if only_for else field.in_aggregates
    released = any(branch.steps is not None for branch in branches)
    takes = input_type(field, inputs, source) if released or measured_steps else pa.null()
    gives = output_type(policy, field, takes, branches, faults) if released else None
    measured = chain_type(policy, field, takes, measured_steps, faults) if measured_steps else None
    faults.extend(misplaced_techniques(policy, field))
    parts = (field, *(policy.fields[key] for key in field.from_))
    roles = [presumed_role(each) for each in parts]
    residual = _field_residual(branches, roles) if released else None
    return FieldPlan(
        field=field,
        pointer=field.pointer,
        inputs=inputs,
        takes=takes,
        gives=gives,
        measured=measured,
        action=_field_action(field, branches, released),
        technique=_technique_names(branches),
        why="; ".join(_explanations(policy, field, only_for, released)),
        residual=residual,
        category=None if residual is None else _field_category(branches, parts, residual, coarse=coarse),
        branches=branches,
    )


def _field_category(
    branches: Sequence[CaseBranch], parts: Sequence[Field], residual: Residual, *, coarse: bool
) -> Category:
    chains = [branch.steps for branch in branches if branch.steps is not None]
    if not coarse and locates_finely(chains, parts):
        return "identified"
    return model.highest_category(model.released_column_category(presumed_role(part), residual) for part in parts)


def _field_residual(branches: Sequence[CaseBranch], roles: Collection[Role]) -> Residual:
    return model.most_revealing(
        model.least_revealing(model.step_residual(step, roles) for step in branch.steps)
        for branch in branches
        if branch.steps is not None
    )


def _technique_names(branches: Sequence[CaseBranch]) -> tuple[str, ...]:
    words = [name for branch in branches for name in ([s.name for s in branch.steps] if branch.steps else [DROP])]
    return tuple(words if len(branches) == 1 else dict.fromkeys(words))


def _field_action(field: Field, branches: Sequence[CaseBranch], released: bool) -> FieldAction:
    if not released:
        return "drop"
    if field.is_gated:
        return "gate"
    return "keep" if all(branch.keeps_value for branch in branches) else "transform"


def _excluding_purposes(policy: Policy, field: Field, purpose: str | None) -> tuple[str, ...]:
    """The purposes of the field, or of a field that it is derived from, if they exclude this purpose; else empty."""
    parts = (field, *(policy.fields[key] for key in field.from_))
    return next((part.purposes for part in parts if not allows_purpose(part, purpose)), ())


def _explanations(policy: Policy, field: Field, only_for: Sequence[str], released: bool) -> Iterator[str]:
    if only_for:
        yield f"only for {', '.join(only_for)}"
    elif not released:
        yield "for aggregates only" if field.in_aggregates else "the policy drops it"
    else:
        yield from _gate_explanations(policy, field)
        yield from WORDS.forms(field)


def _gate_explanations(policy: Policy, field: Field) -> Iterator[str]:
    if field.feature:
        yield f"collected if {feature_text(policy, field.feature)}"
    if field.level:
        yield f"collected from level {field.level} on"
    if field.collect_if is not None:
        yield f"collected if {condition_text(field.collect_if)}"
    feature = policy.features.get(field.feature or "")
    if feature is not None and feature.retention is not None:
        yield f"removed {duration_text(feature.retention)} after the event"


def add_map_keys(fields: Mapping[str, FieldPlan], source: pa.Schema) -> dict[str, FieldPlan]:
    """The fields, followed by the dropped keys of each map whose keys the policy does not mention.

    Keys are released only together with values: if no value of a map is released, its keys are not.
    """
    settled = {key: _drop_unused_keys(field, fields) for key, field in fields.items()}
    planned_pointers = {field.pointer for field in settled.values()}
    return settled | {
        str(keys): _dropped_keys(keys)
        for keys in dict.fromkeys(_map_keys(settled, source))
        if keys not in planned_pointers
    }


def _drop_unused_keys(field: FieldPlan, fields: Mapping[str, FieldPlan]) -> FieldPlan:
    if not field.pointer.is_keys or field.gives is None:
        return field
    star = field.pointer.stars[-1]
    if any(value_field.gives is not None and value_field.pointer.within(star) for value_field in fields.values()):
        return field
    return replace(
        field,
        gives=None,
        action="drop",
        technique=(DROP,),
        why="no value of the map is released",
        residual=None,
        category=None,
        branches=(CaseBranch(None, None),),
    )


def _map_keys(fields: Mapping[str, FieldPlan], source: pa.Schema) -> Iterator[Pointer]:
    """The keys of the maps that contain released fields."""
    for field in fields.values():
        for star in field.pointer.stars if field.gives is not None and not field.field.from_ else ():
            container = Pointer(star.parts[:-1])
            if pa.types.is_map(leaf_type(source, container)):
                yield container.keys


def _dropped_keys(keys: Pointer) -> FieldPlan:
    return FieldPlan(
        field=Field(key=str(keys), type="string"),
        pointer=keys,
        inputs=(keys,),
        takes=pa.null(),
        gives=None,
        measured=None,
        action="drop",
        technique=(DROP,),
        why="keys of a map are dropped unless the policy has `keys:`",
        residual=None,
        category=None,
        branches=(CaseBranch(None, None),),
    )


@dataclass(frozen=True, slots=True)
class ExaminedPlan:
    """A plan as far as it could be made, faults of configuration (exit 2), and refusals (exit 3)."""

    plan: Plan
    faults: tuple[Finding, ...]
    refused: tuple[Finding, ...]

    def require_sound(self) -> Plan:
        """The plan, even if it has refusals. Raises PolicyError with all faults of configuration."""
        if self.faults:
            raise PolicyError(_count_text(len(self.faults), "fault"), findings=self.faults)
        return self.plan

    def require_allowed(self) -> Plan:
        """The plan. Raises PolicyError with all faults of configuration, else RefusedError with all refusals."""
        plan = self.require_sound()
        if self.refused:
            raise RefusedError(_count_text(len(self.refused), "refusal"), findings=self.refused)
        return plan


def bind(
    policy: Policy,
    source: pa.Schema,
    *,
    purpose: str | None,
    pipeline: Pipeline | None = None,
    coarse: Collection[str] = (),
) -> Plan:
    """The plan for a source with this schema (the needed columns, as `Source.schema` has them).

    With a purpose of None, fields that list purposes are dropped. `coarse` has the keys of the fields whose values show no
    position more finely than 10 km already in the source. Raises PolicyError with all faults of configuration, then
    RefusedError with all refusals.
    """
    return examine(policy, source, purpose=purpose, pipeline=pipeline, coarse=coarse).require_allowed()


def examine(
    policy: Policy,
    source: pa.Schema,
    *,
    purpose: str | None,
    pipeline: Pipeline | None = None,
    coarse: Collection[str] = (),
) -> ExaminedPlan:
    """The plan with its faults and refusals. Raises nothing, so `lint` can report all of them."""
    faults = list(_purpose_faults(policy, purpose, pipeline))
    planned = {
        key: plan_field(policy, field, source, purpose, faults, coarse=key in coarse)
        for key, field in policy.fields.items()
    }
    fields = add_map_keys(planned, source)
    aggregates = {} if pipeline is None or faults else plan_aggregates(pipeline, fields, faults)
    faults.extend(level_faults(policy, fields, pipeline))
    risk = None if pipeline is None or faults else plan_risk(pipeline, fields, faults)
    plan = _build_plan(policy, pipeline, purpose, source, fields, aggregates, risk)
    return ExaminedPlan(plan, (*faults, *gate_faults(plan), *encryption_faults(plan)), tuple(plan_refusals(plan)))


def _purpose_faults(policy: Policy, purpose: str | None, pipeline: Pipeline | None) -> list[Finding]:
    if purpose is None or purpose in policy.purposes:
        return []
    hint = did_you_mean(purpose, policy.purposes)
    fault = field_fault(policy, None, "P100", f"the policy does not list the purpose {purpose}", hint)
    if pipeline is None or pipeline.path is None:
        return [fault]
    return [replace(fault, file=str(pipeline.path), line=pipeline.line_of("purpose"))]


def _build_plan(
    policy: Policy,
    pipeline: Pipeline | None,
    purpose: str | None,
    source: pa.Schema,
    fields: Mapping[str, FieldPlan],
    aggregates: Mapping[str, AggregatePlan],
    risk: RiskPlan | None,
) -> Plan:
    plan = Plan(
        policy=policy,
        pipeline=pipeline,
        purpose=purpose,
        source=source,
        fields=fields,
        aggregates=aggregates,
        outputs=_outputs(policy, pipeline, source, fields, aggregates),
        risk=risk,
        keys=frozenset(name for field in fields.values() for name in _key_names(field)) | _noise_keys(aggregates),
        reveals=_reveals(policy, pipeline, fields),
        digest="",
    )
    return _add_digest(plan)


def _key_names(field: FieldPlan) -> list[str]:
    steps = (*field.steps, *(field.field.in_aggregates if field.measured is not None else ()))
    return [name for step in steps for name in step.key_names]


def _noise_keys(aggregates: Mapping[str, AggregatePlan]) -> frozenset[str]:
    return frozenset(NOISE_KEY for each in aggregates.values() if each.definition.noise is not None)


def _outputs(
    policy: Policy,
    pipeline: Pipeline | None,
    source: pa.Schema,
    fields: Mapping[str, FieldPlan],
    aggregates: Mapping[str, AggregatePlan],
) -> dict[str, OutputPlan]:
    outputs = {
        name: OutputPlan("aggregated", aggregate_schema(plan.definition.schema, plan.model, fields, policy))
        for name, plan in aggregates.items()
    }
    if pipeline is not None and pipeline.records is None:
        return outputs
    released = [field for field in fields.values() if field.category is not None]
    level = model.records_category(field.category for field in released if field.category is not None)
    return {"records": OutputPlan(level, records_schema(source, released, policy)), **outputs}


def _reveals(policy: Policy, pipeline: Pipeline | None, fields: Mapping[str, FieldPlan]) -> dict[str, str]:
    """What the presence or absence of a value, or of a record, reveals, because a condition decides on it."""
    records = None if pipeline is None else pipeline.records
    whole = [policy.records.collect_if, None if records is None else records.collect_if]
    conditions_by_key = {RECORDS: [condition for condition in whole if condition is not None]}
    for key, field in fields.items():
        if field.gives is not None:
            gates = [] if field.field.collect_if is None else [field.field.collect_if]
            conditions_by_key[key] = [*gates, *(branch.when for branch in field.branches if branch.when is not None)]
    return {
        key: "whether " + ", or whether ".join(condition_text(condition) for condition in conditions)
        for key, conditions in conditions_by_key.items()
        if conditions
    }


def _add_digest(plan: Plan) -> Plan:
    body = plan.to_json() | {
        "fields": {key: field.to_json() for key, field in plan.fields.items()},
        "schema": {name: str(output.schema) for name, output in plan.outputs.items()},
    }
    return replace(plan, digest=sha256_text(canonical_json(body)))


def _count_text(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}; nothing was read"
