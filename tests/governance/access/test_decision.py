from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from minimize.access import ALL_TENANTS, AccessRequest, DatasetColumn, TenantSet, UserAccount, decide_permission
from minimize.errors import PolicyError
from tests.governance.access.factory import (
    HOUR,
    INCIDENT,
    NOW,
    SECOND,
    access_of,
    act,
    approved,
    asked,
    decided,
    requested,
    wanted,
)
from tests.world import assignment

DAY = {"truncate_time": {"to": "day"}}
WEEK = {"truncate_time": {"to": "week"}}
MONTH = {"truncate_time": {"to": "month"}}


def role_with(view: dict[str, Any], dataset: str = "telemetry") -> dict[str, Any]:
    return {"copy": "analyst", "views": {dataset: {"event_time": view}}}


def rules(found: Any) -> list[str]:
    return [each.rule for each in found.reasons]


def test_an_account_without_a_role_sees_nothing() -> None:
    found = decided(access_of(), "nemo", wanted())
    assert (found.allowed, found.columns, found.tenants.is_empty, found.codes) == (False, (), True, ("U100",))


def test_a_role_opens_columns_up_to_its_category() -> None:
    found = decided(access_of(), "ann", wanted())
    assert found.allowed
    assert found.columns == ("tenant_id", "event_time", "device_id")
    assert found.withheld == {"phone_number": "category"}
    assert found.tenants == ALL_TENANTS
    assert found.codes == ("U200", "U103")


def test_a_request_that_names_a_closed_column_gets_no_column() -> None:
    found = decided(access_of(), "ann", wanted("device_id", "phone_number"))
    assert (found.allowed, found.columns, found.codes) == (False, (), ("U103",))


def test_the_scope_holds_tenants_datasets_and_purposes() -> None:
    access = access_of(assignment("analyst", "ann", tenants=["north"], datasets=["telemetry"], purposes=["operations"]))
    assert decided(access, "ann", wanted("device_id", purpose="operations")).tenants == TenantSet.from_names("north")
    assert rules(decided(access, "ann", wanted("device_id"))) == ["out_of_scope"]
    other = wanted("device_id", purpose="operations", dataset="billing")
    assert rules(decided(access, "ann", other)) == ["out_of_scope"]


@pytest.mark.parametrize(
    ("scope", "dataset", "allowed"),
    [
        ("telemetry", "telemetry", True),
        ("telemetry", "telemetry/by_version", True),
        ("telemetry/records", "telemetry", True),
        ("telemetry/by_version", "telemetry", False),
        ("telemetry", "telemetry2", False),
        ("telemetry", "telemetry2/records", False),
        ("telemetry", "../telemetry", False),
    ],
)
def test_a_pipeline_name_in_a_scope_covers_its_outputs(scope: str, dataset: str, allowed: bool) -> None:
    access = access_of(assignment("analyst", "ann", datasets=[scope]))
    assert decided(access, "ann", wanted("device_id", dataset=dataset)).allowed is allowed


def test_a_purpose_must_be_named_and_be_one_that_the_data_is_for() -> None:
    assert rules(decided(access_of(), "ann", wanted("device_id", purpose=None))) == ["purpose"]
    only = wanted("device_id", purpose="operations", purposes=("customer_support",))
    assert rules(decided(access_of(), "ann", only)) == ["purpose"]


def test_a_column_that_is_for_another_purpose_is_kept() -> None:
    open_wide = {"reader": {"copy": "analyst", "allow": ["dataset/read:identified"]}}
    access = access_of(assignment("reader", "ann"), roles=open_wide)
    assert decided(access, "ann", wanted()).withheld == {}
    found = decided(access, "ann", wanted(purpose="operations"))
    assert found.withheld == {"phone_number": "other_purpose"}


