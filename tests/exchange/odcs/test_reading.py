from __future__ import annotations

from typing import Any

import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.interop.model import DescribedDataset
from minimize.interop.odcs import read_contract

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


def test_a_classification_tells_a_role_and_says_so() -> None:
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


def test_a_time_that_is_none_is_not_taken_for_one() -> None:
    sla = [{"property": "retention", "value": 3, "unit": "d", "element": "orders.id"}]
    found = of({"name": "id", "logicalType": "string"}, slaProperties=sla)
    assert (found.retention, found.parts) == ("3d", {})


def test_a_team_of_3_0_is_read_as_well() -> None:
    assert of({"name": "x", "logicalType": "string"}, team=[{"username": "ann@example.com"}]).owner == "ann@example.com"


def test_what_is_said_in_words_becomes_remarks() -> None:
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
def test_what_is_no_contract_that_describes_fields_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError):
        read_contract(document)
