"""Column lineage: which input field makes which output column, and what is done to it on the way; words of the policy only.

A column comes DIRECTly from the fields that it is made from (an IDENTITY where it is kept, else a TRANSFORMATION, or the
AGGREGATION of a measure), and INDIRECTly from those that decide whether it is there. `masking` is true for all but what is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from minimize.plan import Plan
from minimize.plan.model import AggregatePlan, FieldPlan
from minimize.policy.condition import read_by
from minimize.policy.model import Policy

Found = tuple[str, dict[str, Any]]
"""An input field's key, and what is done to it."""
KEEP: Final = "everything"


def column_lineage(plan: Plan, name: str, source: Mapping[str, str]) -> dict[str, Any]:
    """The lineage of one output's columns, as `fields` and `dataset` of the facet.

    Takes the plan, the output's name, and the input as `namespace` and `name`.
    """
    columns = _records(plan) if name == "records" else _aggregate(plan, plan.aggregates[name])
    whole = [*_rows(plan), *([] if name == "records" else _groups(plan.aggregates[name]))]
    fields = {column: {"inputFields": _inputs(found, source)} for column, found in columns}
    return {"fields": fields, "dataset": _inputs(whole, source)}


def _records(plan: Plan) -> Iterator[tuple[str, list[Found]]]:
    for field in plan.fields.values():
        if field.gives is not None:
            yield field.key, [*_direct(field), *_conditions(plan.policy, field)]


def _aggregate(plan: Plan, aggregate: AggregatePlan) -> Iterator[tuple[str, list[Found]]]:
    for name, key in aggregate.model.group_by.items():
        yield name, _released(plan, key.field)
    for name, measure in aggregate.model.measures.items():
        how = _did("DIRECT", "AGGREGATION", measure.name)
        of = measure.of
        yield name, [] if of is None else [(of, how), *(found for found in _released(plan, of) if found[0] != of)]


def _released(plan: Plan, key: str) -> list[Found]:
    field = plan.fields.get(key)
    return [] if field is None else [*_direct(field), *_conditions(plan.policy, field)]


def _direct(field: FieldPlan) -> Iterator[Found]:
    kept = field.leaves == KEEP
    words = " → ".join(field.technique)
    how = _did("DIRECT", "IDENTITY", words, masking=False) if kept else _did("DIRECT", "TRANSFORMATION", words)
    for pointer in field.inputs:
        yield _key(pointer), how
    for key in sorted({key for step in field.steps for key in step.reads()} - {field.key}):
        yield key, _did("DIRECT", "TRANSFORMATION", words)


def _conditions(policy: Policy, field: FieldPlan) -> Iterator[Found]:
    declared = field.field
    read = {key for when in (declared.collect_if, *(case.when for case in declared.cases)) for key in read_by(when)}
    if declared.feature or declared.level:
        read |= {key for key in (policy.tenant, policy.subject, policy.time) if key}
    for key in sorted(read):
        yield key, _did("INDIRECT", "CONDITIONAL", "collected or not")


def _rows(plan: Plan) -> Iterator[Found]:
    """What decides about whole records."""
    policy, records = plan.policy, None if plan.pipeline is None else plan.pipeline.records
    read = {*read_by(policy.records.collect_if), *([] if records is None else read_by(records.collect_if))}
    if policy.records.feature or policy.records.level:
        read |= {key for key in (policy.tenant, policy.subject, policy.time) if key}
    if policy.retention is not None and policy.time is not None:
        read.add(policy.time)
    yield from ((key, _did("INDIRECT", "FILTER", "kept or not")) for key in sorted(read))
    if records is not None and records.deduplicate is not None:
        yield from ((key, _did("INDIRECT", "FILTER", "deduplicate")) for key in records.deduplicate.by)


def _groups(aggregate: AggregatePlan) -> Iterator[Found]:
    for key in aggregate.model.group_by.values():
        yield key.field, _did("INDIRECT", "GROUP_BY", "group")
    yield _key(aggregate.definition.counting), _did("INDIRECT", "FILTER", "suppress")


def _inputs(found: Iterable[Found], source: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each input field once, with all that is done to it."""
    done: dict[str, list[dict[str, Any]]] = {}
    for key, how in found:
        known = done.setdefault(key, [])
        if how not in known:
            known.append(how)
    return [{**source, "field": key, "transformations": how} for key, how in done.items()]


def _did(kind: str, subtype: str, what: str, *, masking: bool = True) -> dict[str, Any]:
    return {"type": kind, "subtype": subtype, "description": what, "masking": masking}


def _key(pointer: Any) -> str:
    return pointer.top if pointer.is_flat else str(pointer)
