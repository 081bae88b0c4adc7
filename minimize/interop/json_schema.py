"""JSON Schema: import (draft 4 to 2020-12), export (2020-12), and validation of NDJSON records.

Validation reports counts and keywords, never a value.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

import pyarrow as pa

from minimize.arrow.pointers import MAX_PARTS, STAR, Pointer, PointerPart
from minimize.errors import ConfigurationError, SourceError, redact_errors
from minimize.forms import JSON_SCHEMA_DIALECT
from minimize.interop.documents import (
    SOURCE_NAME,
    DescribedColumn,
    DescribedDataset,
    ExportRequest,
    as_text,
    find_output_plan,
    kind_by_format,
    read_document,
    requested_plan,
    requested_policy,
)
from minimize.interop.schema_merging import SchemaMerger, SchemaPlace, SchemaReferences, dialect_of_schema
from minimize.plan import Plan
from minimize.plan.columns import FieldTree, column_meanings, field_tree
from minimize.policy.model import Field, Policy, Role
from minimize.results import JsonResult, Line
from minimize.sources import FORMATS, format_by_name
from minimize.sources.file_discovery import SourceFiles, find_files
from minimize.sources.files import FilePart, line_blocks, nonblank_lines, open_stream
from minimize.sources.ndjson import NDJSON
from minimize.stores import PathText, absolute_location, location_text, parse_location
from minimize.text import json_text

Parts = tuple[PointerPart, ...]
_TYPE_WORDS: Final = {"integer": "integer", "boolean": "boolean", "object": "map", "array": "list"}


def read_json_schema(document: Any, choice: str | None = None) -> DescribedDataset:
    """The records that a schema describes. Raises ConfigurationError if it describes none."""
    if choice is not None:
        raise ConfigurationError("a JSON Schema describes only one object", hint="Leave out --object.")
    dialect = dialect_of_schema(document)
    walk = _FieldCollector(SchemaMerger(SchemaReferences.from_document(document, dialect)))
    place = walk.gatherer.place([document])
    if "array" in place.types and place.items:
        place = walk.gatherer.place(place.items)
    walk.properties(place, (), certain=True, circle=(frozenset(place.core),))
    if not walk.columns:
        raise ConfigurationError("the schema describes no fields", hint="Add `properties` to the schema.")
    title = as_text(document.get("title")) or as_text(document.get(dialect.id)).rstrip("/").rpartition("/")[2]
    remarks = tuple(text for text in (as_text(document.get("description")),) if text)
    return DescribedDataset(
        title or "imported", tuple(walk.columns), remarks=remarks, never=tuple(walk.never), left_out=walk.left_out
    )


@dataclass(slots=True)
class _FieldCollector:
    """Collects the fields of a schema, from the record down to the leaves."""

    gatherer: SchemaMerger
    columns: list[DescribedColumn] = field(default_factory=list)
    never: list[Pointer] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def properties(
        self, place: SchemaPlace, parts: Parts, *, certain: bool, circle: tuple[frozenset[int], ...]
    ) -> None:
        """The fields of an object."""
        for name, schemas in place.below.items():
            child_parts = (*parts, name)
            if not _can_be_named(child_parts):
                self.left_out["/".join(map(str, child_parts))[:100]] = "a field cannot have this name"
            elif self.gatherer.dialect.booleans and any(schema is False for schema in schemas):
                self.never.append(Pointer(child_parts))
            else:
                below = self.gatherer.place(schemas)
                self.take(
                    below, child_parts, certain=certain and name in place.required and not below.nullable, circle=circle
                )

    def take(self, place: SchemaPlace, parts: Parts, *, certain: bool, circle: tuple[frozenset[int], ...]) -> None:
        """One node: a leaf, or its children."""
        if place.core and place.core in circle:
            self.left_out[str(Pointer(parts))] = "it contains itself"
        elif len(place.types) > 1 and place.types != {"integer", "number"}:
            self.left_out[str(Pointer(parts))] = "it can have several types"
        elif "object" in place.types and place.below:
            self.properties(place, parts, certain=certain, circle=(*circle, frozenset(place.core)))
        elif "array" in place.types and place.items and len(parts) < MAX_PARTS:
            below = self.gatherer.place(place.items)
            self.take(below, (*parts, STAR), certain=False, circle=(*circle, frozenset(place.core)))
        else:
            self.leaf(place, parts, certain=certain)
            if "object" in place.types and len(parts) < MAX_PARTS:
                self.values(place, (*parts, STAR), circle=(*circle, frozenset(place.core)))

    def values(self, place: SchemaPlace, parts: Parts, *, circle: tuple[frozenset[int], ...]) -> None:
        """The values of a map: the fields of objects. Other values belong to the map itself."""
        below = self.gatherer.place(place.values)
        if below.types == {"object"} and below.below:
            self.take(below, parts, certain=False, circle=circle)

    def leaf(self, place: SchemaPlace, parts: Parts, *, certain: bool) -> None:
        """A field, if a policy has a name for its type."""
        pointer, word = Pointer(parts), _policy_type(place)
        if word is None:
            self.left_out[str(pointer)] = "it can have any type"
            return
        kind, why = kind_by_format(place.formats, place.patterns)
        role, unit = _stated_role(place), as_text(place.own.get("unit"))
        self.columns.append(
            DescribedColumn(
                pointer=pointer,
                type=word,
                role=role,
                about=place.about,
                unit=unit,
                required=certain,
                kind=kind,
                reason=why,
                is_nullable=place.nullable and not certain,
            )
        )


def _policy_type(place: SchemaPlace) -> str | None:
    """The policy's name for the type. Nodes with several types are excluded before."""
    stated = as_text(place.own.get("type"))
    if "number" in place.types:
        return stated if stated.startswith("decimal(") else "double"
    return _text_type(place) if "string" in place.types else _TYPE_WORDS.get(next(iter(place.types), ""))


