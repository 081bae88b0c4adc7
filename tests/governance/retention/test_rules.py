"""What today's policy wants of a file of another: ages, and features that are kept for less long."""

from __future__ import annotations

from datetime import timedelta

from minimize.governance.retention.retention_rules import (
    RetentionRules,
    current_conditions,
    features_in,
    field_pointers,
)
from minimize.policy.condition import FeatureOn
from tests.governance.retention.daily import POLICY, START, Daily

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def rules(project: Daily) -> RetentionRules:
    made = project.plan(START + DAY)
    ((written, stored, _),) = project.orders(START + DAY)
    return RetentionRules.for_file(written.policy, made.request.today, stored.whole)


def test_records_are_kept_as_long_as_today_says_and_features_for_less(day: Daily) -> None:
    found = rules(day)
    assert (found.age, found.shortest_age, dict(found.features)) == (30 * DAY, DAY, {"location": DAY})
    assert [rule.key for rule in found.fields] == ["place"]


def test_a_policy_that_keeps_everything_forever_wants_nothing(day: Daily) -> None:
    day.policy(retention=None, features={**POLICY["features"], "location": {"about": "position"}}, version=2)
    found = rules(day)
    assert (found.age, found.fields, found.shortest_age) == (None, (), None)


def test_a_field_that_today_does_not_declare_is_judged_by_the_policy_of_then(day: Daily) -> None:
    day.policy({"place": None}, version=2)
    assert [rule.key for rule in rules(day).fields] == ["place"]


def test_a_condition_on_whole_records_counts_where_it_asks_for_such_a_feature(day: Daily) -> None:
    day.policy(records={"feature": "location"}, version=2)
    assert rules(day).records == (FeatureOn("location"),)
    day.policy(records={"feature": "inventory"}, version=3)
    assert rules(day).records == ()


def test_fields_of_a_file_are_those_that_it_holds(day: Daily) -> None:
    ((written, stored, _),) = day.orders(START + DAY)
    assert "event_id" not in field_pointers(written.policy, stored.whole)
    assert {"place", "phone", "/apps/*/name"} < set(field_pointers(written.policy, stored.whole))


def test_what_must_hold_today_are_gates_and_cases_that_ask_settings(day: Daily) -> None:
    policy = day.plan(START + DAY).request.today
    assert {name for each in current_conditions("/apps/*/name", policy) for name in features_in(each)} == {"inventory"}
    assert list(current_conditions("phone", policy)) == []
