"""Whether what stands can be brought into the form of today."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Field
from minimize.removal.retract import compare_forms

TIME = pa.timestamp("us", "UTC")


def field(do: Any, type_: str = "string", **more: Any) -> Field:
    said = {"policy": "p", "version": 1, "purposes": ["operations", "customer_support"], "features": {"f": {}}}
    return policy_from_mapping({**said, "fields": {"x": {"type": type_, "do": do, **more}}}).fields["x"]


def verdict(then: Any, today: Any, type_: str = "string", shown: pa.DataType | None = None) -> str:
    return compare_forms(field(then, type_), field(today, type_), "operations", shown or pa.string()).verdict


@pytest.mark.parametrize(
    ("then", "today", "expected"),
    [
        ("hour", "hour", "same"),
        ("hour", "day", "coarser"),
        ("day", "hour", "finer"),
        ("day", "week", "coarser"),
        ("week", "month", "gone"),
        ("month", "week", "finer"),
    ],
)
def test_units_of_time(then: str, today: str, expected: str) -> None:
    before, after = ({"truncate_time": {"to": unit}} for unit in (then, today))
    assert verdict(before, after, "timestamp", TIME) == expected


@pytest.mark.parametrize(
    ("then", "today", "expected"),
    [
        ({"truncate_ip": {"v4": 24, "v6": 48}}, {"truncate_ip": {"v4": 16, "v6": 48}}, "coarser"),
        ({"truncate_ip": {"v4": 24, "v6": 48}}, {"truncate_ip": {"v4": 16, "v6": 64}}, "gone"),
        ({"truncate_version": {"parts": 2}}, {"truncate_version": {"parts": 1}}, "coarser"),
        ({"mask": {"keep_last": 4}}, {"mask": {"keep_last": 2}}, "coarser"),
        ({"mask": {"keep_last": 2}}, {"mask": {"keep_last": 4}}, "finer"),
        ({"mask": {"keep_last": 4}}, {"mask": {"keep_first": 2}}, "gone"),
        ("keep", {"mask": {"keep_last": 4}}, "coarser"),
        ({"mask": {"keep_last": 4}}, "keep", "finer"),
        ("keep", "presence", "gone"),
        ("keep", {"pseudonymize": {"key": "k"}}, "gone"),
        ("keep", "drop", "gone"),
    ],
)
def test_other_forms(then: Any, today: Any, expected: str) -> None:
    assert verdict(then, today) == expected


def test_a_field_that_is_for_other_purposes_today_goes() -> None:
    today = field("keep", purposes=["customer_support"])
    assert compare_forms(field("keep"), today, "operations", pa.string()).verdict == "gone"


def test_a_field_that_is_not_declared_any_more_goes() -> None:
    assert compare_forms(field("keep"), None, "operations", pa.string()).verdict == "gone"


def test_a_gate_is_not_a_form() -> None:
    assert compare_forms(field("keep"), field("keep", feature="f"), "operations", pa.string()).verdict == "same"
