from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minimize
from minimize.errors import ConfigurationError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.interop.convert import imported_policy_text
from minimize.interop.documents import ExportRequest
from minimize.interop.json_schema import output_schema, read_json_schema, source_schema, write_json_schema
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from tests.hypothesis_profiles import examples

PIPELINE = Path(__file__).parents[2] / "pipelines" / "device_telemetry"
VALIDATOR = jsonschema.Draft202012Validator


def policy_of(document: dict[str, Any]) -> Policy:
    root = parse_yaml(imported_policy_text(read_json_schema(document), "a test"), FaultList())
    assert root is not None
    return policy_from_mapping(root.to_data())


def test_the_schema_of_an_output_is_a_schema_with_each_of_its_columns() -> None:
    plan = minimize.plan_for(PIPELINE)
    for name, output in plan.outputs.items():
        schema = output_schema(plan, name)
        VALIDATOR.check_schema(schema)
        assert list(schema["properties"]) == output.schema.names


def test_rows_as_json_obey_it_and_a_row_with_more_does_not(tmp_path: Path) -> None:
    plan = minimize.plan_for(PIPELINE)
    validator = VALIDATOR(output_schema(plan, "records"))
    row = pa.Table.from_pylist([{}], schema=plan.outputs["records"].schema).to_pylist()[0]
    apps = {"apps": [{"name": "Mail", "version": "1.0"}, None], "battery_pct": 80.0, "hardware": {"cpu": "x"}}
    validator.validate(row | apps)
    assert not validator.is_valid(row | {"imei": "1"})
    assert not validator.is_valid(row | {"battery_pct": "80"})


def test_a_column_has_its_meaning_and_what_remains_of_the_value() -> None:
    schema = output_schema(minimize.plan_for(PIPELINE), "records")
    assert schema["properties"]["event_time"]["description"] == "when the device checked in"
    assert schema["properties"]["device_id"]["x-minimize"]["residual"] == "linkable"
    assert schema["properties"]["apps"]["items"]["properties"]["version"]["x-minimize"]["techniques"] == [
        "truncate_version"
    ]
    assert schema["x-minimize"]["category"] == "pseudonymized"


def test_an_output_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="no output"):
        write_json_schema(ExportRequest(str(PIPELINE), "record"))


def test_the_records_that_come_in_obey_the_schema_of_the_source() -> None:
    schema = json.loads(write_json_schema(ExportRequest(str(PIPELINE), "source")))
    validator = VALIDATOR(schema)
    validator.validate(
        {"event_id": "e", "tenant_id": "t", "apps": [{"managed": True}], "undeclared": 1, "hardware": None}
    )
    assert not validator.is_valid({"battery_pct": "80"})
    assert not validator.is_valid({"password": "x"})


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        {"type": "string", "contentEncoding": "base64"},
        {"type": "number", "x-minimize": {"type": "decimal(10,2)"}},
        {"type": "string", "description": 'the "odd" one\\', "x-minimize": {"role": "identifier", "unit": "m"}},
        {"type": "object", "additionalProperties": {}},
    ]
)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(lambda name: name != "date")


def objects(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(NAMES, below, min_size=1, max_size=3)
    made = properties.map(lambda each: {"type": "object", "properties": each})
    return made | made.map(lambda each: {"type": "array", "items": each})


@settings(max_examples=examples(40))
@given(st.dictionaries(NAMES, st.recursive(LEAVES, objects, max_leaves=4), min_size=1, max_size=4), st.booleans())
def test_json_schema_to_policy_to_json_schema_keeps_the_common_content(
    properties: dict[str, Any], required: bool
) -> None:
    first = {"type": "object", "properties": properties, "required": [next(iter(properties))] if required else []}
    policy = policy_of(first)
    second = source_schema(policy)
    VALIDATOR.check_schema(second)
    # The export states that each field that is not required can be null, which the first schema leaves open.
    assert [replace(column, is_nullable=False) for column in read_json_schema(second).columns] == [
        *read_json_schema(first).columns
    ]
    assert {key: field.model_copy(update={"line": None}) for key, field in policy_of(second).fields.items()} == {
        key: field.model_copy(update={"line": None}) for key, field in policy.fields.items()
    }
