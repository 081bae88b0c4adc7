"""The schemas of outputs, with metadata that says what was done to each column.

Records stand in the policy's order, nested as the source has them, kept leaves only; aggregates have groups, then measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from minimize.aggregates import Measure
from minimize.plan.model import FieldPlan
from minimize.pointer import KEYS, STAR, Part
from minimize.policy.model import Policy
from minimize.policy.pipeline import AggregateModel

Metadata = Mapping[str, str]


def records_schema(source: pa.Schema, fields: Sequence[FieldPlan], policy: Policy) -> pa.Schema:
    """The released fields as columns, with metadata that says what was done to each."""
    released = [field for field in fields if field.gives is not None and _has_place(field)]
    columns = []
    for top in dict.fromkeys(field.pointer.top for field in released):
        below = [field for field in released if field.pointer.top == top]
        columns.append(_column(source, top, below, _said(policy)))
    return pa.schema(columns, metadata=_said(policy))


def aggregate_schema(
    plain: pa.Schema, model: AggregateModel, fields: Mapping[str, FieldPlan], policy: Policy
) -> pa.Schema:
    """An aggregate's columns: a group says what was done to its field, a measure what it is of."""
    aggregated = {"minimize:category": "aggregated"}
    groups = {name: field_metadata(fields[key.field]) for name, key in model.group_by.items()}
    measures = {name: _measure_metadata(measure, fields) for name, measure in model.measures.items()}
    columns = [
        column.with_metadata({**_said(policy), **{**groups, **measures}[column.name], **aggregated}) for column in plain
    ]
    return pa.schema(columns, metadata=_said(policy))


def _said(policy: Policy) -> Metadata:
    return {"minimize:policy": f"{policy.policy}/{policy.version}"}


def _measure_metadata(measure: Measure, fields: Mapping[str, FieldPlan]) -> Metadata:
    """Only a histogram shows values of its field, and so their key."""
    told = {"minimize:measure": measure.name}
    if measure.of is None:
        return told
    shown = _key_metadata(fields[measure.of]) if measure.name == "histogram" else {}
    return {**told, "minimize:field": measure.of, **shown}


def _has_place(field: FieldPlan) -> bool:
    """What is made from several fields stands beside the source's columns and never in one (else it is a fault, P106)."""
    return field.pointer.is_flat or not field.field.from_


def _column(source: pa.Schema, top: str, below: Sequence[FieldPlan], said: Metadata) -> pa.Field:
    leaves = {field.pointer.parts[1:]: _type(field) for field in below}
    metadata = field_metadata(below[0]) if leaves.get(()) is not None else _nested_metadata(below)
    type_ = leaves.get(()) or _rebuilt(source.field(top).type, leaves)
    return pa.field(top, type_, metadata={**said, **metadata})


def _rebuilt(type_: pa.DataType, leaves: Mapping[tuple[Part, ...], pa.DataType]) -> pa.DataType:
    """The type with only these leaves (paths below it), each of its new type."""
    if () in leaves:
        return leaves[()]
    if pa.types.is_struct(type_):
        return pa.struct([_child(type_.field(name), leaves, name) for name in _names(type_, leaves)])
    inner = _below(leaves, STAR)
    if pa.types.is_map(type_):
        return _of_map(leaves.get((KEYS,)), _rebuilt(type_.item_type, inner))
    if pa.types.is_large_list(type_):
        return pa.large_list(_rebuilt(type_.value_type, inner))
    return pa.list_(_rebuilt(type_.value_type, inner))


def _type(field: FieldPlan) -> pa.DataType | None:
    """The type of a released leaf; that of a map's keys, if they leave in another form, within a struct."""
    changed = field.pointer.is_keys and field.technique != ("keep",)
    return pa.struct([("key", field.gives)]) if changed else field.gives


def _of_map(keys: pa.DataType | None, value: pa.DataType) -> pa.DataType:
    """A map with the keys that it came with, a list of {key, value}, or a list of values if no keys leave."""
    if keys is None:
        return pa.list_(value)
    if pa.types.is_struct(keys):
        return pa.list_(pa.struct([keys.field("key"), pa.field("value", value)]))
    return pa.map_(keys, value)


def _names(type_: pa.DataType, leaves: Mapping[tuple[Part, ...], pa.DataType]) -> list[str]:
    return [str(name) for name in dict.fromkeys(path[0] for path in leaves)]


def _child(child: pa.Field, leaves: Mapping[tuple[Part, ...], pa.DataType], name: str) -> pa.Field:
    return pa.field(name, _rebuilt(child.type, _below(leaves, name)))


def _below(leaves: Mapping[tuple[Part, ...], pa.DataType], part: Part) -> dict[tuple[Part, ...], pa.DataType]:
    return {path[1:]: type_ for path, type_ in leaves.items() if path[0] == part}


def field_metadata(field: FieldPlan) -> Metadata:
    """What stands beside a column: field, technique, what it leaves, category, and the names of its keys."""
    return {
        "minimize:field": field.key,
        "minimize:technique": ",".join(field.technique),
        "minimize:leaves": field.leaves or "nothing",
        "minimize:category": field.category or "pseudonymized",
        **_key_metadata(field),
    }


def _key_metadata(field: FieldPlan) -> Metadata:
    keys = sorted({name for step in field.steps for name in step.key_names})
    return {"minimize:key": ",".join(keys)} if keys else {}


def _nested_metadata(below: Sequence[FieldPlan]) -> Metadata:
    """The same for a column of several leaves: each key once per leaf, behind the leaf's pointer."""
    return {f"{key}{field.pointer}": value for field in below for key, value in field_metadata(field).items()}


def with_key_versions(schema: pa.Schema, versions: Mapping[str, int]) -> pa.Schema:
    """The schema with every key name in its metadata as `name/version`."""
    return pa.schema([_versioned(field, versions) for field in schema], metadata=schema.metadata)


def _versioned(field: pa.Field, versions: Mapping[str, int]) -> pa.Field:
    metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    for key, value in metadata.items():
        if key.startswith("minimize:key"):
            metadata[key] = ",".join(f"{name}/{versions[name]}" for name in value.split(","))
    return field.with_metadata(metadata or None)