def test_two_roles_do_not_open_together_what_neither_opens() -> None:
    roles = {"reader": {"copy": "analyst", "allow": ["dataset/read:identified"]}}
    access = access_of(assignment("analyst", "ann"), assignment("reader", "ann", tenants=["north"]), roles=roles)
    every = decided(access, "ann", wanted())
    assert (every.tenants, every.withheld) == (ALL_TENANTS, {"phone_number": "no_common_tenant"})
    named = decided(access, "ann", wanted("device_id", "phone_number"))
    assert (named.tenants, named.columns) == (TenantSet.from_names("north"), ("device_id", "phone_number"))


def test_columns_that_no_tenant_has_in_common_are_refused() -> None:
    roles = {"reader": {"copy": "analyst", "allow": ["dataset/read:identified"]}}
    shut = {"shut": {"copy": "analyst", "deny": ["dataset/read:aggregated"]}}
    north, south = assignment("reader", "ann", tenants=["north"]), assignment("shut", "ann", tenants=["north"])
    found = decided(access_of(north, south, roles={**roles, **shut}), "ann", wanted("device_id"))
    assert rules(found) == ["denied"]


def test_a_denial_wins_over_every_role_and_grant_of_the_person() -> None:
    roles = {
        "guest": {"copy": "analyst", "deny": ["dataset/read:identified"]},
        "reader": {"copy": "analyst", "allow": ["dataset/read:identified"]},
    }
    both = access_of(assignment("reader", "ann"), assignment("guest", "ann", tenants=["south"]), roles=roles)
    assert decided(both, "ann", wanted("phone_number")).tenants == ~TenantSet.from_names("south")
    other = access_of(
        assignment("reader", "ann"), assignment("guest", "ann2"), roles=roles, people={"Ann": ["ann", "ann2"]}
    )
    assert rules(decided(other, "ann", wanted("phone_number"))) == ["denied"]
    support = access_of(
        assignment("support_engineer", "sam"),
        assignment("privacy_officer", "pia"),
        assignment("guest", "sam"),
        roles=roles,
    )
    found = decided(support, "sam", wanted("phone_number", incident=INCIDENT), requested(groups=()), approved())
    assert rules(found) == ["denied"]


def test_a_denied_category_denies_all_above_it() -> None:
    roles = {"guest": {"copy": "analyst", "deny": ["dataset/read:pseudonymized"]}}
    access = access_of(assignment("analyst", "ann"), assignment("guest", "ann"), roles=roles)
    columns = (
        DatasetColumn("devices", "aggregated"),
        DatasetColumn("device_id", "pseudonymized"),
        DatasetColumn("name", "identified"),
    )
    found = decided(access, "ann", AccessRequest("telemetry", columns, "operations", whole=True))
    assert (found.columns, found.withheld) == (("devices",), {"device_id": "denied", "name": "category"})


def test_an_output_without_tenants_requires_a_scope_of_all_tenants() -> None:
    access = access_of(assignment("analyst", "ann"), assignment("analyst", "bea", tenants=["north"]))
    want = AccessRequest("telemetry/fleet", (DatasetColumn("events", "aggregated"),), "operations", by_tenant=False)
    assert decided(access, "ann", want).allowed
    assert rules(decided(access, "bea", want)) == ["not_by_tenant"]


def test_a_view_is_given_with_its_column() -> None:
    access = access_of(assignment("daily", "ann"), roles={"daily": role_with(DAY)})
    found = decided(access, "ann", wanted())
    assert [step.model_dump()["to"] for step in found.views["event_time"]] == ["day"]
    assert list(found.views) == ["event_time"]


def test_the_coarsest_of_several_views_counts_regardless_of_the_role_that_opened_the_column() -> None:
    roles = {"daily": role_with(DAY), "monthly": role_with(MONTH)}
    access = access_of(
        assignment("analyst", "ann"), assignment("monthly", "ann"), assignment("daily", "ann"), roles=roles
    )
    (step,) = decided(access, "ann", wanted("event_time")).views["event_time"]
    assert step.model_dump()["to"] == "month"


def test_a_column_whose_views_are_not_comparable_is_closed() -> None:
    roles = {"weekly": role_with(WEEK), "monthly": role_with(MONTH)}
    access = access_of(assignment("weekly", "ann"), assignment("monthly", "ann"), roles=roles)
    assert rules(decided(access, "ann", wanted("event_time"))) == ["views"]
    assert decided(access, "ann", wanted()).withheld["event_time"] == "views"


