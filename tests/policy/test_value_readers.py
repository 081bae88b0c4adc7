""""""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.arrow.pointers import Pointer
from minimize.policy.condition import AllOf, AnyOf, Condition, FeatureOn, FieldEquals, LevelAtLeast, TimeWithin
from minimize.policy.faults import FaultList
from minimize.policy.form_values import parse_duration
from minimize.policy.mapping_reader import DeclaredNames
from minimize.policy.value_readers import ConditionReader
from minimize.policy.yaml_nodes import node_from_data

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


def read(condition: Any, key: str | None = "/apps/*/name") -> tuple[Condition | None, list[str]]:
    keys = {Pointer.parse(key): key for key in TYPES}
    scope = DeclaredNames(FaultList(), Path(), keys, TYPES, ("inventory", "usage"), ("basic", "full"), "time")
    return ConditionReader(scope, key)(node_from_data(condition)), [fault.code for fault in scope.faults.found]


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
    keys = {Pointer.parse(key): key for key in TYPES}
    scope = DeclaredNames(FaultList(), Path(), keys, TYPES)
    assert ConditionReader(scope)(node_from_data({"seen": {"within": "7d"}})) is None
    assert [(fault.code, fault.hint) for fault in scope.faults.found] == [("P016", "Add `of: FIELD`.")]
    assert ConditionReader(scope)(node_from_data({"seen": {"within": "7d", "of": "day"}})) is not None


def test_a_record_cannot_read_from_a_list() -> None:
    assert read({"/apps/*/managed": True}, key=None) == (None, ["P016"])


def test_every_fault_of_a_condition_is_told() -> None:
    _, codes = read({"ownr": "a", "feature": "x", "owner": None})
    assert codes == ["P010", "P010", "P016"]


def test_nothing_is_known_to_be_wrong_where_the_policy_could_not_be_read(write: Callable[[str, str], Path]) -> None:
    scope = DeclaredNames(FaultList(), Path(), None, {})
    assert ConditionReader(scope)(node_from_data({"anything": 1, "feature": "f"})) == AllOf(
        (FieldEquals("anything", (1,)), FeatureOn("f"))
    )


@pytest.mark.parametrize(("text", "hours"), [("30d", 720), ("24h", 24), ("2w", 336), ("90m", 1.5), ("3600s", 1)])
def test_a_number_and_a_unit_make_a_length_of_time(text: str, hours: float) -> None:
    assert parse_duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["0d", "-1d", "30", 30, "30 d", "1.5h", "30D", "d", "", None, "30days", "9999999d", "1d\n"]
)
def test_everything_else_is_none(text: object) -> None:
    assert parse_duration(text) is None