def _text_type(place: SchemaPlace) -> str:
    if place.binary:
        return "binary"
    if "date-time" in place.formats:
        return "timestamp"
    return "date" if "date" in place.formats else "string"


def _stated_role(place: SchemaPlace) -> Role | None:
    if place.secret:
        return "secret"
    return next((role for role in get_args(Role) if role == place.own.get("role")), None)


def _can_be_named(parts: Parts) -> bool:
    return bool(parts[0]) and len(parts) <= MAX_PARTS


SchemaDocument = dict[str, Any]
_SCHEMA_BY_TYPE: Final[Mapping[str, SchemaDocument]] = {
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
    """The schema's text. Raises ConfigurationError if the output does not exist."""
    name = request.name or "records"
    body = (
        source_schema(requested_policy(request))
        if name == SOURCE_NAME
        else output_schema(requested_plan(request), name)
    )
    return json_text(body)


def source_schema(policy: Policy) -> SchemaDocument:
    """The schema of a policy's records. Undeclared fields are allowed, forbidden paths are not."""
    root = field_tree({field.pointer: field for field in policy.fields.values() if not field.from_})
    body = _object_schema(root)
    for pointer in policy.never:
        name = pointer.top if pointer.is_flat else pointer.name_at_any_depth
        if name is not None:
            body["properties"].setdefault(name, False)
    return {"$schema": JSON_SCHEMA_DIALECT, "title": policy.policy, **body}


def output_schema(plan: Plan, name: str) -> SchemaDocument:
    """The schema of one row of an output. Every column can be null, and no other column is allowed."""
    output = find_output_plan(plan, name)
    meanings = column_meanings(plan, name)
    properties = {field.name: _arrow_schema(field.type) for field in output.schema}
    for column, meaning in meanings.items():
        place = _schema_at_path(properties, column)
        if place is not None:
            place |= {"description": meaning.text, "x-minimize": meaning.facts}
    title = f"{plan.policy.policy} {name}"
    extension = {"category": output.category, "policy": plan.policy.policy, "version": plan.policy.version}
    body = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"$schema": JSON_SCHEMA_DIALECT, "title": title, **body, "x-minimize": extension}


def _object_schema(branch: FieldTree) -> SchemaDocument:
    """An object with these fields."""
    required = [name for name, below in branch.named.items() if below.is_required]
    body: SchemaDocument = {
        "type": "object",
        "properties": {name: _branch_schema(below) for name, below in branch.named.items()},
    }
    return body | ({"required": required} if required else {})


def _branch_schema(branch: FieldTree) -> SchemaDocument:
    if branch.field is not None:
        values = {} if branch.items is None else {"additionalProperties": _branch_schema(branch.items)}
        return _field_schema(branch.field) | (values if branch.field.type == "map" else {})
    body = _object_schema(branch) if branch.items is None else {"type": "array", "items": _branch_schema(branch.items)}
    return body if branch.is_required else {**body, "type": [body["type"], "null"]}


def _field_schema(field: Field) -> SchemaDocument:
    decimal = field.type.startswith("decimal")
    body: SchemaDocument = {"type": "number"} if decimal else dict(_SCHEMA_BY_TYPE[field.type])
    extension: SchemaDocument = {"role": field.role} if field.role != "plain" else {}
    extension |= ({"unit": field.unit} if field.unit else {}) | ({"type": field.type} if decimal else {})
    if not field.required:
        body["type"] = [body["type"], "null"]
    return (
        body | ({"description": field.about} if field.about else {}) | ({"x-minimize": extension} if extension else {})
    )


