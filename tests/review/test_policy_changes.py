"""Changes of one field, graded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.review.factory import policy, told

TEXT = {"type": "string", "role": "quasi"}
NUMBER = {"type": "double"}
KEEP: dict[str, Any] = {**TEXT, "do": "keep"}
TOP = {"top": {"keep": 3, "other": "o"}}
IS = {"owner": "company"}

# What was, what is, and its code; the way back loosens.
TIGHTENS: dict[str, tuple[Any, Any, str]] = {
    "dropped": (KEEP, {**TEXT, "do": "drop"}, "J010 J011"),
    "gone": (KEEP, None, "J010"),
    "made coarser": (KEEP, {**TEXT, "do": {"mask": {"keep_last": 2}}}, "J011"),
    "a coarser technique": (
        {**TEXT, "do": {"mask": {"keep_last": 2}}},
        {**TEXT, "do": {"top": {"keep": 3, "other": "o"}}},
        "J011",
    ),
    "whether it is there": ({**TEXT, "do": {"truncate_version": {"parts": 2}}}, {**TEXT, "do": "presence"}, "J011"),
    "one step more": (
        {**TEXT, "do": {"truncate_version": {"parts": 2}}},
        {**TEXT, "do": [{"truncate_version": {"parts": 2}}, {"top": {"keep": 3, "other": "o"}}]},
        "J011",
    ),
    "a feature": (KEEP, {**KEEP, "feature": "location"}, "J012"),
    "a level": (KEEP, {**KEEP, "level": "basic"}, "J012"),
    "a higher level": ({**KEEP, "level": "basic"}, {**KEEP, "level": "full"}, "J012"),
    "a condition": (KEEP, {**KEEP, "collect_if": IS}, "J012"),
    "a narrower condition": (
        {**KEEP, "collect_if": {"owner": ["a", "b"]}},
        {**KEEP, "collect_if": {"owner": "a"}},
        "J012",
    ),
    "for fewer purposes": (KEEP, {**KEEP, "purposes": ["operations"]}, "J013"),
    "a narrower type": ({**NUMBER, "do": "keep"}, {"type": "integer", "do": "keep"}, "J014"),
    "a role that is guarded more": (KEEP, {**KEEP, "role": "identifier"}, "J015"),
    "no more for aggregates": ({**NUMBER, "in_aggregates": {"clip": {"min": 0}}}, NUMBER, "J016"),
    "coarser for aggregates": (
        {**NUMBER, "in_aggregates": {"clip": {"min": 0, "max": 9}}},
        {**NUMBER, "in_aggregates": {"clip": {"min": 0, "max": 5}}},
        "J016",
    ),
    "cases for some": (KEEP, {**TEXT, "cases": [{"if": IS, "do": "keep"}]}, "J011"),
    "a case less": (
        {**TEXT, "cases": [{"if": IS, "do": "keep"}, {"if": {"owner": "own"}, "do": {"mask": {"keep_last": 4}}}]},
        {**TEXT, "cases": [{"if": IS, "do": "keep"}]},
        "J011",
    ),
    "a coarser case": (
        {**TEXT, "cases": [{"if": IS, "do": {"mask": {"keep_last": 4}}}]},
        {**TEXT, "cases": [{"if": IS, "do": {"mask": {"keep_last": 2}}}]},
        "J011",
    ),
}
INCOMPARABLE: dict[str, tuple[Any, Any]] = {
    "techniques that leave alike": (
        {**TEXT, "do": {"truncate_version": {"parts": 2}}},
        {**TEXT, "do": {"top": {"keep": 3, "other": "o"}}},
    ),
    "another feature": ({**KEEP, "feature": "location"}, {**KEEP, "feature": "usage"}),
    "another condition": ({**KEEP, "collect_if": {"owner": "a"}}, {**KEEP, "collect_if": {"owner": "b"}}),
    "other purposes": ({**KEEP, "purposes": ["operations"]}, {**KEEP, "purposes": ["customer_support"]}),
    "another type": ({"type": "boolean", "do": "keep"}, {"type": "binary", "do": "keep"}),
    "other cases": (
        {**TEXT, "cases": [{"if": {"owner": "a"}, "do": "keep"}]},
        {**TEXT, "cases": [{"if": {"owner": "b"}, "do": "keep"}]},
    ),
    "1 is not true": ({**KEEP, "collect_if": {"owner": 1}}, {**KEEP, "collect_if": {"owner": True}}),
}
NEUTRAL: dict[str, tuple[Any, Any]] = {
    "words": (KEEP, {**KEEP, "about": "what it is", "unit": "m"}),
    "a declared field that is dropped": (None, TEXT),
    "the type of a field that is dropped": (TEXT, {"type": "integer", "role": "quasi"}),
    "the first level": (KEEP, {**KEEP, "level": "required"}),
    "network or address": (
        {**TEXT, "do": {"truncate_ip": {"as": "network"}}},
        {**TEXT, "do": {"truncate_ip": {"as": "address"}}},
    ),
    "another key": (
        {**TEXT, "do": {"pseudonymize": {"key": "a"}}},
        {**TEXT, "do": {"pseudonymize": {"key": "b"}}},
    ),
}


@pytest.mark.parametrize("name", TIGHTENS)
def test_what_leaves_less_tightens_and_the_way_back_loosens(name: str) -> None:
    old, new, codes = TIGHTENS[name]
    forth, back = told(policy(old), policy(new)), told(policy(new), policy(old))
    assert {grade for _, grade in forth} == {"tightens"}
    assert {code for code, _ in forth} <= set(codes.split())
    assert [grade for _, grade in back] == ["loosens"] * len(forth)


@pytest.mark.parametrize("name", INCOMPARABLE)
def test_what_cannot_be_compared_loosens_both_ways(name: str) -> None:
    old, new = INCOMPARABLE[name]
    assert [grade for _, grade in told(policy(old), policy(new))] == ["loosens"]
    assert [grade for _, grade in told(policy(new), policy(old))] == ["loosens"]


@pytest.mark.parametrize("name", NEUTRAL)
def test_what_changes_nothing_that_leaves_is_neutral(name: str) -> None:
    old, new = NEUTRAL[name]
    assert [grade for _, grade in told(policy(old), policy(new))] == ["neutral"]
    assert [grade for _, grade in told(policy(new), policy(old))] == ["neutral"]
