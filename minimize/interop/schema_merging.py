"""Merges the JSON Schemas of one node: dialects by draft, references, `allOf` and branches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from minimize.errors import ConfigurationError
from minimize.interop.documents import as_list, as_mapping, as_text


@dataclass(frozen=True, slots=True)
class SchemaDialect:
    """Features of one draft."""

    name: str
    uri: str
    id: str = "$id"
    """The keyword that names a schema."""
    alone: bool = False
    """Whether keywords next to a `$ref` are ignored."""
    anchors: bool = True
    """Whether `$anchor` names a subschema; in earlier drafts, an `$id` with only a fragment does."""
    booleans: bool = True
    """Whether `true` and `false` are schemas."""
    prefix: str = "items"
    """The keyword for the items of a tuple."""
    const: bool = True
    """Whether `const` exists."""
    content: bool = True
    """Whether `contentEncoding` describes the content of a text."""
    branches: bool = True
    """Whether `if`, `then` and `else` exist."""


_OLD: Final = "http://json-schema.org/draft-0{}/schema"
_NEW: Final = "https://json-schema.org/draft/{}/schema"
SCHEMA_DIALECTS: Final = (
    SchemaDialect("2020-12", _NEW.format("2020-12"), prefix="prefixItems"),
    SchemaDialect("2019-09", _NEW.format("2019-09")),
    SchemaDialect("draft-07", _OLD.format(7), alone=True, anchors=False),
    SchemaDialect("draft-06", _OLD.format(6), alone=True, anchors=False, content=False, branches=False),
    SchemaDialect(
        "draft-04",
        _OLD.format(4),
        id="id",
        alone=True,
        anchors=False,
        booleans=False,
        const=False,
        content=False,
        branches=False,
    ),
)
"""Newest first. A schema without a draft is read as the newest."""


def dialect_of_schema(schema: Any) -> SchemaDialect:
    """The draft that a schema names. Raises ConfigurationError for an unknown one.

    >>> dialect_of_schema({"$schema": "http://json-schema.org/draft-07/schema#"}).name
    'draft-07'
    """
    stated = schema.get("$schema") if isinstance(schema, dict) else None
    if stated is None:
        return SCHEMA_DIALECTS[0]
    plain = str(stated).removesuffix("#").replace("https://", "http://")
    dialect = next((each for each in SCHEMA_DIALECTS if each.uri.replace("https://", "http://") == plain), None)
    if dialect is None:
        known = ", ".join(each.uri for each in SCHEMA_DIALECTS)
        raise ConfigurationError("`$schema` names an unknown draft of JSON Schema", hint=f"Use one of {known}.")
    return dialect


_DATA_KEYWORDS: Final = frozenset({"enum", "const", "default", "examples", "example"})
"""Keywords whose values are never schemas."""


@dataclass(frozen=True, slots=True)
class SchemaReferences:
    """Subschemas of one document that a reference can name."""

    dialect: SchemaDialect
    root: Any
    bases: Mapping[int, str] = field(default_factory=dict)
    """The base URI of each mapping of the document, by its identity."""
    names: Mapping[str, Any] = field(default_factory=dict)
    """Schemas by URI, and by URI with an anchor."""

    @classmethod
    def from_document(cls, root: Any, dialect: SchemaDialect) -> SchemaReferences:
        """Index the subschemas of a document."""
        bases: dict[int, str] = {}
        names: dict[str, Any] = {"": root}
        for base, node in _mappings_with_base(root, "", dialect):
            bases[id(node)] = base
            for name in _names_of_schema(node, base, dialect):
                names.setdefault(name, node)
        return cls(dialect, root, bases, names)

    def resolve(self, ref: str, at: Mapping[str, Any]) -> Any:
        """The target of a reference in a schema. Raises ConfigurationError if it is not in the file."""
        uri, fragment = _join_uri(self.bases.get(id(at), ""), ref)
        whole = self.names.get(uri)
        if whole is None and uri.rstrip("#") == "":
            whole = self.root
        target = None
        if whole is not None:
            named = self.names.get(f"{uri}#{fragment}") if fragment and not fragment.startswith("/") else None
            target = named if named is not None else _resolve_pointer(whole, unquote(fragment))
        if target is None:
            hint = "Copy the definitions into the file: other files and addresses are not read."
            raise ConfigurationError("the target of a `$ref` is not in the file", hint=hint)
        return target


def _join_uri(base: str, ref: str) -> tuple[str, str]:
    """A URI reference resolved against its base, and its fragment. A text that is not a URI is used as a name."""
    try:
        uri, fragment = urldefrag(urljoin(base, ref))
    except ValueError:
        uri, fragment = ref, ""
    return uri, fragment


def _mappings_with_base(node: Any, base: str, dialect: SchemaDialect) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping of the document with its base URI. Uses its own stack, because the document sets the depth."""
    waiting: list[tuple[Any, str]] = [(node, base)]
    while waiting:
        current, above = waiting.pop()
        if isinstance(current, dict):
            identifier = current.get(dialect.id)
            base_uri = (
                _join_uri(above, identifier)[0]
                if isinstance(identifier, str) and not identifier.startswith("#")
                else above
            )
            yield base_uri, current
            waiting.extend((below, base_uri) for key, below in current.items() if key not in _DATA_KEYWORDS)
        elif isinstance(current, list | tuple):
            waiting.extend((below, above) for below in current)


