"""Changes of a field or of a policy's head, graded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from minimize.review.changes import ChangeReport
from tests.review.factory import BODY, between, policy, told

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
def test_a_stricter_field_tightens_and_the_reverse_loosens(name: str) -> None:
    old, new, codes = TIGHTENS[name]
    forth, back = told(policy(old), policy(new)), told(policy(new), policy(old))
    assert {grade for _, grade in forth} == {"tightens"}
    assert {code for code, _ in forth} <= set(codes.split())
    assert [grade for _, grade in back] == ["loosens"] * len(forth)


@pytest.mark.parametrize("name", INCOMPARABLE)
def test_incomparable_fields_loosen_in_both_directions(name: str) -> None:
    old, new = INCOMPARABLE[name]
    assert [grade for _, grade in told(policy(old), policy(new))] == ["loosens"]
    assert [grade for _, grade in told(policy(new), policy(old))] == ["loosens"]


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_change_without_effect_on_released_data_is_neutral(name: str) -> None:
    old, new = NEUTRAL[name]
    assert [grade for _, grade in told(policy(old), policy(new))] == ["neutral"]
    assert [grade for _, grade in told(policy(new), policy(old))] == ["neutral"]


def features(**changes: Any) -> dict[str, Any]:
    """The features, with one of them changed."""
    return {"features": {**BODY["features"], "location": {**BODY["features"]["location"], **changes}}}


TIGHTER_HEADS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "shorter retention": ({}, {"retention": "7d"}, "J020"),
    "retention at all": ({"retention": None}, {}, "J020"),
    "a nearer future": ({}, {"future": "1h"}, "J020"),
    "a purpose less": ({}, {"purposes": ["operations"]}, "J021"),
    "a feature's values go earlier": (
        {},
        {"features": {"location": {"holders": ["admin", "developer"], "retention": "1h"}, "usage": {}}},
        "J022",
    ),
    "fewer may turn it on": (
        {},
        {"features": {"location": {"holders": ["admin"], "retention": "24h"}, "usage": {}}},
        "J022",
    ),
    "each subject must have it on, too": ({}, features(per_subject=True), "J022"),
    "one more must not arrive": ({}, {"never": ["/contacts", "/sms", "/calls"]}, "J024"),
    "at any depth and not at the top alone": ({}, {"never": ["contacts", "/sms"]}, "J024"),
    "a subject": ({"subject": None}, {}, "J025"),
    "records of companies alone": ({}, {"records": {"collect_if": {"owner": "company"}}}, "J026"),
    "records at a level": ({}, {"records": {"level": "full"}}, "J026"),
}

NEUTRAL_HEADS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "version": ({}, {"version": 2}),
    "owner": ({}, {"owner": "ann"}),
    "a feature that nobody uses": (
        {},
        {"features": {"location": {"holders": ["admin", "developer"], "retention": "24h"}, "usage": {}, "new": {}}},
    ),
    "a place that a key at any depth covers": ({"never": ["contacts"]}, {"never": ["contacts", "/contacts"]}),
    "a level more": ({}, {"levels": ["required", "basic", "full", "fuller"]}),
}


@pytest.mark.parametrize("name", TIGHTER_HEADS)
def test_a_stricter_head_tightens_and_the_reverse_loosens(name: str) -> None:
    old, new, code = TIGHTER_HEADS[name]
    assert told(policy(**old), policy(**new)) == [(code, "tightens")]
    assert told(policy(**new), policy(**old)) == [(code, "loosens")]


@pytest.mark.parametrize("name", NEUTRAL_HEADS)
def test_the_rest_is_neutral(name: str) -> None:
    old, new = NEUTRAL_HEADS[name]
    assert {grade for _, grade in told(policy(**old), policy(**new))} == {"neutral"}


def test_another_first_level_loosens() -> None:
    assert told(policy(), policy(levels=["basic", "required", "full"])) == [("J023", "loosens")]


def test_features_that_users_turn_on_cannot_be_compared() -> None:
    users = policy(**features(holders=["user"]))
    assert told(policy(), users) == told(users, policy()) == [("J022", "loosens")]


def test_an_approval_that_is_lost_loosens() -> None:
    approval = {"by": "ann", "on": "2026-11-25", "digest": policy().form}
    assert told(policy(approved=approval), policy(approved=approval, owner="x")) == [
        ("J027", "loosens"),
        ("J029", "neutral"),
    ]
    assert told(policy(), policy(approved=approval)) == [("J027", "tightens")]
    assert told(policy(owner="x"), policy(approved=approval, owner="x")) == [("J027", "neutral")]


def test_loosening_changes_come_first_with_file_and_line() -> None:
    found = between(policy({"type": "string", "do": "drop"}), policy({"type": "string", "do": "keep"}, version=3))
    assert [(change.grade, change.file, change.about) for change in found.changes] == [
        ("loosens", "new", "f"),
        ("neutral", "new", None),
    ]


def test_an_allowed_change_does_not_count_against_the_result() -> None:
    found = between(
        policy(), policy(retention="90d", purposes=["operations", "customer_support", "quality_and_security"])
    )
    assert [change.code for change in found.not_allowed] == ["J020", "J021"]
    assert [change.code for change in found.allowing(["J020"]).not_allowed] == ["J021"]
    assert found.allowing(["all"]).not_allowed == ()


DOS = [
    "drop",
    "keep",
    {"mask": {"keep_last": 4}},
    {"mask": {"keep_last": 2}},
    {"mask": {"keep_first": 2}},
    {"truncate_version": {"parts": 1}},
    {"truncate_version": {"parts": 3}},
    {"pseudonymize": {"key": "k", "per": "tenant"}},
    {"pseudonymize": {"key": "k", "rotate": "day"}},
    {"pseudonymize": {"key": "k", "rotate": "week", "fold": True}},
    {"tokenize": {"key": "k"}},
    {"redact": {"patterns": ["email", "ip"]}},
    {"redact": {"patterns": ["email"]}},
    {"map": {"values": {"a": "b"}}},
    {"map": {"values": {"a": "b", "c": "d"}}},
    {"top": {"keep": 5, "other": "other"}},
    [{"mask": {"keep_last": 2}}, {"top": {"keep": 5, "other": "other"}}],
]

CONDITIONS = [
    {"owner": "a"},
    {"owner": ["a", "b"]},
    {"owner": "a", "model": "m"},
    {"any": [{"owner": "a"}, {"model": "m"}]},
    {"feature": "usage"},
    {"level": "basic"},
    {"level": "full"},
    {"all": [{"feature": "location"}, {"any": [{"owner": "b"}, {"level": "full"}]}]},
]

forms, conditions = some.sampled_from(DOS), some.sampled_from(CONDITIONS)

cases = some.lists(some.fixed_dictionaries({"if": conditions, "do": forms}), min_size=1, max_size=3)

treatment = some.one_of(
    some.fixed_dictionaries({"do": forms}), some.fixed_dictionaries({"cases": cases}, optional={"otherwise": forms})
)

gates = some.fixed_dictionaries(
    {"type": some.just("string")},
    optional={
        "role": some.sampled_from(["plain", "quasi", "identifier", "sensitive", "free_text"]),
        "feature": some.sampled_from(["location", "usage"]),
        "level": some.sampled_from(["required", "basic", "full"]),
        "collect_if": conditions,
        "purposes": some.sampled_from([["operations"], ["customer_support"], ["operations", "customer_support"]]),
        "in_aggregates": some.sampled_from([{"mask": {"keep_last": 2}}, {"mask": {"keep_last": 4}}, "keep"]),
    },
)

fields = some.one_of(some.none(), some.builds(lambda gate, do: gate | do, gates, treatment))

heads = some.fixed_dictionaries(
    {},
    optional={
        "retention": some.sampled_from([None, "7d", "90d"]),
        "subject": some.sampled_from([None, "owner"]),
        "never": some.sampled_from([None, ["/contacts"], ["/calls"], ["contacts"]]),
        "levels": some.sampled_from([["required", "basic", "full", "more"], ["basic", "required", "full"]]),
        "records": some.builds(lambda when: {"collect_if": when}, conditions),
        "purposes": some.sampled_from([["operations", "customer_support", "service_maintenance"]]),
    },
)

policies = some.builds(lambda field, head: policy(field, **head), fields, heads)


@given(policies)
def test_a_policy_and_itself_differ_in_nothing(one: Any) -> None:
    assert between(one, one).changes == ()


@given(policies, policies)
def test_where_the_way_tightens_the_way_back_loosens(one: Any, other: Any) -> None:
    forth, back = between(one, other), between(other, one)
    if forth.grade == "tightens":
        assert back.grade == "loosens"
    if forth.grade == "neutral":
        assert back.grade != "tightens"


@given(some.builds(lambda field: policy(field), fields), some.builds(lambda field: policy(field), fields))
def test_each_change_that_tightens_loosens_on_the_way_back(one: Any, other: Any) -> None:
    def by(changes: ChangeReport) -> dict[tuple[str, str | None], str]:
        return {(change.code, change.about): change.grade for change in changes.changes}

    forth, back = by(between(one, other)), by(between(other, one))
    assert {key: back[key] for key, grade in forth.items() if grade == "tightens"} == {
        key: "loosens" for key, grade in forth.items() if grade == "tightens"
    }
