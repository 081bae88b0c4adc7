from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from minimize.arrow.pointers import Pointer
from minimize.forms import Form, form_schema, read_form
from minimize.forms.yaml_nodes import FaultList, node_from_data
from minimize.policy.condition import (
    AllOf,
    AnyOf,
    Condition,
    FeatureOn,
    FieldEquals,
    FormCondition,
    LevelAtLeast,
    TimeWithin,
    atoms,
    fields_read_by_condition,
)
from minimize.policy.names import ANY_NAMES, PolicyNames, PolicyReading


def test_atoms_are_the_leaves_from_left_to_right() -> None:
    tree = AnyOf((FieldEquals("a", (1,)), AllOf((FeatureOn("f"), LevelAtLeast("l")))))
    assert list(atoms(tree)) == [FieldEquals("a", (1,)), FeatureOn("f"), LevelAtLeast("l")]


def test_a_condition_reads_the_fields_of_all_its_leaves() -> None:
    within = TimeWithin("seen", timedelta(days=7), "time")
    assert list(fields_read_by_condition(AnyOf((FieldEquals("a", (1,)), AllOf((FeatureOn("f"), within)))))) == [
        "a",
        "seen",
        "time",
    ]
    assert list(fields_read_by_condition(None)) == []


TYPES = {
    "seen": "timestamp",
    "time": "timestamp",
    "day": "date",
    "owner": "string",
    "/apps/*/managed": "boolean",
    "/tags/*/x": "string",
    "/apps": "list",
    "/feature": "string",
}


KEYS = {Pointer.parse(key): key for key in TYPES}
NAMES = PolicyNames(KEYS, TYPES, ("inventory", "usage"), ("basic", "full"), "time")


class Gate(Form):
    """A gate."""

    noun = "a gate"

    collect_if: FormCondition | None = None


SCHEMA = Draft202012Validator(form_schema(Gate, "gate"))


def read(
    condition: Any, key: str | None = "/apps/*/name", names: PolicyNames = NAMES
) -> tuple[Condition | None, list[str]]:
    faults = FaultList()
    gate = read_form(Gate, node_from_data({"collect_if": condition}), PolicyReading(faults, key=key, names=names))
    assert gate is not None
    return gate.collect_if, [fault.code for fault in faults.found]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"owner": "corporate"}, FieldEquals("owner", ("corporate",))),
        ({"/owner": "corporate"}, FieldEquals("owner", ("corporate",))),
        ({"owner": ["corporate", "shared"]}, FieldEquals("owner", ("corporate", "shared"))),
        ({"feature": "inventory"}, FeatureOn("inventory")),
        ({"feature": ["inventory", "usage"]}, AnyOf((FeatureOn("inventory"), FeatureOn("usage")))),
        ({"level": "full"}, LevelAtLeast("full")),
        ({"/feature": "x"}, FieldEquals("/feature", ("x",))),
        ({"seen": {"within": "7d"}}, TimeWithin("seen", timedelta(days=7), "time")),
        ({"/seen": {"within": "24h", "of": "/day"}}, TimeWithin("seen", timedelta(hours=24), "day")),
        ({"owner": "a", "feature": "usage"}, AllOf((FieldEquals("owner", ("a",)), FeatureOn("usage")))),
        ({"any": [{"owner": "a"}, {"level": "full"}]}, AnyOf((FieldEquals("owner", ("a",)), LevelAtLeast("full")))),
        ({"all": [{"level": "full"}, {"/apps/*/managed": True}]},
         AllOf((LevelAtLeast("full"), FieldEquals("/apps/*/managed", (True,))))),
    ],
)  # fmt: skip
def test_a_condition_reads_as_it_is_meant(written: Any, meant: Condition) -> None:
    assert read(written) == (meant, [])
    assert SCHEMA.is_valid({"collect_if": json.loads(json.dumps(written))})


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ({"not": {"owner": "a"}}, "P016"),
        ({"owner": None}, "P016"),
        ({"owner": []}, "P016"),
        ({"owner": ["a", None]}, "P016"),
        ({"owner": {"a": "b"}}, "P016"),
        ({"owner": {"within": "7d"}}, "P016"),
        ({"seen": {"within": "7d", "of": "owner"}}, "P016"),
        ({"seen": {"within": "a week"}}, "P016"),
        ({"seen": {"of": "day"}}, "P016"),
        ({"seen": {"within": "7d", "after": "day"}}, "P016"),
        ({"seen": {"within": "7d", "of": "dy"}}, "P010"),
        ({"any": []}, "P016"),
        ({"any": {"owner": "a"}}, "P016"),
        ({"feature": True}, "P016"),
        ({"/apps": "x"}, "P016"),
        ({"/tags/*/x": "a"}, "P016"),
        ({}, "P016"),
        ("owner", "P016"),
        ({"ownr": "a"}, "P010"),
        ({"feature": "invntory"}, "P010"),
        ({"level": "basc"}, "P010"),
        ({"any": [{"owner": "a"}, {"ownr": "a"}]}, "P010"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_a_fault(written: Any, code: str) -> None:
    assert read(written) == (None, [code])


def test_without_an_event_time_the_other_time_is_named() -> None:
    names = PolicyNames(KEYS, TYPES)
    assert read({"seen": {"within": "7d"}}, names=names) == (None, ["P016"])
    assert read({"seen": {"within": "7d", "of": "day"}}, names=names)[1] == []


def test_a_record_cannot_read_from_a_list() -> None:
    assert read({"/apps/*/managed": True}, key=None) == (None, ["P016"])


def test_every_fault_of_a_condition_is_reported() -> None:
    _, codes = read({"ownr": "a", "feature": "x", "owner": None})
    assert codes == ["P010", "P010", "P016"]


def test_every_name_is_accepted_if_the_policy_could_not_be_read() -> None:
    condition = AllOf((FieldEquals("anything", (1,)), FeatureOn("f")))
    assert read({"anything": 1, "feature": "f"}, names=ANY_NAMES) == (condition, [])


@pytest.mark.parametrize("written", ["owner", {}, {"any": []}, {"owner": None}, {"owner": []}, {"seen": {"of": "day"}}])
def test_the_schema_refuses_a_condition_that_is_never_valid(written: Any) -> None:
    assert not SCHEMA.is_valid({"collect_if": written})
