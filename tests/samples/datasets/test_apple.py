"""Devices that are registered with Apple for enrolment."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("apple_device_enrollment", 300)


def test_a_device_is_assigned_alone_or_with_others_of_its_tenant() -> None:
    tenants = {record["serial_number"]: record["tenant_id"] for record in RECORDS}
    assert {len(record["devices"]) for record in RECORDS} == {1, 2, 3}
    for record in RECORDS:
        assert record["devices"][0] == record["serial_number"]
        assert {tenants[serial] for serial in record["devices"]} == {record["tenant_id"]}


def test_a_server_belongs_to_one_tenant() -> None:
    servers = {(record["tenant_id"], record["server_uuid"], record["server_token"]) for record in RECORDS}
    assert len(servers) == len({record["tenant_id"] for record in RECORDS}) == 6


def test_systems_go_with_families() -> None:
    assert {(record["os"], record["device_family"]) for record in RECORDS} == {
        ("OSX", "Mac"),
        ("iOS", "iPhone"),
        ("iOS", "iPad"),
    }


def test_a_few_profiles_are_in_a_state_that_apple_does_not_know() -> None:
    states = [record["profile_status"] for record in RECORDS]
    assert set(states) == {"empty", "assigned", "pushed", "removed", "expired"}
    assert 0 < states.count("expired") < 20


def test_the_optional_fields_are_missing_for_some_tenants() -> None:
    for key in ("support_phone_number", "support_email_address", "department"):
        assert 1 < len({record["tenant_id"] for record in RECORDS if key in record}) < 6


def test_some_descriptions_hold_the_address_of_a_user() -> None:
    assert 0 < sum("@" in record["description"] for record in RECORDS) < 120
