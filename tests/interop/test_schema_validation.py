from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import ConfigurationError, SourceError
from minimize.interop.json_schema import SchemaViolation, validate_records
from minimize.interop.schema_merging import SCHEMA_DIALECTS

SCHEMA: dict[str, Any] = {
    "properties": {"id": {"type": "string"}, "apps": {"items": {"$ref": "#/definitions/app"}}, "contacts": False},
    "required": ["id"],
    "definitions": {"app": {"properties": {"name": {"maxLength": 6}}}},
}


def of(tmp_path: Path, records: list[Any], schema: Any = SCHEMA) -> Any:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in records]
    (tmp_path / "data.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    return validate_records(tmp_path / "data.ndjson.gz", tmp_path / "schema.json")


def test_records_are_counted_by_what_of_the_schema_they_do_not_obey(tmp_path: Path) -> None:
    good = {"id": "a", "apps": [{"name": "Mail"}]}
    bad = [
        {"id": 1},
        {"id": 2},
        {"id": "a", "apps": [{"name": "canary-1"}, {"name": "canary-2"}], "contacts": []},
        {},
        "{",
    ]
    found = of(tmp_path, [good, "", *bad])
    assert (found.records, found.valid) == (6, 1)
    assert found.broken == (
        SchemaViolation("/id", "type", 2),
        SchemaViolation("", "malformed", 1),
        SchemaViolation("", "required", 1),
        SchemaViolation("/apps/*/name", "maxLength", 1),
        SchemaViolation("/contacts", "false", 1),
    )
    assert "canary" not in repr(found)


def test_names_that_only_the_data_has_are_not_shown(tmp_path: Path) -> None:
    found = of(tmp_path, [{"canary@example.com": 1}], {"additionalProperties": {"type": "string"}})
    assert found.broken == (SchemaViolation("/*", "type", 1),)


@pytest.mark.parametrize("dialect", SCHEMA_DIALECTS, ids=lambda each: each.name)
def test_the_draft_that_a_schema_names_counts(tmp_path: Path, dialect: Any) -> None:
    bound = {"properties": {"n": {"minimum": 3, "exclusiveMinimum": dialect.name == "draft-04" or 3}}}
    found = of(tmp_path, [{"n": 3}, {"n": 4}], {"$schema": dialect.uri, **bound})
    assert (found.draft, found.valid) == (dialect.name, 1)


@pytest.mark.parametrize(
    "schema", [{"$ref": "https://example.com/x.json"}, {"type": "nonsense"}, {"$ref": "#/nowhere"}]
)
def test_nothing_is_fetched_and_what_is_no_schema_is_refused(tmp_path: Path, schema: Any) -> None:
    with pytest.raises(ConfigurationError, match="not a usable JSON Schema"):
        of(tmp_path, [{}], schema)


def test_without_the_package_the_hint_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    with pytest.raises(ConfigurationError) as caught:
        of(tmp_path, [{}])
    assert caught.value.hint == "Install minimize with its extra `exchange`."


def test_only_ndjson_is_held_against_a_schema(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "schema.json").write_text("{}")
    with pytest.raises(SourceError, match="no NDJSON file"):
        validate_records(tmp_path / "a.csv", tmp_path / "schema.json")
