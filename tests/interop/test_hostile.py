"""Documents that nobody would write: each is read or refused with one of our errors, and what is read makes a sound policy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.errors import ConfigurationError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.interop import allow_list, odcs
from minimize.interop.convert import imported_policy_text
from minimize.interop.documents import DescribedDataset
from minimize.interop.json_schema import read_json_schema
from minimize.policy.load import policy_from_mapping
from tests.hypothesis_profiles import examples

WORDS = (
    "$schema $id id $ref $anchor $dynamicRef $defs definitions type properties items prefixItems required enum const format "
    "allOf anyOf oneOf if then additionalProperties patternProperties dependentSchemas description x-minimize title"
)
KEYS = st.sampled_from(WORDS.split()) | st.text(st.characters(codec="utf-8"), max_size=3)
TEXTS = st.sampled_from(
    ["#", "#/properties/a", "http://[", "object", "array", "string", "date-time", "decimal(3,1)", "date"]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.text(st.characters(codec="utf-8"), max_size=5)
)
ANY = st.recursive(SCALARS, lambda b: st.lists(b, max_size=3) | st.dictionaries(KEYS, b, max_size=4), max_leaves=12)
SCHEMAS = st.fixed_dictionaries(
    {"properties": st.dictionaries(KEYS, ANY, max_size=4)}, optional={"allOf": ANY, "$id": ANY}
)
PROPERTY = "name logicalType physicalType items properties required classification customProperties logicalTypeOptions"
PROPERTIES = st.lists(st.dictionaries(st.sampled_from(PROPERTY.split()), ANY, max_size=5), max_size=3)
CONTRACTS = st.fixed_dictionaries(
    {
        "kind": st.just("DataContract"),
        "apiVersion": st.just("v3.1.0"),
        "schema": st.lists(st.fixed_dictionaries({"name": ANY, "properties": PROPERTIES | ANY}), max_size=2) | ANY,
    },
    optional={"team": ANY, "slaProperties": ANY, "description": ANY, "version": ANY, "customProperties": ANY},
)
CAREFUL = settings(max_examples=examples(60))


def sound(read: Callable[[Any, str | None], DescribedDataset], document: Any) -> None:
    text = None
    with suppress(ConfigurationError):
        text = imported_policy_text(read(document, None), "a test")
    root = None if text is None else parse_yaml(text, FaultList())
    assert text is None or root is not None
    if root is not None:
        assert all(field.do == "drop" for field in policy_from_mapping(root.to_data()).fields.values())


@CAREFUL
@given(SCHEMAS | ANY)
def test_any_schema_is_read_or_refused(document: Any) -> None:
    sound(read_json_schema, document)


@CAREFUL
@given(CONTRACTS | ANY)
def test_any_contract_is_read_or_refused(document: Any) -> None:
    sound(odcs.read_contract, document)


@CAREFUL
@given(st.dictionaries(KEYS, st.dictionaries(KEYS, ANY, max_size=3), max_size=1) | ANY)
def test_any_allow_list_is_read_or_refused(document: Any) -> None:
    sound(allow_list.read_allow_list, document)
