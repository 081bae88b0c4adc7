"""Policy × schema × purpose → plan, or every fault and refusal at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import rfc8785

from minimize.errors import Finding, PolicyError, RefusedError
from minimize.plan import category
from minimize.plan.aggregates import plan_aggregates
from minimize.plan.checks import gate_faults, plan_refusals
from minimize.plan.columns import aggregate_schema, records_schema
from minimize.plan.fields import add_map_keys, field_fault, plan_field
from minimize.plan.model import AggregatePlan, FieldPlan, OutputPlan, Plan, encryption_faults
from minimize.policy.describe import condition_text
from minimize.policy.faults import did_you_mean
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline

RECORDS = "records"
"""Under this name a plan says what it reveals that a record is there."""


@dataclass(frozen=True, slots=True)
class ExaminedPlan:
    """A plan as far as it could be made, faults of configuration (exit 2), and refusals (exit 3)."""

    plan: Plan
    faults: tuple[Finding, ...]
    refused: tuple[Finding, ...]

    def require_sound(self) -> Plan:
        """The plan, whatever is refused about it. Raises PolicyError with all faults of configuration."""
        if self.faults:
            raise PolicyError(_count_text(len(self.faults), "fault"), findings=self.faults)
        return self.plan

    def require_allowed(self) -> Plan:
        """The plan. Raises PolicyError with all faults of configuration, else RefusedError with all refusals."""
        plan = self.require_sound()
        if self.refused:
            raise RefusedError(_count_text(len(self.refused), "refusal"), findings=self.refused)
        return plan


def bind(policy: Policy, source: pa.Schema, *, purpose: str | None, pipeline: Pipeline | None = None) -> Plan:
    """The plan for a source with this schema (the needed columns, as `Source.schema` has them).

    A purpose of None is nobody's: fields that list purposes are dropped. Raises PolicyError with all faults of configuration,
    then RefusedError with all refusals.
    """
    return examine(policy, source, purpose=purpose, pipeline=pipeline).require_allowed()


def examine(
    policy: Policy, source: pa.Schema, *, purpose: str | None, pipeline: Pipeline | None = None
) -> ExaminedPlan:
    """The plan with what stands against it, raising nothing: for `lint`, which reports it all."""
    faults = list(_purpose_faults(policy, purpose, pipeline))
    planned = {key: plan_field(policy, field, source, purpose, faults) for key, field in policy.fields.items()}
    fields = add_map_keys(planned, source)
    aggregates = {} if pipeline is None or faults else plan_aggregates(pipeline, fields, faults)
    plan = _build_plan(policy, pipeline, purpose, source, fields, aggregates)
    return ExaminedPlan(plan, (*faults, *gate_faults(plan), *encryption_faults(plan)), tuple(plan_refusals(plan)))


def _purpose_faults(policy: Policy, purpose: str | None, pipeline: Pipeline | None) -> list[Finding]:
    if purpose is None or purpose in policy.purposes:
        return []
    hint = did_you_mean(purpose, policy.purposes)
    found = field_fault(policy, None, "P100", f"the policy does not list the purpose {purpose}", hint)
    if pipeline is None or pipeline.path is None:
        return [found]
    return [replace(found, file=str(pipeline.path), line=pipeline.line_of("purpose"))]


def _build_plan(
    policy: Policy,
    pipeline: Pipeline | None,
    purpose: str | None,
    source: pa.Schema,
    fields: Mapping[str, FieldPlan],
    aggregates: Mapping[str, AggregatePlan],
) -> Plan:
    plan = Plan(
        policy=policy,
        pipeline=pipeline,
        purpose=purpose,
        source=source,
        fields=fields,
        aggregates=aggregates,
        outputs=_outputs(policy, pipeline, source, fields, aggregates),
        keys=frozenset(name for field in fields.values() for name in _key_names(field)),
        reveals=_reveals(policy, pipeline, fields),
        digest="",
    )
    return _add_digest(plan)


def _key_names(field: FieldPlan) -> list[str]:
    steps = (*field.steps, *(field.field.in_aggregates if field.measured is not None else ()))
    return [name for step in steps for name in step.key_names]


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
    level = category.records_category(field.category for field in released if field.category is not None)
    return {"records": OutputPlan(level, records_schema(source, released, policy)), **outputs}


def _reveals(policy: Policy, pipeline: Pipeline | None, fields: Mapping[str, FieldPlan]) -> dict[str, str]:
    """What the outcome of each condition tells whoever sees whether a value, or a record, is there."""
    records = None if pipeline is None else pipeline.records
    whole = [policy.records.collect_if, None if records is None else records.collect_if]
    found = {RECORDS: [condition for condition in whole if condition is not None]}
    for key, field in fields.items():
        if field.gives is not None:
            gates = [] if field.field.collect_if is None else [field.field.collect_if]
            found[key] = [*gates, *(branch.when for branch in field.branches if branch.when is not None)]
    return {
        key: "whether " + ", or whether ".join(condition_text(condition) for condition in conditions)
        for key, conditions in found.items()
        if conditions
    }


def _add_digest(plan: Plan) -> Plan:
    body = plan.as_json() | {"schema": {name: str(output.schema) for name, output in plan.outputs.items()}}
    return replace(plan, digest="sha256:" + hashlib.sha256(rfc8785.dumps(body)).hexdigest())


def _count_text(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}, nothing was read"
