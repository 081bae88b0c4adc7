"""Export a JSON Schema (2020-12) of an output's rows, or of the records that a policy declares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from minimize.interop.column_meanings import FieldTree, column_meanings, field_tree
from minimize.interop.model import SOURCE_NAME, ExportRequest, find_output_plan, requested_plan, requested_policy
from minimize.plan import Plan
from minimize.policy.json_schema import JSON_SCHEMA_DIALECT
from minimize.policy.model import Field, Policy

SchemaDocument = dict[str, Any]
_WORDS: Final[Mapping[str, SchemaDocument]] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "double": {"type": "number"},
    "timestamp": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "list": {"type": "array"},
    "map": {"type": "object", "additionalProperties": {}},
    "struct": {"type": "object"},
}


def write_json_schema(request: ExportRequest) -> str:
    """The schema's text. Raises ConfigurationError where there is no such output."""
    name = request.name or "records"
    body = (
        source_schema(requested_policy(request))
        if name == SOURCE_NAME
        else output_schema(requested_plan(request), name)
    )
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def source_schema(policy: Policy) -> SchemaDocument:
    """The records that a policy declares. What it does not name may be there; what must never arrive may not."""
    root = field_tree({field.pointer: field for field in policy.fields.values() if not field.from_})
    body = _object_schema(root)
    for pointer in policy.never:
        name = pointer.top if pointer.is_flat else pointer.name_at_any_depth
        if name is not None:
            body["properties"].setdefault(name, False)
    return {"$schema": JSON_SCHEMA_DIALECT, "title": policy.policy, **body}


def output_schema(plan: Plan, name: str) -> SchemaDocument:
    """One row of an output, as JSON. Every column may be null, and there are no others."""
    output = find_output_plan(plan, name)
    said = column_meanings(plan, name)
    properties = {field.name: _arrow_schema(field.type) for field in output.schema}
    for column, meaning in said.items():
        place = _schema_at_path(properties, column)
        if place is not None:
            place |= {"description": meaning.text, "x-minimize": meaning.facts}
    title = f"{plan.policy.policy} {name}"
    own = {"category": output.category, "policy": plan.policy.policy, "version": plan.policy.version}
    body = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"$schema": JSON_SCHEMA_DIALECT, "title": title, **body, "x-minimize": own}


def _object_schema(branch: FieldTree) -> SchemaDocument:
    """An object with these fields."""
    required = [name for name, below in branch.named.items() if _is_required(below)]
    body: SchemaDocument = {
        "type": "object",
        "properties": {name: _branch_schema(below) for name, below in branch.named.items()},
    }
    return body | ({"required": required} if required else {})


def _is_required(branch: FieldTree) -> bool:
    return branch.field.required if branch.field else any(map(_is_required, branch.named.values()))


def _branch_schema(branch: FieldTree) -> SchemaDocument:
    if branch.field is not None:
        values = {} if branch.items is None else {"additionalProperties": _branch_schema(branch.items)}
        return _field_schema(branch.field) | (values if branch.field.type == "map" else {})
    body = _object_schema(branch) if branch.items is None else {"type": "array", "items": _branch_schema(branch.items)}
    return body if _is_required(branch) else {**body, "type": [body["type"], "null"]}


def _field_schema(field: Field) -> SchemaDocument:
    decimal = field.type.startswith("decimal")
    body: SchemaDocument = {"type": "number"} if decimal else dict(_WORDS[field.type])
    own: SchemaDocument = {"role": field.role} if field.role != "plain" else {}
    own |= ({"unit": field.unit} if field.unit else {}) | ({"type": field.type} if decimal else {})
    if not field.required:
        body["type"] = [body["type"], "null"]
    return body | ({"description": field.about} if field.about else {}) | ({"x-minimize": own} if own else {})


def _arrow_schema(type_: pa.DataType) -> SchemaDocument:
    """A column's type; each may be null."""
    if pa.types.is_dictionary(type_):
        return _arrow_schema(type_.value_type)
    body = _nested_schema(type_) or next((body for test, body in _SCALARS if test(type_)), {"type": "string"})
    return {**body, "type": [body["type"], "null"]}


def _nested_schema(type_: pa.DataType) -> SchemaDocument | None:
    if pa.types.is_struct(type_):
        names = {type_.field(at).name: _arrow_schema(type_.field(at).type) for at in range(type_.num_fields)}
        return {"type": "object", "properties": names, "additionalProperties": False}
    if pa.types.is_map(type_):
        return {"type": "object", "additionalProperties": _arrow_schema(type_.item_type)}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return {"type": "array", "items": _arrow_schema(type_.value_type)}
    return None


_SCALARS: Final = (
    (pa.types.is_boolean, _WORDS["boolean"]),
    (pa.types.is_integer, _WORDS["integer"]),
    (pa.types.is_floating, _WORDS["double"]),
    (pa.types.is_decimal, {"type": "number"}),
    (pa.types.is_timestamp, _WORDS["timestamp"]),
    (pa.types.is_date, _WORDS["date"]),
    (pa.types.is_binary, _WORDS["binary"]),
    (pa.types.is_large_binary, _WORDS["binary"]),
)


def _schema_at_path(properties: SchemaDocument, column: tuple[str, ...]) -> SchemaDocument | None:
    """The schema of a column by its path, through lists and maps."""
    place: SchemaDocument | None = {"properties": properties}
    for part in column:
        place = None if place is None else _child_schema(place, part)
    return place


def _child_schema(place: SchemaDocument, part: str) -> SchemaDocument | None:
    if part == "*":
        return place.get("items") or place.get("additionalProperties")
    found: SchemaDocument | None = place.get("properties", {}).get(part)
    return found
