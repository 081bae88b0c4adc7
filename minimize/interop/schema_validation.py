"""Validate NDJSON records against a JSON Schema (jsonschema-rs): how many are invalid, and by which keyword. Never a value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError, SourceError, redact_errors
from minimize.interop.documents import read_document
from minimize.interop.json_schema_import import dialect_of_schema
from minimize.sources.file_discovery import SourceFiles, find_files
from minimize.sources.files import FilePart, line_blocks, nonblank_lines, open_stream
from minimize.sources.schema_inference import format_by_name
from minimize.stores import absolute_location, location_text, parse_location

MALFORMED: Final = ("", "malformed")
_ELEMENTS: Final = frozenset({"items", "prefixItems", "additionalItems", "additionalProperties", "patternProperties"})


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """One keyword of the schema that records do not obey: where it stands, by the schema's own names, and how many."""

    place: str
    keyword: str
    records: int


@dataclass(frozen=True, slots=True)
class SchemaValidation:
    """How records stand against a schema."""

    draft: str
    records: int
    valid: int
    broken: tuple[SchemaViolation, ...]


@redact_errors
def validate_records(data: str | PathLike[str], schema: str | PathLike[str]) -> SchemaValidation:
    """Holds every record against the schema.

    Takes NDJSON (a file, a folder, a pattern or the URI of an object store) and the file of a schema, draft 4 to 2020-12.
    Nothing that it refers to is fetched. Raises ConfigurationError where the schema is none, or jsonschema-rs is missing.
    """
    document = read_document(Path(schema))
    draft = dialect_of_schema(document).name
    validator = _validator(document)
    records, valid, broken = 0, 0, Counter[tuple[str, str]]()
    for record in _records(data):
        records += 1
        found = _violations(validator, record)
        valid += not found
        broken.update(found)
    ordered = sorted(broken.items(), key=lambda each: (-each[1], each[0]))
    return SchemaValidation(draft, records, valid, tuple(SchemaViolation(*what, count) for what, count in ordered))


def _violations(validator: Any, line: bytes) -> set[tuple[str, str]]:
    """What of the schema one record does not obey."""
    parsed: Any = None
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return {MALFORMED}
    return {_violation_place(error.evaluation_path) for error in validator.iter_errors(parsed)}


def _violation_place(path: Sequence[str | int]) -> tuple[str, str]:
    """Where in the records, and which keyword; names are the schema's, never the data's.

    >>> _violation_place(["properties", "apps", "items", "properties", "name", "type"])
    ('/apps/*/name', 'type')
    """
    place, keyword, rest = "", "", list(map(str, path))
    while rest:
        keyword = rest.pop(0)
        if keyword == "properties" and rest:
            place, keyword = f"{place}/{rest.pop(0)}", "false"
        elif keyword in _ELEMENTS and rest:
            place += "/*"
    return place, keyword


def _records(data: str | PathLike[str]) -> Iterator[bytes]:
    found = _find_files(data)
    files = [path for group in found.files.values() for path in group if format_by_name(path) == "ndjson"]
    if not files:
        raise SourceError("nothing to check was found", hint="NDJSON alone is held against a JSON Schema")
    for part in (FilePart(path, found.root) for path in files):
        with open_stream(part.path, part.name) as stream:
            yield from (line for block in line_blocks(stream) for _, line in nonblank_lines(block) if line.strip())


def _find_files(data: str | PathLike[str]) -> SourceFiles:
    return find_files(location_text(absolute_location(parse_location(data))), Path.cwd())


def _validator(document: Any) -> Any:
    """The schema, compiled. Raises ConfigurationError."""
    package: Any = None
    with suppress(ImportError):
        import jsonschema_rs as package
    if package is None:
        raise ConfigurationError("checking needs jsonschema-rs", hint="pip install 'minimize[exchange]'")
    compiled: Any = None
    with suppress(ValueError, package.ValidationError, package.ReferencingError):
        compiled = package.validator_for(document, retriever=_refuse_retrieval)
    if compiled is None:
        hint = "it must be valid by its own draft, and hold all that it refers to: nothing is fetched"
        raise ConfigurationError("this is no JSON Schema that can be checked by", hint=hint)
    return compiled


def _refuse_retrieval(uri: str) -> Mapping[str, Any]:
    raise ValueError("nothing is fetched")
