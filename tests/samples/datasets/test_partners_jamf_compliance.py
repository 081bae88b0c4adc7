"""Macs, as Jamf Pro reports them."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.samples.made import records

RECORDS = records("jamf_compliance", 300)


def lasting(record: dict[str, str]) -> timedelta:
    times = [datetime.fromisoformat(record[name]) for name in ("received_at", "last_check_in")]
    return times[0] - times[1]


def test_they_are_macs_with_names_of_their_own() -> None:
    assert {(record["os"], record["platform"]) for record in RECORDS} == {("macOS", "Mac")}
    for name in ("device_aad_id", "udid", "serial_number", "jamf_id"):
        assert len({record[name] for record in RECORDS}) == 300


def test_most_were_seen_within_a_day_and_none_after_the_message_arrived() -> None:
    ages = [lasting(record) for record in RECORDS]
    assert min(ages) >= timedelta(0)
    assert 0.6 < sum(age < timedelta(days=1) for age in ages) / len(ages) < 1


def test_the_state_that_it_says_does_not_follow_from_that() -> None:
    old = {record["inventory_state"] for record in RECORDS if lasting(record) > timedelta(days=1)}
    assert old == {"activated", "deactivated"}
