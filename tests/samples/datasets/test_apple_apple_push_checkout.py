"""Devices of Apple that are no longer managed."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("apple_push_checkout", 200)


def test_they_are_devices_that_checked_in_at_the_same_topic() -> None:
    known = {(record["UDID"], record["Topic"]) for record in records("apple_push_authenticate", 200)}
    assert {(record["UDID"], record["Topic"]) for record in RECORDS} == known


def test_nothing_else_is_said() -> None:
    envelope = {"message_id", "received_at", "tenant_id"}
    assert {name for record in RECORDS for name in record} == envelope | {"MessageType", "Topic", "UDID"}
