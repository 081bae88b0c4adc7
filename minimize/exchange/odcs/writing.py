"""A data contract (3.1): of the records that a policy declares, or of what a pipeline writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from minimize.exchange.asking import SOURCE, has_plan, output_of, plan_of, policy_of
from minimize.exchange.base import Asked
from minimize.exchange.meanings import Meaning, meanings
from minimize.exchange.odcs.words import CLASSED, LOGICAL, VERSION, own, retention_of
from minimize.exchange.tree import Branch, tree_of
from minimize.exchange.yaml_text import document_text
from minimize.plan import Plan
from minimize.policy.model import Field, Policy

Body = dict[str, Any]


def write(asked: Asked) -> str:
    """The contract's text. Raises ConfigurationError where there is no such output."""
    if asked.name == SOURCE or (asked.name is None and not has_plan(asked)):
        return document_text(source_contract(policy_of(asked)), asked.as_json)
    return document_text(output_contract(plan_of(asked), asked.name), asked.as_json)


def source_contract(policy: Policy) -> Body:
    """The contract of the records that come in, as far as the policy declares them."""
    root = tree_of({field.pointer: field for field in policy.fields.values() if not field.from_})
    facts = {
        "Purposes": list(policy.purposes),
        "Tenant": policy.tenant,
        "Subject": policy.subject,
        "Time": policy.time,
        "Record": policy.record,
        "Never": [each.forbidden_text for each in policy.never],
    }
    objects = [{"name": policy.policy, "logicalType": "object", "properties": _properties(root)}]
    return {**_head(policy, policy.policy), "schema": objects, **_kept(policy, policy.policy), **own(facts)}


def output_contract(plan: Plan, name: str | None = None) -> Body:
    """The contract of what a pipeline writes: an object for each of its outputs, or for one."""
    names = list(plan.outputs) if name is None else [name]
    pipeline = plan.pipeline.pipeline if plan.pipeline is not None else plan.policy.policy
    facts = {"Purpose": plan.purpose, "Plan": plan.digest}
    objects = [_object(plan, each) for each in names]
    return {**_head(plan.policy, pipeline), "schema": objects, **_kept(plan.policy, "records"), **own(facts)}


def _head(policy: Policy, name: str) -> Body:
    body: Body = {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": name,
        "name": name,
        "version": f"{policy.version}.0.0",
        "status": "active",
        "description": {"purpose": ", ".join(policy.purposes)},
    }
    return body | ({"team": {"members": [{"username": policy.owner, "role": "owner"}]}} if policy.owner else {})


def _kept(policy: Policy, name: str) -> Body:
    """For how long it is kept, counted from the event time."""
    if policy.retention is None:
        return {}
    element = {"element": f"{name}.{policy.time}"} if policy.time else {}
    return {"slaProperties": [{"property": "retention", **retention_of(policy.retention), **element}]}


def _properties(branch: Branch) -> list[Body]:
    return [{"name": name, **_property(below)} for name, below in branch.named.items()]


def _property(branch: Branch) -> Body:
    if branch.field is not None:
        return _leaf(branch.field)
    if branch.items is not None:
        return {"logicalType": "array", "items": _property(branch.items)}
    needed = {"required": True} if _is_required(branch) else {}
    return {"logicalType": "object", **needed, "properties": _properties(branch)}


def _is_required(branch: Branch) -> bool:
    return branch.field.required if branch.field else any(map(_is_required, branch.named.values()))


def _leaf(field: Field) -> Body:
    exact = LOGICAL.get(field.type) if field.type not in ("binary", "map", "struct") else None
    body: Body = {"logicalType": LOGICAL.get(field.type, "number")}
    body |= {"required": True} if field.required else {}
    body |= {"description": field.about} if field.about else {}
    body |= {"classification": CLASSED[field.role]} if field.role != "plain" else {}
    facts = {
        "Role": field.role if field.role != "plain" else "",
        "Unit": field.unit,
        "Type": "" if exact else field.type,
    }
    return body | own(facts)


def _object(plan: Plan, name: str) -> Body:
    output = output_of(plan, name)
    said = meanings(plan, name)
    columns = [{"name": each.name, **_column(each.type, (each.name,), said)} for each in output.schema]
    body: Body = {"name": name, "logicalType": "object", "physicalType": "parquet", "description": _about(plan, name)}
    granularity = {"dataGranularityDescription": _granularity(plan, name)} if name != "records" else {}
    return {**body, **granularity, "properties": columns, **own({"Category": output.category})}


def _about(plan: Plan, name: str) -> str:
    kind = "records" if name == "records" else "counts and statistics of groups"
    return f"{plan.policy.policy}: {kind}, {plan.outputs[name].category}"


def _granularity(plan: Plan, name: str) -> str:
    model = plan.aggregates[name].model
    below = model.suppress.below
    return f"One row for each {', '.join(model.group_by)}; groups of fewer than {below} subjects are absent"


def _column(type_: pa.DataType, path: tuple[str, ...], said: Mapping[tuple[str, ...], Meaning]) -> Body:
    body: Body = {}
    if pa.types.is_struct(type_):
        inner = [type_.field(at) for at in range(type_.num_fields)]
        below = [{"name": each.name, **_column(each.type, (*path, each.name), said)} for each in inner]
        body = {"logicalType": "object", "properties": below}
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_):
        body = {"logicalType": "array", "items": _column(type_.value_type, (*path, "*"), said)}
    else:
        body = {"logicalType": _logical(type_), "physicalType": str(type_)}
    return body | (_said(said[path]) if path in said else {})


def _said(meaning: Meaning) -> Body:
    body: Body = {"description": meaning.text, "transformLogic": meaning.form}
    body |= {"transformSourceObjects": list(meaning.inputs)} if meaning.inputs else {}
    body |= {"classification": CLASSED[meaning.role]} if meaning.role != "plain" else {}
    role = meaning.role if meaning.role != "plain" else ""
    return body | own({"Role": role, "Leaves": meaning.facts.get("leaves")})


def _logical(type_: pa.DataType) -> str:
    tests = (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_date, "date"),
        (pa.types.is_map, "object"),
    )
    return next((word for test, word in tests if test(type_)), "string")