def test_a_view_of_another_account_of_the_person_counts_too() -> None:
    access = access_of(
        assignment("analyst", "ann"),
        assignment("daily", "ann2"),
        roles={"daily": role_with(DAY)},
        people={"A": ["ann", "ann2"]},
    )
    assert "event_time" in decided(access, "ann", wanted()).views


def test_a_view_of_other_tenants_or_datasets_does_not_count() -> None:
    roles = {"daily": role_with(DAY), "billing": role_with(DAY, "billing")}
    access = access_of(
        assignment("analyst", "ann", tenants=["north"]),
        assignment("daily", "ann", tenants=["south"]),
        assignment("billing", "ann"),
        roles=roles,
    )
    assert decided(access, "ann", wanted("event_time")).tenants == ALL_TENANTS
    apart = access_of(
        assignment("analyst", "ann", tenants=["north"]), assignment("billing", "ann", tenants=["north"]), roles=roles
    )
    assert decided(apart, "ann", wanted("event_time")).views == {}


def test_support_has_no_standing_access_and_sees_under_a_grant() -> None:
    access = access_of()
    assert rules(decided(access, "sam", wanted())) == ["nobody"] * 1
    found = decided(access, "sam", wanted("phone_number", incident=INCIDENT), requested(), approved())
    assert (found.allowed, found.tenants, found.grant) == (True, TenantSet.from_names("north"), "g1")
    assert (found.until, found.codes) == (NOW + 8 * HOUR, ("U201",))


@pytest.mark.parametrize(
    ("acts", "rule"),
    [
        ((), "no_grant"),
        ((requested(),), "not_granted"),
        ((requested(), act("denied", "pia", NOW)), "not_granted"),
        ((requested(), approved(), act("revoked", "pia", NOW)), "revoked"),
        ((requested(NOW - 9 * HOUR), approved(NOW - 8 * HOUR)), "expired"),
        ((requested(NOW - 96 * HOUR),), "expired"),
        ((requested(dataset="billing"), approved()), "no_grant"),
        ((requested(incident="INC-8"), approved()), "no_grant"),
        ((requested(by="sue"), approved()), "no_grant"),
        ((requested(category=None, columns=("device_id",)), approved()), "outside_grant"),
        ((requested(category="pseudonymized"), approved()), "outside_grant"),
        ((requested(), approved(up_to="pseudonymized")), "outside_grant"),
        ((requested(), approved(by="sam")), "not_eligible"),
        ((requested(tenants=("east",)), approved()), "not_eligible"),
        ((requested(role="analyst"), approved()), "not_eligible"),
        ((requested(groups=("support", "second")), approved()), "not_eligible"),
    ],
)
def test_a_grant_that_does_not_hold_opens_nothing(acts: tuple[Any, ...], rule: str) -> None:
    found = decided(access_of(), "sam", wanted("phone_number", incident=INCIDENT), *acts)
    assert (found.allowed, found.columns, rules(found)) == (False, (), [rule])


@pytest.mark.parametrize(
    ("at", "allowed"),
    [(NOW - SECOND, False), (NOW, True), (NOW + 8 * HOUR - SECOND, True), (NOW + 8 * HOUR, False)],
)
def test_a_grant_holds_to_the_second(at: datetime, allowed: bool) -> None:
    found = decided(access_of(), "sam", wanted("phone_number", incident=INCIDENT), requested(), approved(), at=at)
    assert found.allowed is allowed


def test_a_grant_holds_only_while_its_holder_is_in_the_role_and_group() -> None:
    gone = access_of(
        assignment("support_engineer", groups=("support",)),
        assignment("privacy_officer", "pia"),
        groups={"support": ["sue"]},
    )
    moved = access_of(
        assignment("support_engineer", groups=("support", "second")),
        assignment("privacy_officer", "pia"),
        groups={"support": ["sue"], "second": ["sam"]},
    )
    for access in (gone, moved):
        found = decided(access, "sam", wanted("phone_number", incident=INCIDENT), requested(), approved())
        assert rules(found) == ["not_eligible"]


