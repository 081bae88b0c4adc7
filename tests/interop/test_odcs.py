from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

import minimize
from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.forms.values import FIELD_TYPES as WORDS
from minimize.forms.values import parse_duration
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.interop.convert import imported_policy_text
from minimize.interop.documents import DescribedDataset, ExportRequest
from minimize.interop.odcs import (
    LOGICAL_TYPES,
    POLICY_TYPES,
    custom_properties,
    custom_values,
    output_contract,
    policy_type,
    read_contract,
    retention_property,
    retention_text,
    source_contract,
    write_contract,
)
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Policy

HEAD = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "c", "name": "c", "version": "2.1.0", "status": "active"}


def contract(*properties: dict[str, Any], name: str = "orders", **more: Any) -> dict[str, Any]:
    return {**HEAD, "schema": [{"name": name, "logicalType": "object", "properties": list(properties)}], **more}


def of(*properties: dict[str, Any], **more: Any) -> DescribedDataset:
    return read_contract(contract(*properties, **more))


def test_properties_become_fields_nested_ones_too() -> None:
    found = of(
        {"name": "id", "logicalType": "string", "required": True, "description": "the order"},
        {"name": "home", "logicalType": "object", "properties": [{"name": "city", "logicalType": "string"}]},
        {"name": "tags", "logicalType": "array", "items": {"logicalType": "string"}},
        {
            "name": "lines",
            "logicalType": "array",
            "items": {
                "logicalType": "object",
                "properties": [{"name": "price", "logicalType": "number", "required": True}],
            },
        },
        {"name": "raw", "logicalType": "array"},
    )
    assert {str(column.pointer): (column.type, column.required) for column in found.columns} == {
        "/id": ("string", True),
        "/home/city": ("string", False),
        "/tags/*": ("string", False),
        "/lines/*/price": ("double", False),
        "/raw": ("list", False),
    }
    assert found.columns[0].about == "the order"


def test_a_classification_determines_a_role_with_its_reason() -> None:
    words = {"restricted": "sensitive", "Confidential": "quasi", "PII": "identifier", "internal": None, "5": None}
    for word, role in words.items():
        column = of({"name": "x", "logicalType": "string", "classification": word}).columns[0]
        assert column.role == role
        assert bool(column.reason) == (role is not None)


def test_owner_version_retention_and_time_go_along() -> None:
    found = of(
        {"name": "at", "logicalType": "timestamp"},
        team={"members": [{"username": "ann@example.com"}, {"username": "bob@example.com", "role": "Data Owner"}]},
        slaProperties=[{"property": "retention", "value": 3, "unit": "y", "element": "orders.at"}],
    )
    assert (found.owner, found.version, found.retention) == ("bob@example.com", 2, "1095d")
    assert found.parts == {"time": "at"}


def test_an_unrelated_time_is_not_used_as_the_record_time() -> None:
    sla = [{"property": "retention", "value": 3, "unit": "d", "element": "orders.id"}]
    found = of({"name": "id", "logicalType": "string"}, slaProperties=sla)
    assert (found.retention, found.parts) == ("3d", {})


def test_a_team_of_3_0_is_read_as_well() -> None:
    assert of({"name": "x", "logicalType": "string"}, team=[{"username": "ann@example.com"}]).owner == "ann@example.com"


def test_descriptions_become_remarks() -> None:
    found = of({"name": "x", "logicalType": "string"}, description={"purpose": "billing", "limitations": "none\nknown"})
    assert found.remarks == ("Purpose: billing", "Limitations: none known")


def test_examples_are_not_looked_at() -> None:
    found = of({"name": "x", "logicalType": "string", "examples": ["canary-4711"]})
    assert "canary" not in repr(found)


def test_purposes_that_a_policy_may_have_and_fields_that_must_not_come_go_along() -> None:
    ours = [
        {"property": "minimizePurposes", "value": ["operations", "marketing", 7]},
        {"property": "minimizeNever", "value": ["contacts"]},
        {"property": "minimizeTenant", "value": "nowhere"},
    ]
    found = of({"name": "x", "logicalType": "string"}, customProperties=ours)
    assert (found.purposes, found.never, found.parts) == (("operations",), (Pointer.parse_forbidden("contacts"),), {})


