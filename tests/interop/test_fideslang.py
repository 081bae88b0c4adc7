from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

import minimize
from minimize.errors import ConfigurationError
from minimize.interop import fideslang
from minimize.interop.documents import ExportRequest
from minimize.interop.fideslang import PSEUDONYM, SUBJECTS, data_category, data_use, fideslang_manifest, write_fideslang
from minimize.plan.columns import ColumnMeaning
from minimize.policy.model import PURPOSES, Role

KEYS = json.loads((Path(__file__).parent / "data" / "fideslang-3.1.4.taxonomy.json").read_text())


def meaning(role: Role = "plain", residual: str = "original", *techniques: str) -> ColumnMeaning:
    return ColumnMeaning("", "", (), role, {"residual": residual, "techniques": list(techniques)})


@pytest.mark.parametrize(
    ("name", "said", "category"),
    [
        ("contactEmail", meaning(), "user.contact.email"),
        ("email", meaning("identifier", "linkable", "pseudonymize"), PSEUDONYM),
        ("latitude", meaning("quasi", "coarse", "round"), "user.location.imprecise"),
        ("latitude", meaning("quasi"), "user.location.precise"),
        ("thing", meaning("identifier"), "user.unique_id"),
        ("thing", meaning("free_text"), "user.content.private"),
        ("thing", meaning(), "user.telemetry"),
        ("email", None, "system.operations"),
    ],
)
def test_a_column_gets_the_category_of_its_name_role_and_form(
    name: str, said: ColumnMeaning | None, category: str
) -> None:
    assert data_category(name, said, aggregated=False) == category


def test_counts_of_groups_are_of_operations() -> None:
    assert data_category("email", meaning(), aggregated=True) == "system.operations"


def test_every_word_is_one_of_the_official_taxonomy() -> None:
    words = {
        *fideslang._BY_NAME.values(),
        *fideslang._BY_ROLE.values(),
        PSEUDONYM,
        fideslang.TELEMETRY,
        fideslang.OPERATIONS,
    }
    assert words <= set(KEYS["data_category"])
    assert {data_use(purpose) for purpose in (*PURPOSES, "a house's own")} <= set(KEYS["data_use"])
    assert set(SUBJECTS) <= set(KEYS["data_subject"])


ROOT = Path(__file__).parents[2]

DATA = ROOT / "tests" / "interop" / "data"

OFFICIAL = jsonschema.Draft202012Validator(json.loads((DATA / "fideslang-3.1.4.schema.json").read_text()))

TAXONOMY_KEYS = json.loads((DATA / "fideslang-3.1.4.taxonomy.json").read_text())


def fields(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in body["dataset"][0]["collections"][0]["fields"]}


@pytest.mark.parametrize("name", ["device_telemetry", "usage_events", "device_support"])
def test_a_manifest_obeys_the_official_models_and_uses_known_categories(name: str) -> None:
    body = fideslang_manifest(minimize.plan_for(ROOT / "pipelines" / name))
    OFFICIAL.validate(body)
    declaration = body["system"][0]["privacy_declarations"][0]
    assert set(declaration["data_categories"]) <= set(TAXONOMY_KEYS["data_category"])
    assert declaration["dataset_references"] == [body["dataset"][0]["fides_key"]]


def test_the_official_models_would_refuse_a_wrong_manifest() -> None:
    body = fideslang_manifest(minimize.plan_for(ROOT / "pipelines" / "usage_events"))
    del body["dataset"][0]["collections"]
    assert not OFFICIAL.is_valid(body)


def test_nested_columns_are_nested_fields_and_lists_are_marked() -> None:
    found = fields(fideslang_manifest(minimize.plan_for(ROOT / "pipelines" / "device_telemetry"), "records"))
    assert found["apps"]["fides_meta"] == {"data_type": "object[]"}
    assert [each["name"] for each in found["apps"]["fields"]] == ["name", "version"]
    assert "data_categories" not in found["apps"]
    assert found["apps"]["fields"][0]["data_categories"] == ["user.telemetry"]


def test_the_purpose_is_the_use_and_the_retention_its_period() -> None:
    body = fideslang_manifest(minimize.plan_for(ROOT / "pipelines" / "device_telemetry"))
    declaration = body["system"][0]["privacy_declarations"][0]
    assert (declaration["data_use"], declaration["retention_period"]) == ("essential.service.operations", "30d")
    assert declaration["features"] == ["app_inventory", "location", "usage"]


def test_names_with_points_stay_apart(tmp_path: Path) -> None:
    names = '{"a.b": {type: string, do: keep}, a_b: {type: string, do: keep}}'
    (tmp_path / "policy.yaml").write_text(f"policy: p\nversion: 1\npurposes: [operations]\nfields: {names}\n")
    source = "source: {path: in/*.ndjson, format: ndjson}"
    (tmp_path / "pipeline.yaml").write_text(
        f"pipeline: p\npolicy: policy.yaml\npurpose: operations\noutput: out\n{source}\n"
    )
    assert list(fields(fideslang_manifest(minimize.plan_for(tmp_path)))) == ["a_b", "a_b_"]


def test_yaml_and_json_exports_are_equal_and_sources_are_not_exported() -> None:
    path = str(ROOT / "pipelines" / "usage_events")
    texts = [write_fideslang(ExportRequest(path, None, as_json)) for as_json in (False, True)]
    assert YAML(typ="safe", pure=True).load(texts[0]) == json.loads(texts[1])
    with pytest.raises(ConfigurationError):
        write_fideslang(ExportRequest(path, "source"))
