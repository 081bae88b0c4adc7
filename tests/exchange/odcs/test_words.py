from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from minimize.interop.odcs import (
    LOGICAL_TYPES,
    POLICY_TYPES,
    custom_properties,
    custom_values,
    policy_type,
    retention_property,
    retention_text,
)
from minimize.policy.fields import FIELD_TYPES as WORDS
from minimize.policy.value_readers import parse_duration


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
def test_what_is_no_length_of_time_is_none(value: Any, unit: str) -> None:
    assert retention_text(value, unit) is None


def test_our_own_properties_come_back_and_others_are_not_ours() -> None:
    body: dict[str, Any] = custom_properties({"Role": "quasi", "Unit": ""})
    body["customProperties"].append({"property": "sourceSystem", "value": "erp"})
    assert custom_values(body) == {"Role": "quasi"}
