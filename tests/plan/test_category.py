"""The category of a column: positions, and addresses under which a person can be reached."""

from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.plan.bind import bind
from minimize.policy.load import policy_from_mapping

PLACE = {name: {"type": "double", "role": "quasi", "do": "drop"} for name in ("latitude", "longitude")}
CELL = {"from": ["latitude", "longitude"], "role": "quasi"}


def category(key: str, field: dict[str, object]) -> str | None:
    """The category of a field next to a latitude and a longitude, which are dropped."""
    body = {"policy": "p", "version": 1, "purposes": ["operations"], "fields": {**PLACE, key: field}}
    policy = policy_from_mapping(body)
    types = {"double": pa.float64(), "string": pa.string(), "integer": pa.int64()}
    columns = {name: types[str(each.type)] for name, each in policy.fields.items() if not each.from_}
    return bind(policy, pa.schema(list(columns.items())), purpose="operations").fields[key].category


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ({"grid": {"metres": 300}}, "identified"),
        ({"grid": {"metres": 9_999}}, "identified"),
        ({"grid": {"metres": 10_000}}, "pseudonymized"),
        ({"h3": {"resolution": 5}}, "identified"),
        ({"h3": {"resolution": 4}}, "pseudonymized"),
        ("presence", "pseudonymized"),
        ([{"grid": {"metres": 300}}, "presence"], "pseudonymized"),
    ],
)
def test_a_cell_smaller_than_ten_kilometres_is_identified(do: object, expected: str) -> None:
    assert category("position", {**CELL, "do": do}) == expected


@pytest.mark.parametrize(
    ("key", "do", "expected"),
    [
        ("latitude", "keep", "identified"),
        ("lon", {"round": {"to": 0.01}}, "identified"),
        ("/place/lng", {"round": {"to": 0.09}}, "identified"),
        ("latitude", {"round": {"to": 0.1}}, "pseudonymized"),
        ("latitude", {"bin": {"width": 0.05}}, "identified"),
        ("latitude", {"bin": {"width": 1}}, "pseudonymized"),
        ("latitude", {"bin": {"edges": [0, 0.05, 1]}}, "identified"),
        ("latitude", {"clip": {"min": 40, "max": 50}}, "identified"),
        ("latitude", [{"clip": {"min": 40, "max": 50}}, {"round": {"to": 0.1}}], "pseudonymized"),
        ("latency", "keep", "pseudonymized"),
        ("latitude_count", "keep", "pseudonymized"),
        ("gps_accuracy_max", "keep", "pseudonymized"),
    ],
)
def test_a_coordinate_finer_than_a_tenth_of_a_degree_is_identified(key: str, do: object, expected: str) -> None:
    if key.startswith("/"):
        key = key.rpartition("/")[2]
    assert category(key, {"type": "double", "role": "quasi", "do": do}) == expected


def test_a_place_that_is_stated_to_be_plain_concerns_no_person() -> None:
    assert category("latitude", {"type": "double", "role": "plain", "do": "keep"}) == "pseudonymized"


@pytest.mark.parametrize(
    ("key", "role", "do", "expected"),
    [
        ("org_email", "quasi", "keep", "identified"),
        ("org_phone", "quasi", "keep", "identified"),
        ("org_address", "quasi", "keep", "identified"),
        ("support_email_address", "sensitive", "keep", "identified"),
        ("contactEmail", "quasi", {"mask": {"keep_last": 4}}, "identified"),
        ("org_email", "quasi", "email_domain", "pseudonymized"),
        ("org_email", "quasi", "presence", "pseudonymized"),
        ("org_email", "quasi", {"pseudonymize": {"key": "k"}}, "pseudonymized"),
        ("org_email", "plain", "keep", "pseudonymized"),
        ("phone_model", "quasi", "keep", "pseudonymized"),
        ("email_verified", "quasi", "keep", "pseudonymized"),
        ("ip_address", "quasi", "keep", "pseudonymized"),
        ("mac_address", "identifier", {"pseudonymize": {"key": "k"}}, "pseudonymized"),
    ],
)
def test_an_address_under_which_a_person_is_reached_is_identified(
    key: str, role: str, do: object, expected: str
) -> None:
    assert category(key, {"type": "string", "role": role, "do": do}) == expected
