"""Whatever a file says, the loader answers with a policy or with faults, and the schema takes what the loader takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from minimize.errors import Finding, PolicyError
from minimize.forms import form_schema
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from tests.hypothesis_profiles import examples

DATA = Path(__file__).parent / "data" / "device_telemetry"
WORDS = st.sampled_from(
    [
        "keep",
        "drop",
        "round",
        "device_id",
        "/apps/*/name",
        "basic",
        "location",
        "string",
        "30d",
        "day",
        "any",
        "of",
        "",
        "/",
        "a",
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 12), st.floats(-2, 2), WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)


def example() -> Any:
    root = parse_yaml((DATA / "policy.yaml").read_text(encoding="utf-8"), FaultList())
    assert root is not None
    return json.loads(json.dumps(root.to_data()))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in below for place in places(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


EXAMPLE = example()
PLACES = places(EXAMPLE)[1:]
SCHEMA = Draft202012Validator(form_schema(Policy, "policy"))
FEW = settings(max_examples=examples(60))


OF_THE_FORM = {"P001", "P003", "P004", "P005", "P006", "P007", "P011", "P012"}
"""Codes of faults that a JSON Schema can express: unknown and missing keys, types, words."""


def codes(document: Any) -> set[str]:
    """The codes of the faults of a policy."""
    findings: tuple[Finding, ...] = ()
    try:
        policy_from_mapping(document)
    except PolicyError as error:
        findings = error.findings or (Finding("", "no finding"),)
    return {finding.code for finding in findings}


@FEW
@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_any_mapping_gives_a_policy_or_faults(document: dict[str, Any]) -> None:
    assert codes(document)


@FEW
@given(st.sampled_from(PLACES), VALUES)
def test_the_schema_accepts_what_the_loader_accepts(path: tuple[Any, ...], by: Any) -> None:
    document = replaced(EXAMPLE, path, by)
    found = codes(document)
    if SCHEMA.is_valid(document):
        assert not found & OF_THE_FORM
    else:
        assert found
