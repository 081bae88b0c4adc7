""""""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import STAR, Pointer
from minimize.drafting import draft_policy_text
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.policy.fields import is_dropped
from minimize.policy.load import load_policy, policy_from_mapping
from tests.hypothesis_profiles import examples

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
POINTERS = st.builds(
    lambda top, rest: Pointer((top, *rest)), NAMES, st.lists(st.one_of(NAMES, st.just(STAR)), max_size=3)
)


def test_every_field_found_is_dropped(write: Callable[[str, str], Path]) -> None:
    schema = [("/event_time", "timestamp"), ("/apps/*/name", "string"), ("/price", "decimal(10,2)"), ("/x", "list")]
    policy = load_policy(write("policy.yaml", draft_policy_text(schema, "found")))
    assert {key: field.type for key, field in policy.fields.items()} == {
        "event_time": "timestamp",
        "/apps/*/name": "string",
        "price": "decimal(10,2)",
        "x": "list",
    }
    assert all(is_dropped(field) for field in policy.fields.values())


def test_roles_are_guessed_as_remarks() -> None:
    text = draft_policy_text([("/imei", "string"), ("/battery", "double")], "found")
    assert "imei: {type: string, do: drop}  # identifier?" in text
    assert "battery: {type: double, do: drop}\n" in text


def test_tenant_subject_and_time_are_suggested_as_remarks() -> None:
    schema = [("/tenantId", "string"), ("/apps/*/device_id", "string"), ("/device_id", "string"), ("/time", "string")]
    text = draft_policy_text([*schema, ("/event_time", "timestamp")], "found")
    suggested = [
        line.split("  ")[0] for line in text.splitlines() if line.startswith(("# tenant", "# subject", "# time"))
    ]
    assert suggested == ["# tenant: tenantId", "# subject: device_id", "# time: event_time"]


def test_a_field_named_as_the_partition_becomes_a_remark(write: Callable[[str, str], Path]) -> None:
    text = draft_policy_text([("/date", "date"), ("/a", "string")], "found")
    assert "# date: `date` is reserved for the partition" in text
    assert list(load_policy(write("policy.yaml", text)).fields) == ["a"]


@pytest.mark.parametrize("type_", ["time64[us]", "decimal(39,2)", "duration[ns]"])
def test_a_type_that_no_policy_names_is_left_out_and_told(type_: str, write: Callable[[str, str], Path]) -> None:
    text = draft_policy_text([("/a", type_), ("/b", "string")], "found")
    assert "# a: a policy has no type for" in text
    assert list(load_policy(write("policy.yaml", text)).fields) == ["b"]


def test_the_name_becomes_one_that_a_policy_may_have(write: Callable[[str, str], Path]) -> None:
    names = [
        load_policy(write("policy.yaml", draft_policy_text([("/a", "string")], name))).policy
        for name in ("my data!", "2024", "…", "null")
    ]
    assert names == ["my_data", "p_2024", "p", "p_null"]


@settings(max_examples=examples(60))
@given(st.lists(POINTERS.filter(lambda pointer: pointer.top != "date"), min_size=1, max_size=6, unique=True))
def test_whatever_the_names_are_the_draft_loads_with_all_of_them(pointers: list[Pointer]) -> None:
    faults = FaultList()
    root = parse_yaml(draft_policy_text([(str(pointer), "string") for pointer in pointers], "found"), faults)
    assert root is not None
    policy = policy_from_mapping(root.to_data())
    assert [field.pointer for field in policy.fields.values()] == pointers
    assert faults.found == []
