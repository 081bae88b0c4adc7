from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator

from minimize.aggregates import MEASURES
from minimize.errors import PolicyError
from minimize.forms import JSON_SCHEMA_DIALECT, Form, form_schema
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.runs.backfill import Backfill
from minimize.techniques import TECHNIQUES

Kind = Literal["policy", "pipeline"]
DATA = Path(__file__).parent / "data" / "device_telemetry"
SHIPPED = sorted((Path(__file__).parents[2] / "pipelines").glob("*/p*.yaml"))


@pytest.fixture(scope="module")
def accepts() -> Callable[[Kind, Any], bool]:
    validators = {
        "policy": Draft202012Validator(form_schema(Policy, "policy")),
        "pipeline": Draft202012Validator(form_schema(Pipeline, "pipeline")),
    }
    return lambda kind, document: validators[kind].is_valid(document)


def document(path: Path) -> Any:
    root = parse_yaml(path.read_text(encoding="utf-8"), FaultList())
    assert root is not None
    return json.loads(json.dumps(root.to_data()))


def policy(**field: Any) -> dict[str, Any]:
    fields = {"f": {"type": "string", **field}, "g": {"type": "string"}}
    return {"policy": "p", "version": 1, "purposes": ["operations"], "fields": fields}


def pipeline(**more: Any) -> dict[str, Any]:
    source = {"path": "x", "format": "csv"}
    head = {"pipeline": "p", "policy": "policy.yaml", "purpose": "operations", "source": source, "output": "out"}
    return {**head, **more}


@pytest.mark.parametrize("form", [Policy, Pipeline, Backfill])
def test_the_schema_is_a_schema(form: type[Form]) -> None:
    schema = form_schema(form, "minimize file")
    Draft202012Validator.check_schema(schema)
    assert (schema["$schema"], schema["title"]) == (JSON_SCHEMA_DIALECT, "minimize file")


@pytest.mark.parametrize("kind", ["policy", "pipeline"])
def test_a_whole_example_fits(accepts: Callable[[Kind, Any], bool], kind: Kind) -> None:
    assert accepts(kind, document(DATA / f"{kind}.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_file_fits(accepts: Callable[[Kind, Any], bool], path: Path) -> None:
    assert accepts("policy" if path.stem == "policy" else "pipeline", document(path))


@pytest.mark.parametrize(
    "field",
    [
        {"do": "drop"},
        {"do": "keep"},
        {"do": {"keep": None}},
        {"do": {"mask": {"keep_last": 4}}},
        {"do": [{"mask": {"keep_last": 4}}, "keep"]},
        {"do": {"round": 0.1}},
        {"cases": [{"if": {"g": "a"}, "do": "keep"}], "otherwise": "drop"},
        {"collect_if": {"any": [{"g": ["a", "b"]}, {"all": [{"g": "c"}]}]}},
        {"type": "decimal(10,2)"},
        {"in_aggregates": "presence"},
        {"role": "secret"},
    ],
)
def test_a_document_that_the_loader_accepts_is_valid(
    accepts: Callable[[Kind, Any], bool], field: dict[str, Any]
) -> None:
    assert policy_from_mapping(policy(**field)).policy == "p"
    assert accepts("policy", policy(**field))


@pytest.mark.parametrize(
    "field",
    [
        {"do": "keeep"},
        {"do": "sha256"},
        {"do": {"mask": {"keep": 4}}},
        {"do": {"round": {}}},
        {"do": "round"},
        {"do": {"keep": {}, "round": 1}},
        {"do": []},
        {"do": "keep", "cases": [{"if": {"g": "a"}, "do": "keep"}]},
        {"cases": [{"if": {"g": None}, "do": "keep"}]},
        {"cases": [{"do": "keep"}]},
        {"collect_if": {}},
        {"collect_if": {"any": []}},
        {"type": "strin"},
        {"type": "decimal"},
        {"role": "quasy"},
        {"rol": "quasi"},
        {"in_aggregates": "drop"},
        {"purposes": "operations"},
        {"required": "yes"},
    ],
)
def test_a_document_that_the_loader_refuses_is_invalid(
    accepts: Callable[[Kind, Any], bool], field: dict[str, Any]
) -> None:
    with pytest.raises(PolicyError):
        policy_from_mapping(policy(**field))
    assert not accepts("policy", policy(**field))


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({"records": False}, True),
        ({"records": {"deduplicate": {"by": ["a"]}}}, True),
        (
            {"aggregates": {"a": {"group_by": {"d": {"t": "day"}}, "measures": {"n": "count", "m": {"mean": "b"}}}}},
            True,
        ),
        ({"aggregates": {"a": {"group_by": {"d": "t"}, "measures": {"q": {"quantile": {"of": "b", "q": 0.5}}}}}}, True),
        ({"records": "none"}, False),
        ({"aggregates": {"runs": {"group_by": {}, "measures": {"n": "count"}}}}, False),
        ({"aggregates": {"a": {"group_by": {"date": "t"}, "measures": {"n": "count"}}}}, False),
        ({"aggregates": {"a": {"group_by": {"d": {"t": "days"}}, "measures": {"n": "count"}}}}, False),
        ({"aggregates": {"a": {"group_by": {}, "measures": {"n": "cuont"}}}}, False),
        ({"aggregates": {"a": {"group_by": {}, "measures": {"n": "mean"}}}}, False),
        ({"aggregates": {"a": {"group_by": {}, "measures": {"n": "count"}, "late": "2"}}}, False),
        ({"aggregates": {"a": {"group_by": {}, "measures": {"n": "count"}, "retention": "365d"}}}, True),
        ({"quarantine": {"fail_above": 2}}, False),
        ({"settngs": "x"}, False),
    ],
)
def test_a_pipeline_fits_or_does_not(accepts: Callable[[Kind, Any], bool], more: dict[str, Any], fits: bool) -> None:
    assert accepts("pipeline", pipeline(**more)) is fits


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_is_there_with_its_parameters(name: str) -> None:
    kinds = form_schema(Policy, "policy")["$defs"]["Step"]["anyOf"]
    parameters = next(kind for kind in kinds if kind.get("title") == name)["properties"][name]["anyOf"][0]
    assert set(parameters["properties"]) == {info.alias or key for key, info in TECHNIQUES[name].model_fields.items()}


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_there(name: str) -> None:
    assert name in [kind.get("title") for kind in form_schema(Pipeline, "pipeline")["$defs"]["FormMeasure"]["anyOf"]]


@pytest.mark.parametrize("form", [Policy, Pipeline, Backfill])
def test_every_form_is_described(form: type[Form]) -> None:
    schema = form_schema(form, "file")
    parts = [schema, *(part for part in schema["$defs"].values() if part.get("type") == "object")]
    keys = [(part["description"], key, body) for part in parts for key, body in part["properties"].items()]
    assert [key for key in keys if not {"description", "$ref"} & key[2].keys()] == []


@pytest.mark.parametrize("dates", ["2026-11-01", ["2026-11-01", {"from": "2026-11-03", "to": "2026-11-04"}]])
def test_a_backfill_has_a_schema(dates: Any) -> None:
    schema = Draft202012Validator(form_schema(Backfill, "backfill"))
    document = {"backfill": "b", "pipeline": "p", "reason": "the bins were wrong", "dates": dates}
    assert schema.is_valid(document)
    assert not schema.is_valid({**document, "reason": " "})
    assert not schema.is_valid({**document, "dates": []})
