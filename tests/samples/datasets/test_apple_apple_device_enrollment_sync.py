"""Devices of an organization, as Apple lists them."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("apple_device_enrollment_sync", 300)
SENT = records("apple_device_enrollment", 300)


def test_it_says_of_a_device_what_apple_was_sent() -> None:
    names = ("serial_number", "asset_tag", "profile_uuid", "description")
    sent = {tuple(record.get(name) for name in names) for record in SENT}
    assert {tuple(record.get(name) for name in names) for record in RECORDS} == sent


def test_a_profile_was_assigned_before_the_message_arrived() -> None:
    times = ("device_assigned_date", "profile_assign_time", "profile_push_time")
    assert all(record[name] < record["received_at"] for record in RECORDS for name in times)


def test_some_states_are_not_known_to_the_manifest() -> None:
    assert {record["profile_status"] for record in RECORDS} == {"pushed", "assigned", "empty", "removed", "expired"}
