"""Records of NDJSON held against a JSON Schema, by jsonschema-rs: how many do not obey, and what of the schema. Never a value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError, SourceError, without_values
from minimize.exchange.documents import document_of
from minimize.exchange.json_schema.dialects import dialect_of
from minimize.io.discover import format_of
from minimize.io.find import Found, find
from minimize.io.lines import blocks, lines, opened
from minimize.io.part import FilePart
from minimize.stores import absolute, where, written

MALFORMED: Final = ("", "malformed")
_ELEMENTS: Final = frozenset({"items", "prefixItems", "additionalItems", "additionalProperties", "patternProperties"})


@dataclass(frozen=True, slots=True)
class Broken:
    """One keyword of the schema that records do not obey: where it stands, by the schema's own names, and how many."""

    place: str
    keyword: str
    records: int


@dataclass(frozen=True, slots=True)
class Checked:
    """How records stand against a schema."""

    draft: str
    records: int
    valid: int
    broken: tuple[Broken, ...]


@without_values
def check(data: str | PathLike[str], schema: str | PathLike[str]) -> Checked:
    """Holds every record against the schema.

    Takes NDJSON (a file, a folder, a pattern or the URI of an object store) and the file of a schema, draft 4 to 2020-12.
    Nothing that it refers to is fetched. Raises ConfigurationError where the schema is none, or jsonschema-rs is missing.
    """
    document = document_of(Path(schema))
    draft = dialect_of(document).name
    validator = _validator(document)
    records, valid, broken = 0, 0, Counter[tuple[str, str]]()
    for record in _records(data):
        records += 1
        found = _faults(validator, record)
        valid += not found
        broken.update(found)
    ordered = sorted(broken.items(), key=lambda each: (-each[1], each[0]))
    return Checked(draft, records, valid, tuple(Broken(*what, count) for what, count in ordered))


def _faults(validator: Any, line: bytes) -> set[tuple[str, str]]:
    """What of the schema one record does not obey."""
    parsed: Any = None
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return {MALFORMED}
    return {_told(error.evaluation_path) for error in validator.iter_errors(parsed)}


def _told(path: Sequence[str | int]) -> tuple[str, str]:
    """Where in the records, and which keyword; names are the schema's, never the data's.

    >>> _told(["properties", "apps", "items", "properties", "name", "type"])
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
    found = _found(data)
    files = [path for group in found.files.values() for path in group if format_of(path) == "ndjson"]
    if not files:
        raise SourceError("nothing to check was found", hint="NDJSON alone is held against a JSON Schema")
    for part in (FilePart(path, found.root) for path in files):
        with opened(part.path, part.name) as stream:
            yield from (line for block in blocks(stream) for _, line in lines(block) if line.strip())


def _found(data: str | PathLike[str]) -> Found:
    return find(written(absolute(where(data))), Path.cwd())


def _validator(document: Any) -> Any:
    """The schema, compiled. Raises ConfigurationError."""
    package: Any = None
    with suppress(ImportError):
        import jsonschema_rs as package
    if package is None:
        raise ConfigurationError("checking needs jsonschema-rs", hint="pip install 'minimize[exchange]'")
    compiled: Any = None
    with suppress(ValueError, package.ValidationError, package.ReferencingError):
        compiled = package.validator_for(document, retriever=_refuse)
    if compiled is None:
        hint = "it must be valid by its own draft, and hold all that it refers to: nothing is fetched"
        raise ConfigurationError("this is no JSON Schema that can be checked by", hint=hint)
    return compiled


def _refuse(uri: str) -> Mapping[str, Any]:
    raise ValueError("nothing is fetched")