def _arrow_schema(type_: pa.DataType) -> SchemaDocument:
    """The schema of a column's type, which can be null."""
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
    (pa.types.is_boolean, _SCHEMA_BY_TYPE["boolean"]),
    (pa.types.is_integer, _SCHEMA_BY_TYPE["integer"]),
    (pa.types.is_floating, _SCHEMA_BY_TYPE["double"]),
    (pa.types.is_decimal, {"type": "number"}),
    (pa.types.is_timestamp, _SCHEMA_BY_TYPE["timestamp"]),
    (pa.types.is_date, _SCHEMA_BY_TYPE["date"]),
    (pa.types.is_binary, _SCHEMA_BY_TYPE["binary"]),
    (pa.types.is_large_binary, _SCHEMA_BY_TYPE["binary"]),
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
    child: SchemaDocument | None = place.get("properties", {}).get(part)
    return child


MALFORMED: Final = ("", "malformed")
_ELEMENTS: Final = frozenset({"items", "prefixItems", "additionalItems", "additionalProperties", "patternProperties"})


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """One violated keyword of the schema: its path, in names of the schema, and the number of records."""

    place: str
    keyword: str
    records: int


@dataclass(frozen=True, slots=True)
class SchemaValidation(JsonResult):
    """Result of the validation of records by a schema."""

    draft: str
    records: int
    valid: int
    broken: tuple[SchemaViolation, ...]

    @property
    def exit_code(self) -> int:
        """1 if a record is invalid."""
        return int(self.valid < self.records)

    def lines(self) -> Iterator[Line]:
        """The numbers of records, then each violated keyword with its number of records."""
        yield f"{self.records:,} records against {self.draft}: {self.records - self.valid:,} invalid"
        for violation in self.broken:
            yield f"{violation.records:>9,}  {violation.keyword}  {violation.place}".rstrip()


@redact_errors
def validate_records(data: PathText, schema: PathText) -> SchemaValidation:
    """Validate every record by a schema.

    Takes NDJSON (a file, a folder, a pattern or the URI of an object store) and the file of a schema, draft 4 to 2020-12.
    References to other files are not fetched. Raises ConfigurationError if the schema is invalid or jsonschema-rs is missing.
    """
    document = read_document(Path(schema))
    draft = dialect_of_schema(document).name
    validator = _compile_validator(document)
    records, valid, broken = 0, 0, Counter[tuple[str, str]]()
    for record in _ndjson_records(data):
        records += 1
        violations = _violations(validator, record)
        valid += not violations
        broken.update(violations)
    ordered = sorted(broken.items(), key=lambda entry: (-entry[1], entry[0]))
    return SchemaValidation(draft, records, valid, tuple(SchemaViolation(*what, count) for what, count in ordered))


def _violations(validator: Any, line: bytes) -> set[tuple[str, str]]:
    """The keywords of the schema that one record violates."""
    parsed: Any = None
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return {MALFORMED}
    return {_violation_place(error.evaluation_path) for error in validator.iter_errors(parsed)}


def _violation_place(path: Sequence[str | int]) -> tuple[str, str]:
    """Path and keyword of a violation. Names are those of the schema, never of the data.

    >>> _violation_place(["properties", "apps", "items", "properties", "name", "type"])
    ('/apps/*/name', 'type')
    """
    place, keyword, remaining = "", "", list(map(str, path))
    while remaining:
        keyword = remaining.pop(0)
        if keyword == "properties" and remaining:
            place, keyword = f"{place}/{remaining.pop(0)}", "false"
        elif keyword in _ELEMENTS and remaining:
            place += "/*"
    return place, keyword


def _ndjson_records(data: PathText) -> Iterator[bytes]:
    source_files = _find_files(data)
    files = [
        path for group in source_files.files.values() for path in group if FORMATS.get(format_by_name(path)) is NDJSON
    ]
    if not files:
        raise SourceError(
            "no NDJSON file was found", hint="Pass NDJSON: no other format is validated by a JSON Schema."
        )
    for part in (FilePart(path, source_files.root) for path in files):
        with open_stream(part) as stream:
            yield from (line for block in line_blocks(stream) for _, line in nonblank_lines(block) if line.strip())


def _find_files(data: PathText) -> SourceFiles:
    return find_files(location_text(absolute_location(parse_location(data))), Path.cwd())


def _compile_validator(document: Any) -> Any:
    """The schema, compiled. Raises ConfigurationError."""
    package: Any = None
    with suppress(ImportError):
        import jsonschema_rs as package
    if package is None:
        raise ConfigurationError("validation needs jsonschema-rs", hint="Install minimize with its extra `exchange`.")
    compiled: Any = None
    with suppress(ValueError, package.ValidationError, package.ReferencingError):
        compiled = package.validator_for(document, retriever=_refuse_retrieval)
    if compiled is None:
        hint = "Make it valid in its draft, and include everything it refers to: references are not fetched."
        raise ConfigurationError("the file is not a usable JSON Schema", hint=hint)
    return compiled


def _refuse_retrieval(uri: str) -> Mapping[str, Any]:
    raise ValueError("references are not fetched")