def test_of_several_objects_one_is_named() -> None:
    two = contract({"name": "x", "logicalType": "string"})
    two["schema"] = [*two["schema"], {"name": "lines", "properties": [{"name": "y", "logicalType": "string"}]}]
    assert str(read_contract(two, "lines").columns[0].pointer) == "/y"
    with pytest.raises(ConfigurationError, match="--object"):
        read_contract(two)
    with pytest.raises(ConfigurationError, match="--object"):
        read_contract(two, "line")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {**HEAD, "apiVersion": "v2.2.2"},
        HEAD,
        {**HEAD, "schema": []},
        contract(),
        contract({"name": "x"}),
        contract({"logicalType": "string"}),
        contract({"name": 7, "logicalType": "string"}),
        {**HEAD, "schema": ["x", None, {"name": "o", "properties": "x"}]},
    ],
)
def test_a_document_that_is_no_contract_with_fields_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError):
        read_contract(document)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"logicalType": "number"}, "double"),
        ({"logicalType": "time"}, "string"),
        ({"logicalType": "number", "physicalType": "varchar(3)"}, "double"),
        ({"physicalType": "VARCHAR(255)"}, "string"),
        ({"physicalType": "bigint"}, "integer"),
        ({"physicalType": "decimal(10, 2)"}, "decimal(10,2)"),
        ({"physicalType": "timestamp_ntz"}, "timestamp"),
        ({"physicalType": "bytea"}, "binary"),
        ({"physicalType": "geography"}, None),
        ({"logicalType": "blob"}, None),
        ({}, None),
        (
            {"logicalType": "number", "customProperties": [{"property": "minimizeType", "value": "decimal(4,1)"}]},
            "decimal(4,1)",
        ),
    ],
)
def test_a_type_is_read_by_its_logical_and_else_by_its_physical_type(said: dict[str, Any], word: str | None) -> None:
    assert policy_type(said) == word


def test_every_type_of_a_policy_has_a_logical_type() -> None:
    assert set(LOGICAL_TYPES) == set(WORDS) - {"decimal"}
    assert set(POLICY_TYPES.values()) <= set(WORDS)


@pytest.mark.parametrize("span", [timedelta(days=30), timedelta(hours=36), timedelta(days=365), timedelta(minutes=90)])
def test_a_length_of_time_comes_back_where_a_contract_has_a_unit_for_it(span: timedelta) -> None:
    said = retention_property(span)
    back = retention_text(said["value"], said["unit"])
    assert parse_duration(back) == span if said["unit"] != "s" else back is None


@pytest.mark.parametrize(
    ("value", "unit"), [("x", "d"), (-3, "d"), (1.5, "d"), (None, "d"), (3, "fortnight"), (0, "d")]
)
def test_an_invalid_duration_is_none(value: Any, unit: str) -> None:
    assert retention_text(value, unit) is None


def test_our_own_properties_come_back_and_others_are_not_ours() -> None:
    body: dict[str, Any] = custom_properties({"Role": "quasi", "Unit": ""})
    body["customProperties"].append({"property": "sourceSystem", "value": "erp"})
    assert custom_values(body) == {"Role": "quasi"}


ROOT = Path(__file__).parents[2]
PIPELINE = ROOT / "pipelines" / "device_telemetry"
OFFICIAL = jsonschema.Draft201909Validator(
    json.loads((ROOT / "tests" / "interop" / "data" / "odcs-3.1.0.schema.json").read_text())
)
CONTRACT: dict[str, Any] = {
    "apiVersion": "v3.1.0",
    "kind": "DataContract",
    "id": "orders",
    "name": "orders",
    "version": "2.0.0",
    "status": "active",
    "team": {"members": [{"username": "ann@example.com", "role": "owner"}]},
    "schema": [
        {
            "name": "orders",
            "logicalType": "object",
            "properties": [
                {"name": "order_id", "logicalType": "string", "required": True, "description": 'the "order"'},
                {"name": "placed", "logicalType": "timestamp", "classification": "confidential"},
                {"name": "mail", "logicalType": "string", "classification": "pii"},
                {"name": "note", "logicalType": "string", "classification": "restricted"},
                {"name": "paid", "logicalType": "boolean"},
                {"name": "count", "logicalType": "integer"},
                {"name": "price", "logicalType": "number"},
                {"name": "due", "logicalType": "date"},
                {"name": "home", "logicalType": "object", "properties": [{"name": "city", "logicalType": "string"}]},
                {"name": "tags", "logicalType": "array", "items": {"logicalType": "string"}},
            ],
        }
    ],
    "slaProperties": [{"property": "retention", "value": 30, "unit": "d", "element": "orders.placed"}],
}


