"""One place of a schema, with all that counts there put together: references, `allOf`, alternatives, branches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from minimize.errors import ConfigurationError
from minimize.exchange.documents import listed, mapping, text
from minimize.exchange.json_schema.dialects import Dialect
from minimize.exchange.json_schema.references import References

MOST: Final = 50_000
"""Schemas that are looked at for one document: what refers to itself over and over ends here."""
_SOME: Final = ("anyOf", "oneOf")
_BRANCHES: Final = ("if", "then", "else")
_TYPES: Final = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "object",
}


@dataclass(slots=True)
class Place:
    """What may stand at one place.

    types     JSON Schema's words, `null` left out
    below     the schemas of each property; `None` for one that must not be there
    through   the schemas that were put together here, by identity
    core      those of them that say what is below: a place further down with the same ones goes in a circle
    """

    types: set[str] = field(default_factory=set)
    nullable: bool = False
    below: dict[str, list[Any]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    items: list[Any] = field(default_factory=list)
    is_map: bool = False
    values: list[Any] = field(default_factory=list)
    formats: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    about: str = ""
    binary: bool = False
    secret: bool = False
    own: dict[str, Any] = field(default_factory=dict)
    through: set[int] = field(default_factory=set)
    core: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Gatherer:
    """Puts places together; `seen` counts the schemas that were looked at."""

    references: References
    seen: int = 0

    @property
    def dialect(self) -> Dialect:
        """The document's draft."""
        return self.references.dialect

    def place(self, schemas: list[Any]) -> Place:
        """What these schemas, which all are about one place, say together."""
        place = Place()
        for schema in schemas:
            self._take(schema, place, sure=True)
        if not place.types:
            place.types = set(_guessed(place))
        return place

    def _take(self, schema: Any, place: Place, *, sure: bool) -> None:
        self.seen += 1
        if self.seen > MOST:
            raise ConfigurationError("the schema is too large, or refers to itself without end")
        if not isinstance(schema, dict) or id(schema) in place.through:
            return
        place.through.add(id(schema))
        ref = schema.get("$ref", schema.get("$dynamicRef"))
        if isinstance(ref, str):
            self._take(self.references.resolved(ref, schema), place, sure=sure)
            if self.dialect.alone:
                return
        self._own(schema, place, sure=sure)
        for part in listed(schema.get("allOf")):
            self._take(part, place, sure=sure)
        for part in self._perhaps(schema):
            self._take(part, place, sure=False)

    def _perhaps(self, schema: dict[str, Any]) -> Iterator[Any]:
        """What may count, or may not."""
        for keyword in _SOME:
            yield from listed(schema.get(keyword))
        if self.dialect.branches:
            yield from (schema[keyword] for keyword in _BRANCHES if keyword in schema)
            yield from mapping(schema.get("dependentSchemas")).values()

    def _own(self, schema: dict[str, Any], place: Place, *, sure: bool) -> None:
        """What the keywords of one schema say. What is required in an alternative alone is not."""
        self._types(schema, place)
        self._below(schema, place)
        if sure:
            place.required |= {name for name in listed(schema.get("required")) if isinstance(name, str)}
        place.about = place.about or text(schema.get("description")) or text(schema.get("title"))
        place.formats |= {text(schema.get("format"))} - {""}
        place.patterns |= {text(schema.get("pattern"))} - {""}
        place.binary |= self.dialect.content and text(schema.get("contentEncoding")) == "base64"
        place.secret |= text(schema.get("format")) == "password"
        place.own = {**mapping(schema.get("x-minimize")), **place.own}

    def _types(self, schema: dict[str, Any], place: Place) -> None:
        said = schema.get("type")
        types = {said} if isinstance(said, str) else {each for each in listed(said) if isinstance(each, str)}
        values = listed(schema.get("enum")) or ([schema["const"]] if self.dialect.const and "const" in schema else [])
        if not types:
            types = {"null" if value is None else _TYPES.get(type(value), "") for value in values} - {""}
        place.nullable |= "null" in types
        place.types |= types - {"null"}

    def _below(self, schema: dict[str, Any], place: Place) -> None:
        for name, below in mapping(schema.get("properties")).items():
            place.below.setdefault(name, []).append(below)
        more = schema.get("additionalProperties")
        patterns = mapping(schema.get("patternProperties"))
        place.is_map |= bool(patterns) or isinstance(more, dict)
        place.values += [*patterns.values(), *([more] if isinstance(more, dict) else [])]
        items = schema.get("items")
        tuples = listed(schema.get(self.dialect.prefix))
        place.items += [*tuples, *([items] if isinstance(items, dict) else [])]
        if tuples or isinstance(items, dict) or isinstance(more, dict) or patterns or mapping(schema.get("properties")):
            place.core.add(id(schema))


def _guessed(place: Place) -> Iterator[str]:
    """Types that keywords tell, where none is said."""
    if place.below or place.is_map:
        yield "object"
    if place.items:
        yield "array"
    if place.formats or place.binary:
        yield "string"
