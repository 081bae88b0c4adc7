"""What a field comes to on a device that became personal.
What today's policy wants of a file of another: ages, and features that are kept for less long.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from minimize.policy.condition import FeatureOn
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from minimize.removal.decision import PersonalTreatment, owner_field, personal_treatment
from minimize.removal.facts import RetentionRules, current_conditions, features_in
from tests.governance.retention.daily import POLICY, START, Daily

CORPORATE, PERSONAL = {"owner_type": "corporate"}, {"owner_type": "personal"}
MASK = {"mask": {"keep_last": 4}}


def policy(**field: Any) -> Policy:
    fields = {"owner_type": {"type": "string", "do": "keep"}, "model": {"type": "string", "do": "keep"}}
    said = {"policy": "p", "version": 1, "purposes": ["operations"], "features": {"f": {}}}
    return policy_from_mapping({**said, "fields": {**fields, "x": {"type": "string", **field}}})


def of(**field: Any) -> PersonalTreatment | None:
    return personal_treatment(policy(**field), "x", "owner_type")


def test_the_owner_is_found_by_name_at_any_depth() -> None:
    said = {"policy": "p", "version": 1, "purposes": ["operations"]}
    nested = policy_from_mapping({**said, "fields": {"/device/ownerType": {"type": "string", "do": "keep"}}})
    assert owner_field(policy(do="keep")) == "owner_type"
    assert owner_field(nested) == "/device/ownerType"


def test_a_field_that_does_not_ask_for_the_owner_stays() -> None:
    assert of(do="keep", collect_if={"model": "A"}) is None


def test_a_gate_that_asks_for_the_owner_is_asked_again() -> None:
    found = of(do="keep", collect_if={"any": [CORPORATE, {"feature": "f"}]})
    assert found is not None
    assert (len(found.gates), found.chain) == (1, ())


def test_a_value_that_stood_as_it_came_in_goes_through_the_chain_of_personal_devices() -> None:
    found = of(cases=[{"if": CORPORATE, "do": "keep"}, {"if": PERSONAL, "do": MASK}])
    assert found is not None
    assert [step.name for step in found.chain or ()] == ["mask"]
    assert found.is_repeatable


def test_a_value_that_a_personal_device_would_not_have_goes() -> None:
    assert of(cases=[{"if": CORPORATE, "do": "keep"}]) == PersonalTreatment((), None)


def test_a_value_in_another_form_than_it_came_in_cannot_be_brought_into_a_third_and_goes() -> None:
    cases = [{"if": CORPORATE, "do": {"mask": {"keep_first": 3}}}, {"if": PERSONAL, "do": MASK}]
    assert of(cases=cases) == PersonalTreatment((), None)


def test_where_another_fact_decides_too_the_value_goes() -> None:
    cases = [{"if": {"owner_type": "personal", "model": "A"}, "do": MASK}]
    assert of(cases=cases, otherwise="keep") == PersonalTreatment((), None)


def test_where_all_devices_have_one_form_it_stays() -> None:
    assert of(cases=[{"if": PERSONAL, "do": MASK}], otherwise=MASK) == PersonalTreatment()


DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def rules(project: Daily) -> RetentionRules:
    made = project.plan(START + DAY)
    (file,) = made.output.files("records")
    return RetentionRules.for_file(file.policy, made.request.today, file.pointers)


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
    (file,) = day.plan(START + DAY).output.files("records")
    assert "event_id" not in file.pointers
    assert {"place", "phone", "/apps/*/name"} < set(file.pointers)


def test_what_must_hold_today_are_gates_and_cases_that_ask_settings(day: Daily) -> None:
    policy = day.plan(START + DAY).request.today
    assert {name for each in current_conditions("/apps/*/name", policy) for name in features_in(each)} == {"inventory"}
    assert list(current_conditions("phone", policy)) == []
