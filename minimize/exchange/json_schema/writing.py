"""A JSON Schema (2020-12) of an output's rows, or of the records that a policy declares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from minimize.exchange.asking import SOURCE, output_of, plan_of, policy_of
from minimize.exchange.base import Asked
from minimize.exchange.meanings import meanings
from minimize.exchange.tree import Branch, tree_of
from minimize.plan import Plan
from minimize.policy.model import Field, Policy
from minimize.policy.schema import DIALECT

Schema = dict[str, Any]
_WORDS: Final[Mapping[str, Schema]] = {
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


def write(asked: Asked) -> str:
    """The schema's text. Raises ConfigurationError where there is no such output."""
    name = asked.name or "records"
    body = source_schema(policy_of(asked)) if name == SOURCE else output_schema(plan_of(asked), name)
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def source_schema(policy: Policy) -> Schema:
    """The records that a policy declares. What it does not name may be there; what must never arrive may not."""
    root = tree_of({field.pointer: field for field in policy.fields.values() if not field.from_})
    body = _object(root)
    for pointer in policy.never:
        name = pointer.top if pointer.is_flat else pointer.name_at_any_depth
        if name is not None:
            body["properties"].setdefault(name, False)
    return {"$schema": DIALECT, "title": policy.policy, **body}


def output_schema(plan: Plan, name: str) -> Schema:
    """One row of an output, as JSON. Every column may be null, and there are no others."""
    output = output_of(plan, name)
    said = meanings(plan, name)
    properties = {field.name: _of_arrow(field.type) for field in output.schema}
    for column, meaning in said.items():
        place = _at(properties, column)
        if place is not None:
            place |= {"description": meaning.text, "x-minimize": meaning.facts}
    title = f"{plan.policy.policy} {name}"
    own = {"category": output.category, "policy": plan.policy.policy, "version": plan.policy.version}
    body = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"$schema": DIALECT, "title": title, **body, "x-minimize": own}


def _object(branch: Branch) -> Schema:
    """An object with these fields."""
    required = [name for name, below in branch.named.items() if _is_required(below)]
    body: Schema = {"type": "object", "properties": {name: _of(below) for name, below in branch.named.items()}}
    return body | ({"required": required} if required else {})


def _is_required(branch: Branch) -> bool:
    return branch.field.required if branch.field else any(map(_is_required, branch.named.values()))


def _of(branch: Branch) -> Schema:
    if branch.field is not None:
        values = {} if branch.items is None else {"additionalProperties": _of(branch.items)}
        return _leaf(branch.field) | (values if branch.field.type == "map" else {})
    body = _object(branch) if branch.items is None else {"type": "array", "items": _of(branch.items)}
    return body if _is_required(branch) else {**body, "type": [body["type"], "null"]}


def _leaf(field: Field) -> Schema:
    decimal = field.type.startswith("decimal")
    body: Schema = {"type": "number"} if decimal else dict(_WORDS[field.type])
    own: Schema = {"role": field.role} if field.role != "plain" else {}
    own |= ({"unit": field.unit} if field.unit else {}) | ({"type": field.type} if decimal else {})
    if not field.required:
        body["type"] = [body["type"], "null"]
    return body | ({"description": field.about} if field.about else {}) | ({"x-minimize": own} if own else {})


def _of_arrow(type_: pa.DataType) -> Schema:
    """A column's type; each may be null."""
    if pa.types.is_dictionary(type_):
        return _of_arrow(type_.value_type)
    body = _nested(type_) or next((body for test, body in _SCALARS if test(type_)), {"type": "string"})
    return {**body, "type": [body["type"], "null"]}


def _nested(type_: pa.DataType) -> Schema | None:
    if pa.types.is_struct(type_):
        names = {type_.field(at).name: _of_arrow(type_.field(at).type) for at in range(type_.num_fields)}
        return {"type": "object", "properties": names, "additionalProperties": False}
    if pa.types.is_map(type_):
        return {"type": "object", "additionalProperties": _of_arrow(type_.item_type)}
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return {"type": "array", "items": _of_arrow(type_.value_type)}
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


def _at(properties: Schema, column: tuple[str, ...]) -> Schema | None:
    """The schema of a column by its path, through lists and maps."""
    place: Schema | None = {"properties": properties}
    for part in column:
        place = None if place is None else _below(place, part)
    return place


def _below(place: Schema, part: str) -> Schema | None:
    if part == "*":
        return place.get("items") or place.get("additionalProperties")
    found: Schema | None = place.get("properties", {}).get(part)
    return found
