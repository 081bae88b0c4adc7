"""The parts that JSON Schemas are put together from, and the words of techniques and measures out of their tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from minimize.aggregates import MEASURES
from minimize.policy.steps import main_parameter
from minimize.techniques import TECHNIQUES

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def text(about: str, pattern: str | None = None) -> Schema:
    """A string."""
    return {"type": "string", "description": about} | ({} if pattern is None else {"pattern": pattern})


def whole(about: str) -> Schema:
    """A whole number from 1."""
    return {"type": "integer", "minimum": 1, "maximum": 2**53 - 1, "description": about}


def one_of(words: Iterable[str], about: str = "") -> Schema:
    """One of some words."""
    return {"enum": list(words)} | ({"description": about} if about else {})


def any_of(*schemas: Schema) -> Schema:
    """What fits one of several schemas."""
    return {"anyOf": list(schemas)}


def list_of(items: Schema, about: str = "") -> Schema:
    """A list with at least one item."""
    return {"type": "array", "items": items, "minItems": 1} | ({"description": about} if about else {})


def mapping(about: str, properties: Mapping[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    """A mapping that has no other keys."""
    schema = {"type": "object", "description": about, "properties": dict(properties), "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def words_of_techniques() -> Schema:
    """A technique: its word alone, or with its parameters, or with the one value that it wants."""
    alone = [name for name, kind in TECHNIQUES.items() if not _required(kind)]
    return any_of(one_of(alone, "A technique."), *(_technique(name, kind) for name, kind in TECHNIQUES.items()))


def words_of_measures() -> Schema:
    """A measure: its word alone, or with the field that it is over, or with its parameters."""
    alone = [name for name, kind in MEASURES.items() if not _required(kind)]
    return any_of(one_of(alone, "A measure."), *(_measure(name, kind) for name, kind in MEASURES.items()))


def _technique(name: str, kind: type[BaseModel]) -> Schema:
    parameters = _parameters(kind)
    values = [parameters]
    main = main_parameter(kind)
    lone = {} if main is None else parameters["properties"][main]
    if main is not None and lone.get("type") not in ("object", "null"):
        values.append(lone)
    if not _required(kind):
        values.append({"type": "null"})
    return _worded(name, kind, values)


def _measure(name: str, kind: type[BaseModel]) -> Schema:
    values = [_parameters(kind)]
    if set(_required(kind)) <= {"of"}:
        values.append(text("The field that it is over."))
    if not _required(kind):
        values.append({"type": "null"})
    return _worded(name, kind, values)


def _worded(name: str, kind: type[BaseModel], values: list[Schema]) -> Schema:
    schema = mapping(str(getattr(kind, "about", "")), {name: any_of(*values)}, required=(name,))
    return schema | {"title": name}


def _required(kind: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in kind.model_fields.items() if info.is_required()]


class _Plain(GenerateJsonSchema):
    """Schemas without invented titles."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _parameters(kind: type[BaseModel]) -> Schema:
    schema = kind.model_json_schema(by_alias=True, schema_generator=_Plain)
    inlined: Schema = _inlined(schema, schema.pop("$defs", {}))
    return {"properties": {}, **{key: value for key, value in inlined.items() if key not in ("title", "description")}}


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with its references written out, since it moves into another document."""
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    name = str(part.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions:
        return _inlined(definitions[name], definitions)
    return {key: _inlined(value, definitions) for key, value in part.items()}
