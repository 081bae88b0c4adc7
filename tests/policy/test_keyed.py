"""Which fields stand for somebody."""

from __future__ import annotations

from typing import Any

import pytest

from minimize.policy.fields import identifying_fields
from minimize.policy.load import policy_from_mapping

PSEUDONYM = {"pseudonymize": {"key": "device"}}


@pytest.mark.parametrize(
    ("role", "do", "is_key"),
    [
        ("identifier", "keep", True),
        ("identifier", PSEUDONYM, True),
        ("plain", PSEUDONYM, True),
        ("quasi", {"tokenize": {"key": "device"}}, True),
        ("plain", "keep", False),
        ("identifier", "drop", False),
        ("identifier", {"mask": {"keep_last": 4}}, False),
        ("identifier", [PSEUDONYM, {"mask": {"keep_last": 4}}], False),
    ],
)
def test_a_field_is_a_key_where_its_values_name_one_person_or_device(role: str, do: Any, *, is_key: bool) -> None:
    said = {"policy": "p", "version": 1, "purposes": ["operations"]}
    policy = policy_from_mapping({**said, "fields": {"a": {"type": "string", "role": role, "do": do}}})
    assert list(identifying_fields(policy)) == ["a"] * is_key


def test_the_subject_is_a_key_whatever_its_role() -> None:
    said = {"policy": "p", "version": 1, "purposes": ["operations"], "subject": "a"}
    assert list(
        identifying_fields(policy_from_mapping({**said, "fields": {"a": {"type": "string", "do": "keep"}}}))
    ) == ["a"]