def test_an_incident_is_read_under_its_grants_and_for_their_tenants_alone() -> None:
    access = access_of(
        assignment("support_engineer", "sam"), assignment("analyst", "sam"), assignment("privacy_officer", "pia")
    )
    asks = requested(groups=(), category=None, columns=("phone_number",))
    found = decided(access, "sam", wanted(incident=INCIDENT), asks, approved())
    assert (found.tenants, found.withheld) == (TenantSet.from_names("north"), {})
    assert decided(access, "sam", wanted(), asks, approved()).withheld == {"phone_number": "category"}
    assert not decided(access, "sam", wanted("device_id", incident=INCIDENT)).allowed


def test_tokens_are_reversed_under_a_grant_for_that_alone() -> None:
    access = access_of()
    want = wanted("device_id", operation="reidentify", incident=INCIDENT)
    assert decided(access, "sam", want, requested(operation="reidentify"), approved()).allowed
    assert rules(decided(access, "sam", want, requested(), approved())) == ["no_grant"]
    assert rules(decided(access, "sam", wanted("device_id", operation="reidentify"))) == ["no_incident"]
    read = wanted("device_id", incident=INCIDENT)
    assert decided(access, "sam", read, requested(operation="reidentify"), approved()).allowed


def test_tokens_are_not_reversed_by_who_lost_the_permission() -> None:
    roles = {"reader": {"copy": "support_engineer", "deny": ["dataset/reidentify"]}}
    access = access_of(assignment("reader", "sam"), assignment("privacy_officer", "pia"), roles=roles)
    want = wanted("device_id", operation="reidentify", incident=INCIDENT)
    asks = requested(operation="reidentify", role="reader", groups=())
    assert rules(decided(access, "sam", want, asks, approved())) == ["not_eligible"]


def test_break_glass_is_flagged() -> None:
    acts = act("broke_glass", "sam", NOW, asked=asked().to_json(), ends_at=NOW + HOUR, review_by=NOW + 24 * HOUR)
    found = decided(access_of(), "sam", wanted("phone_number", incident=INCIDENT), acts)
    assert (found.allowed, found.break_glass, found.until) == (True, True, NOW + HOUR)


def test_roles_that_conflict_through_groups_that_others_vouch_for_open_nothing() -> None:
    access = access_of(
        assignment("analyst", "ann"),
        assignment("role_administrator", groups=("admins",)),
        groups={"admins": "external"},
    )
    assert decided(access, "ann", wanted("device_id")).allowed
    assert rules(decided(access, "ann", wanted("device_id"), vouched=("admins",))) == ["conflict"]
    assert not decide_permission(access, UserAccount("ann", frozenset({"admins"})), "roles/assign", NOW).allowed


def test_an_external_group_that_makes_a_tenant_administrator_an_analyst_opens_nothing() -> None:
    access = access_of(
        assignment("tenant_administrator", "tess", tenants=["north"]),
        assignment("analyst", groups=("insights",)),
        groups={"insights": "external"},
    )
    tess = UserAccount("tess", frozenset({"insights"}))
    assert decide_permission(access, UserAccount("tess"), "consent/give", NOW, tenant="north").allowed
    assert rules(decide_permission(access, tess, "consent/give", NOW, tenant="north")) == ["conflict"]
    assert rules(decided(access, "tess", wanted("device_id"), vouched=("insights",))) == ["conflict"]


def test_a_claimed_group_of_the_file_gives_no_access() -> None:
    access = access_of(assignment("analyst", groups=("insights",)), groups={"insights": ["ann"]})
    assert not decided(access, "eve", wanted("device_id"), vouched=("insights",)).allowed


def test_conflicting_roles_in_one_person_are_refused_with_the_file() -> None:
    with pytest.raises(PolicyError) as caught:
        access_of(
            assignment("support_engineer", "sam"),
            assignment("privacy_officer", "sam2"),
            people={"Sam": ["sam", "sam2"]},
        )
    assert [each.code for each in caught.value.findings] == ["U007"]