def policy_of(document: Any) -> Policy:
    root = parse_yaml(imported_policy_text(read_contract(document), "a test"), FaultList())
    assert root is not None
    return policy_from_mapping(root.to_data())


def plain(value: Any) -> Any:
    """Without what only we can say, and a purpose, which is nobody's but ours."""
    if isinstance(value, dict):
        left = {key: plain(each) for key, each in value.items() if key not in ("customProperties", "description")}
        return left | ({"description": value["description"]} if isinstance(value.get("description"), str) else {})
    return [plain(each) for each in value] if isinstance(value, list) else value


def test_odcs_to_policy_to_odcs_keeps_the_common_content() -> None:
    OFFICIAL.validate(CONTRACT)
    again = source_contract(policy_of(CONTRACT))
    OFFICIAL.validate(again)
    assert plain(again) == plain(CONTRACT)


@pytest.mark.parametrize("name", ["device_telemetry", "usage_events"])
def test_policy_to_odcs_to_policy_keeps_fields_roles_units_and_parts(name: str) -> None:
    policy = load_policy(ROOT / "pipelines" / name)
    body = source_contract(policy)
    OFFICIAL.validate(body)
    again = policy_of(body)
    assert {key: said(field) for key, field in again.fields.items()} == {
        key: said(field) for key, field in policy.fields.items() if not field.from_
    }
    assert (again.tenant, again.subject, again.time, again.record) == (
        policy.tenant,
        policy.subject,
        policy.time,
        policy.record,
    )
    assert (again.version, again.owner, again.purposes, again.retention) == (
        policy.version,
        policy.owner,
        policy.purposes,
        policy.retention,
    )
    assert all(field.do == "drop" for field in again.fields.values())


def said(field: Any) -> tuple[object, ...]:
    return field.type, field.role, field.about, field.unit, field.required


@pytest.mark.parametrize("name", ["device_telemetry", "usage_events", "daily_checkins"])
def test_the_contract_of_what_is_written_obeys_the_official_schema_and_has_every_output(name: str) -> None:
    plan = minimize.make_plan(ROOT / "pipelines" / name)
    body = output_contract(plan)
    OFFICIAL.validate(body)
    assert {each["name"]: [column["name"] for column in each["properties"]] for each in body["schema"]} == {
        name: output.schema.names for name, output in plan.outputs.items()
    }


def test_a_column_states_its_transformation() -> None:
    records = output_contract(minimize.make_plan(PIPELINE), "records")["schema"][0]
    column = next(each for each in records["properties"] if each["name"] == "ip_address")
    assert column["transformLogic"] == "truncate_ip (v4 24, v6 48)"
    assert column["transformSourceObjects"] == ["ip_address"]
    assert column["classification"] == "confidential"


def test_the_official_schema_would_refuse_a_wrong_contract() -> None:
    body = source_contract(load_policy(PIPELINE))
    assert not OFFICIAL.is_valid({**body, "unknown": 1})
    assert not OFFICIAL.is_valid({**body, "schema": [{"properties": [{"logicalType": "text"}]}]})


def test_yaml_and_json_exports_are_equal() -> None:
    texts = [write_contract(ExportRequest(str(PIPELINE), None, as_json)) for as_json in (False, True)]
    assert YAML(typ="safe", pure=True).load(texts[0]) == json.loads(texts[1])


def test_a_policy_without_a_pipeline_exports_its_source_only(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text((PIPELINE / "policy.yaml").read_text())
    assert "minimizePurposes" in write_contract(ExportRequest(str(tmp_path)))
    with pytest.raises(ConfigurationError, match="not a pipeline"):
        write_contract(ExportRequest(str(tmp_path), "records"))


def test_the_file_of_a_policy_or_pipeline_is_as_good_as_its_folder() -> None:
    whole = write_contract(ExportRequest(str(PIPELINE), "source"))
    assert (
        whole
        == write_contract(ExportRequest(str(PIPELINE / "policy.yaml"), "source"))
        == write_contract(ExportRequest(str(PIPELINE / "pipeline.yaml"), "source"))
    )
