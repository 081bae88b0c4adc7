"""What a field comes to on a device that became personal."""

from __future__ import annotations

from typing import Any

from minimize.governance.retention.retention_rules import PersonalTreatment, owner_field, personal_treatment
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy

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