def test_an_act_is_permitted_by_a_role_in_its_scope() -> None:
    access = access_of(assignment("operator", "ops", tenants=["north"]), assignment("auditor", "olga"))
    ops = UserAccount("ops")
    assert decide_permission(access, ops, "settings/set", NOW, tenant="north").allowed
    assert rules(decide_permission(access, ops, "settings/set", NOW, tenant="south")) == ["out_of_scope"]
    assert rules(decide_permission(access, ops, "keys/rotate", NOW)) == ["out_of_scope"]
    assert rules(decide_permission(access, ops, "consent/give", NOW, tenant="north")) == ["nobody"]
    assert decide_permission(access, UserAccount("olga"), "audit/read", NOW).allowed


def test_an_auditor_cannot_also_have_a_role_that_writes() -> None:
    with pytest.raises(PolicyError) as caught:
        access_of(assignment("auditor", "olga"), assignment("operator", "olga"))
    assert [each.code for each in caught.value.findings] == ["U007"]


def test_decisions_with_the_same_effect_are_recognized() -> None:
    acts = (requested(), approved())
    want = wanted("phone_number", incident=INCIDENT)
    first = decided(access_of(), "sam", want, *acts)
    assert first.has_same_effect(decided(access_of(), "sam", want, *acts, at=NOW + SECOND))
    assert not first.has_same_effect(decided(access_of(), "sam", want, *acts, act("revoked", "pia", NOW)))
    assert first.holds(NOW + 8 * HOUR - SECOND)
    assert not first.holds(NOW + 8 * HOUR)


def test_advertising_is_refused_for_all_data() -> None:
    assert rules(decided(access_of(), "ann", wanted("device_id", purpose="advertising"))) == ["purpose"]
    assert rules(decided(access_of(), "ann", wanted("device_id", purpose=""))) == ["purpose"]


def test_a_column_with_a_view_is_not_reidentified() -> None:
    roles = {"reader": {"copy": "support_engineer", "views": {"telemetry": {"device_id": "presence"}}}}
    access = access_of(assignment("reader", "sam"), assignment("privacy_officer", "pia"), roles=roles)
    want = wanted("device_id", operation="reidentify", incident=INCIDENT)
    asks = requested(operation="reidentify", role="reader", groups=())
    assert rules(decided(access, "sam", want, asks, approved())) == ["views"]


def test_columns_by_name_open_no_further_than_the_role_may_ask_for_by_now() -> None:
    roles = {"careful": {"copy": "support_engineer", "deny": ["grant/request:identified"]}}
    access = access_of(assignment("careful", "sam"), assignment("privacy_officer", "pia"), roles=roles)
    asks = requested(role="careful", groups=(), category=None, columns=("phone_number", "device_id"))
    assert decided(access, "sam", wanted("device_id", incident=INCIDENT), asks, approved()).allowed
    assert rules(decided(access, "sam", wanted("phone_number", incident=INCIDENT), asks, approved())) == [
        "outside_grant"
    ]
    shut = {"careful": {"copy": "support_engineer", "deny": ["grant/request:aggregated"]}}
    closed = access_of(assignment("careful", "sam"), assignment("privacy_officer", "pia"), roles=shut)
    assert not decided(closed, "sam", wanted("device_id", incident=INCIDENT), asks, approved()).allowed


def test_a_denied_request_is_explained_with_role_and_time() -> None:
    for body, by in (({"role": "privacy_officer"}, " by the role privacy_officer"), ({}, "")):
        acts = (requested(), act("denied", "pia", NOW, **body))
        (found,) = decided(access_of(), "sam", wanted("phone_number", incident=INCIDENT), *acts).reasons
        assert (found.code, found.message) == ("U107", f"the request was denied{by} at 2026-11-25T12:00:00Z: g1")
    (found,) = decided(access_of(), "sam", wanted("phone_number", incident=INCIDENT), requested()).reasons
    assert found.message == "the request was not approved: g1"