def _names_of_schema(node: Mapping[str, Any], base: str, dialect: SchemaDialect) -> Iterator[str]:
    identifier = node.get(dialect.id)
    if isinstance(identifier, str):
        yield base if not identifier.startswith("#") else f"{base}{identifier}"
    for keyword in ("$anchor", "$dynamicAnchor") if dialect.anchors else ():
        if isinstance(node.get(keyword), str):
            yield f"{base}#{node[keyword]}"


def _resolve_pointer(node: Any, pointer: str) -> Any:
    """The target of a JSON Pointer; None if it does not exist."""
    for part in pointer.split("/")[1:] if pointer.startswith("/") else ([] if not pointer else [None]):
        if part is None:
            return None
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list | tuple) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node


MOST_SCHEMAS: Final = 50_000
"""Maximum number of schemas read for one document, because references can be recursive."""
_ALTERNATIVES: Final = ("anyOf", "oneOf")
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
class SchemaPlace:
    """The merged schemas of one node."""

    types: set[str] = field(default_factory=set)
    """Type names of JSON Schema, without `null`."""
    nullable: bool = False
    below: dict[str, list[Any]] = field(default_factory=dict)
    """The schemas of each property; `None` for a forbidden one."""
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
    """The merged schemas, by identity."""
    core: set[int] = field(default_factory=set)
    """The identities of the schemas that describe child nodes; a descendant with the same ones is recursive."""


@dataclass(slots=True)
class SchemaMerger:
    """Merges the schemas of nodes. `visited` counts the schemas read."""

    references: SchemaReferences
    visited: int = 0

    @property
    def dialect(self) -> SchemaDialect:
        """The document's draft."""
        return self.references.dialect

    def place(self, schemas: list[Any]) -> SchemaPlace:
        """The merged content of schemas that describe one node."""
        place = SchemaPlace()
        for schema in schemas:
            self._take(schema, place, certain=True)
        if not place.types:
            place.types = set(_implied_types(place))
        return place

    def _take(self, schema: Any, place: SchemaPlace, *, certain: bool) -> None:
        self.visited += 1
        if self.visited > MOST_SCHEMAS:
            raise ConfigurationError("the schema is too large, or its references never end")
        if not isinstance(schema, dict) or id(schema) in place.through:
            return
        place.through.add(id(schema))
        ref = schema.get("$ref", schema.get("$dynamicRef"))
        if isinstance(ref, str):
            self._take(self.references.resolve(ref, schema), place, certain=certain)
            if self.dialect.alone:
                return
        self._own(schema, place, certain=certain)
        for part in as_list(schema.get("allOf")):
            self._take(part, place, certain=certain)
        for part in self._perhaps(schema):
            self._take(part, place, certain=False)

    def _perhaps(self, schema: dict[str, Any]) -> Iterator[Any]:
        """The alternatives of a schema, which may or may not apply."""
        for keyword in _ALTERNATIVES:
            yield from as_list(schema.get(keyword))
        if self.dialect.branches:
            yield from (schema[keyword] for keyword in _BRANCHES if keyword in schema)
            yield from as_mapping(schema.get("dependentSchemas")).values()

    def _own(self, schema: dict[str, Any], place: SchemaPlace, *, certain: bool) -> None:
        """Add the keywords of one schema. A property required only in an alternative is not required."""
        self._types(schema, place)
        self._merge_below(schema, place)
        if certain:
            place.required |= {name for name in as_list(schema.get("required")) if isinstance(name, str)}
        place.about = place.about or as_text(schema.get("description")) or as_text(schema.get("title"))
        place.formats |= {as_text(schema.get("format"))} - {""}
        place.patterns |= {as_text(schema.get("pattern"))} - {""}
        place.binary |= self.dialect.content and as_text(schema.get("contentEncoding")) == "base64"
        place.secret |= as_text(schema.get("format")) == "password"
        place.own = {**as_mapping(schema.get("x-minimize")), **place.own}

    def _types(self, schema: dict[str, Any], place: SchemaPlace) -> None:
        stated = schema.get("type")
        types = {stated} if isinstance(stated, str) else {each for each in as_list(stated) if isinstance(each, str)}
        values = as_list(schema.get("enum")) or ([schema["const"]] if self.dialect.const and "const" in schema else [])
        if not types:
            types = {"null" if value is None else _TYPES.get(type(value), "") for value in values} - {""}
        place.nullable |= "null" in types
        place.types |= types - {"null"}

    def _merge_below(self, schema: dict[str, Any], place: SchemaPlace) -> None:
        for name, below in as_mapping(schema.get("properties")).items():
            place.below.setdefault(name, []).append(below)
        more = schema.get("additionalProperties")
        patterns = as_mapping(schema.get("patternProperties"))
        place.is_map |= bool(patterns) or isinstance(more, dict)
        place.values += [*patterns.values(), *([more] if isinstance(more, dict) else [])]
        items = schema.get("items")
        tuples = as_list(schema.get(self.dialect.prefix))
        place.items += [*tuples, *([items] if isinstance(items, dict) else [])]
        if (
            tuples
            or isinstance(items, dict)
            or isinstance(more, dict)
            or patterns
            or as_mapping(schema.get("properties"))
        ):
            place.core.add(id(schema))


def _implied_types(place: SchemaPlace) -> Iterator[str]:
    """Types implied by keywords, if no type is stated."""
    if place.below or place.is_map:
        yield "object"
    if place.items:
        yield "array"
    if place.formats or place.binary:
        yield "string"
