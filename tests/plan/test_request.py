"""Which undeclared names a receipt may show.
What a plan asks of a source.
"""

from __future__ import annotations

from typing import Any

import pytest

from minimize.arrow.pointers import Pointer
from minimize.plan import request
from minimize.plan.request import count_undeclared
from minimize.records import UndeclaredCount
from tests.plan.make import policy

MANY = frozenset(map(str, range(10)))
DECLARED = [Pointer.parse("/os/version"), Pointer.parse("/apps/*/name")]


def seen(path: str, records: int = 12, subjects: frozenset[str] = MANY) -> dict[str, int]:
    return count_undeclared({Pointer.parse(path): UndeclaredCount(records, subjects)}, DECLARED)


def test_a_name_that_ten_subjects_carry_is_shown() -> None:
    assert seen("/beta_ring") == {"/beta_ring": 12}


def test_a_name_that_nine_subjects_carry_is_not() -> None:
    assert seen("/beta_ring", subjects=frozenset(map(str, range(9)))) == {"/*": 12}


@pytest.mark.parametrize(
    "name", ["carol@mail.example", "203.0.113.7", "+12025550147", "a b", "9lives", "x" * 65, "ümlaut"]
)
def test_a_text_that_does_not_look_like_a_name_is_not_shown(name: str) -> None:
    assert count_undeclared({Pointer((name,)): UndeclaredCount(12, MANY)}, DECLARED) == {"/*": 12}


def test_declared_parts_of_a_path_are_shown_for_any_number_of_subjects() -> None:
    assert seen("/os/build", subjects=frozenset()) == {"/os/*": 12}
    assert seen("/apps/*/vendor") == {"/apps/*/vendor": 12}


def test_hidden_names_count_together() -> None:
    few = {Pointer.parse("/alice"): UndeclaredCount(1), Pointer.parse("/bob"): UndeclaredCount(2)}
    assert count_undeclared(few, DECLARED) == {"/*": 3}


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


def test_forbidden_fields_are_requested_by_pointer() -> None:
    asked = request(policy(never=["/contacts", "password"]), None)
    assert [str(pointer) for pointer in asked.never] == ["/contacts", "/password"]
    assert asked.any_depth == ("password",)
