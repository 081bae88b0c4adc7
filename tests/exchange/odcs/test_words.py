from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from minimize.exchange.odcs.words import LOGICAL, TYPES, own, own_of, retention_of, retention_text, type_of
from minimize.policy.durations import duration
from minimize.policy.fields import TYPES as WORDS


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
    assert type_of(said) == word


def test_every_type_of_a_policy_has_a_logical_type() -> None:
    assert set(LOGICAL) == set(WORDS) - {"decimal"}
    assert set(TYPES.values()) <= set(WORDS)


@pytest.mark.parametrize("span", [timedelta(days=30), timedelta(hours=36), timedelta(days=365), timedelta(minutes=90)])
def test_a_length_of_time_comes_back_where_a_contract_has_a_unit_for_it(span: timedelta) -> None:
    said = retention_of(span)
    back = retention_text(said["value"], said["unit"])
    assert duration(back) == span if said["unit"] != "s" else back is None


@pytest.mark.parametrize(
    ("value", "unit"), [("x", "d"), (-3, "d"), (1.5, "d"), (None, "d"), (3, "fortnight"), (0, "d")]
)
def test_what_is_no_length_of_time_is_none(value: Any, unit: str) -> None:
    assert retention_text(value, unit) is None


def test_our_own_properties_come_back_and_others_are_not_ours() -> None:
    body: dict[str, Any] = own({"Role": "quasi", "Unit": ""})
    body["customProperties"].append({"property": "sourceSystem", "value": "erp"})
    assert own_of(body) == {"Role": "quasi"}
