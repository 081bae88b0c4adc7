"""Changes of a policy's head, and what holds for all changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from minimize.review.changes import ChangeReport
from tests.review.factory import BODY, between, policy, told


def features(**changes: Any) -> dict[str, Any]:
    """The features, with one of them changed."""
    return {"features": {**BODY["features"], "location": {**BODY["features"]["location"], **changes}}}


TIGHTENS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
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
NEUTRAL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "version": ({}, {"version": 2}),
    "owner": ({}, {"owner": "ann"}),
    "a feature that nobody uses": (
        {},
        {"features": {"location": {"holders": ["admin", "developer"], "retention": "24h"}, "usage": {}, "new": {}}},
    ),
    "a place that a key at any depth covers": ({"never": ["contacts"]}, {"never": ["contacts", "/contacts"]}),
    "a level more": ({}, {"levels": ["required", "basic", "full", "fuller"]}),
}


@pytest.mark.parametrize("name", TIGHTENS)
def test_what_lets_less_leave_tightens_and_the_way_back_loosens(name: str) -> None:
    old, new, code = TIGHTENS[name]
    assert told(policy(**old), policy(**new)) == [(code, "tightens")]
    assert told(policy(**new), policy(**old)) == [(code, "loosens")]


@pytest.mark.parametrize("name", NEUTRAL)
def test_the_rest_is_neutral(name: str) -> None:
    old, new = NEUTRAL[name]
    assert {grade for _, grade in told(policy(**old), policy(**new))} == {"neutral"}


def test_another_first_level_loosens() -> None:
    assert told(policy(), policy(levels=["basic", "required", "full"])) == [("J023", "loosens")]


def test_what_users_turn_on_for_themselves_cannot_be_compared() -> None:
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


def test_what_loosens_comes_first_with_file_and_line() -> None:
    found = between(policy({"type": "string", "do": "drop"}), policy({"type": "string", "do": "keep"}, version=3))
    assert [(change.grade, change.file, change.about) for change in found.changes] == [
        ("loosens", "new", "f"),
        ("neutral", "new", None),
    ]


def test_what_is_allowed_is_not_against_it() -> None:
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
