from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

import minimize
from minimize.errors import ConfigurationError
from minimize.interop.convert import imported_policy_text
from minimize.interop.model import ExportRequest
from minimize.interop.odcs import output_contract, read_contract, source_contract, write_contract
from minimize.policy.faults import FaultList
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Policy
from minimize.policy.yaml_nodes import parse_yaml

ROOT = Path(__file__).parents[3]
PIPELINE = ROOT / "pipelines" / "device_telemetry"
OFFICIAL = jsonschema.Draft201909Validator(
    json.loads((ROOT / "tests" / "exchange" / "data" / "odcs-3.1.0.schema.json").read_text())
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


def test_odcs_to_policy_to_odcs_keeps_what_both_can_say() -> None:
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
    plan = minimize.plan_for(ROOT / "pipelines" / name)
    body = output_contract(plan)
    OFFICIAL.validate(body)
    assert {each["name"]: [column["name"] for column in each["properties"]] for each in body["schema"]} == {
        name: output.schema.names for name, output in plan.outputs.items()
    }


def test_a_column_says_what_is_done_on_the_way() -> None:
    records = output_contract(minimize.plan_for(PIPELINE), "records")["schema"][0]
    column = next(each for each in records["properties"] if each["name"] == "ip_address")
    assert column["transformLogic"] == "truncate_ip (v4 24, v6 48)"
    assert column["transformSourceObjects"] == ["ip_address"]
    assert column["classification"] == "confidential"


def test_the_official_schema_would_refuse_a_wrong_contract() -> None:
    body = source_contract(load_policy(PIPELINE))
    assert not OFFICIAL.is_valid({**body, "unknown": 1})
    assert not OFFICIAL.is_valid({**body, "schema": [{"properties": [{"logicalType": "text"}]}]})


def test_yaml_and_json_say_the_same() -> None:
    texts = [write_contract(ExportRequest(str(PIPELINE), None, as_json)) for as_json in (False, True)]
    assert YAML(typ="safe", pure=True).load(texts[0]) == json.loads(texts[1])


def test_of_a_policy_alone_the_source_is_told_and_outputs_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text((PIPELINE / "policy.yaml").read_text())
    assert "minimizePurposes" in write_contract(ExportRequest(str(tmp_path)))
    with pytest.raises(ConfigurationError, match="no pipeline"):
        write_contract(ExportRequest(str(tmp_path), "records"))


def test_the_file_of_a_policy_or_pipeline_is_as_good_as_its_folder() -> None:
    whole = write_contract(ExportRequest(str(PIPELINE), "source"))
    assert (
        whole
        == write_contract(ExportRequest(str(PIPELINE / "policy.yaml"), "source"))
        == write_contract(ExportRequest(str(PIPELINE / "pipeline.yaml"), "source"))
    )
