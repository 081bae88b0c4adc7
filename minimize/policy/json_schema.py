"""Building blocks of JSON Schemas (2020-12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

JsonSchema = dict[str, Any]


def schema_ref(name: str) -> JsonSchema:
    """A reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def string_schema(about: str, pattern: str | None = None) -> JsonSchema:
    """A string."""
    return {"type": "string", "description": about} | ({} if pattern is None else {"pattern": pattern})


def positive_integer_schema(about: str) -> JsonSchema:
    """A whole number from 1."""
    return {"type": "integer", "minimum": 1, "maximum": 2**53 - 1, "description": about}


def enum_schema(words: Iterable[str], about: str = "") -> JsonSchema:
    """One of some words."""
    return {"enum": list(words)} | ({"description": about} if about else {})


def any_of_schema(*schemas: JsonSchema) -> JsonSchema:
    """A value that matches one of several schemas."""
    return {"anyOf": list(schemas)}


def list_schema(items: JsonSchema, about: str = "") -> JsonSchema:
    """A list with at least one item."""
    return {"type": "array", "items": items, "minItems": 1} | ({"description": about} if about else {})


def mapping_schema(about: str, properties: Mapping[str, JsonSchema], required: tuple[str, ...] = ()) -> JsonSchema:
    """A mapping that has no other keys."""
    schema = {"type": "object", "description": about, "properties": dict(properties), "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
