"""What a plan asks of a source."""

from __future__ import annotations

from typing import Any

from minimize.plan import request
from tests.plan.make import policy


def needed(extra: dict[str, Any], purpose: str | None = "service_maintenance", **more: Any) -> set[str]:
    return {field.key for field in request(policy(extra, **more), purpose).fields if field.needed}


def test_a_dropped_field_is_not_needed() -> None:
    assert "serial" not in needed({"serial": {"type": "string", "do": "drop"}})


def test_a_dropped_field_that_a_condition_reads_is_needed() -> None:
    fields = {
        "kind": {"type": "string", "do": "drop"},
        "phone": {
            "type": "string",
            "role": "identifier",
            "do": {"mask": {"keep_last": 4}},
            "collect_if": {"kind": "a"},
        },
    }
    assert {"kind", "phone"} <= needed(fields)


def test_a_field_for_another_purpose_is_not_needed() -> None:
    fields = {"phone": {"type": "string", "do": "keep", "purposes": ["customer_support"]}}
    assert "phone" not in needed(fields)
    assert "phone" not in needed(fields, None)
    assert "phone" in needed(fields, "customer_support")


def test_the_inputs_of_a_derived_field_are_needed_and_the_derived_field_is_not_asked_for() -> None:
    fields = {
        "lat": {"type": "double", "role": "quasi", "do": "drop"},
        "lon": {"type": "double", "role": "quasi", "do": "drop"},
        "cell": {"type": "struct", "role": "quasi", "from": ["lat", "lon"], "do": {"grid": {"metres": 300}}},
    }
    asked = request(policy(fields), "service_maintenance")
    assert {"lat", "lon"} <= {field.key for field in asked.fields if field.needed}
    assert "cell" not in {field.key for field in asked.fields}


def test_a_companion_of_a_technique_is_needed() -> None:
    fields = {
        "site": {"type": "string", "do": "drop"},
        "user": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device", "per": "site"}}},
    }
    assert "site" in needed(fields)


def test_tenant_subject_and_time_are_required() -> None:
    asked = request(policy(), None)
    assert {field.key for field in asked.fields if field.required} == {"tenant_id", "device_id", "event_time"}


def test_what_must_not_arrive_is_asked_for_by_pointer() -> None:
    asked = request(policy(never=["/contacts", "password"]), None)
    assert [str(pointer) for pointer in asked.never] == ["/contacts", "/password"]
    assert asked.any_depth == ("password",)
