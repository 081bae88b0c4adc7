"""Datasets of the client applications: instances and usage events."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
from minimize_samples.dataset import Slice
from minimize_samples.datasets.managed_devices import EVENT_KINDS
from minimize_samples.devices import APP_IDS, MANAGED_APPS

from ..made import DAY, dataset, records

RECORDS = records("managed_apps")


def test_a_user_has_two_instances_that_share_their_device() -> None:
    instances: dict[str, set[str]] = {}
    for record in RECORDS:
        instances.setdefault(record["user_id"], set()).add(record["app_instance_id"])
    assert {len(each) for each in instances.values()} == {2}
    assert len({(record["user_id"], record["device_tag"]) for record in RECORDS}) == len(instances)


def test_an_instance_is_the_same_every_day() -> None:
    def keys(index: int) -> set[tuple[str, str, str]]:
        made = records("managed_apps", index=index)
        return {(record["app_instance_id"], record["encryption_key"], record["app_version"]) for record in made}

    assert keys(0) == keys(1)


def test_a_device_is_named_only_with_enrolment() -> None:
    assert {record["management_mode"] for record in RECORDS if "device_id" in record} == {"MAM+MDM"}
    assert {record["management_mode"] for record in RECORDS if "device_id" not in record} == {"MAM without enrolment"}


def test_applications_can_be_managed_and_every_health_is_there() -> None:
    assert {record["app_id"] for record in RECORDS} <= set(APP_IDS[:MANAGED_APPS])
    assert {record["device_health"] for record in RECORDS} == {"healthy", "unhealthy", "notAvailable"}


def test_the_last_check_in_is_within_a_day_before() -> None:
    for record in RECORDS:
        apart = datetime.fromisoformat(record["event_time"]) - datetime.fromisoformat(record["last_check_in"])
        assert 0 < apart.total_seconds() <= 86_400


USAGE_EVENTS = records("usage_events", 2400)


def test_every_kind_of_event_is_there() -> None:
    assert {record["event_type"] for record in USAGE_EVENTS} == set(EVENT_KINDS)


def test_failures_have_an_error_and_no_response() -> None:
    failures = [record for record in USAGE_EVENTS if record["event_type"].startswith("failure.")]
    assert failures
    assert all("error_code" in record and "response_time_ms" not in record for record in failures)


def test_a_device_that_is_not_enrolled_is_not_named() -> None:
    named = {record["management_mode"] for record in USAGE_EVENTS if "device_id" in record}
    assert named == {"MAM+MDM", "MDM"}


def test_a_part_of_a_day_falls_into_its_part_of_the_day() -> None:
    part = dataset("usage_events", 2400).records(Slice(DAY, 1200, 1200, 2400), np.random.default_rng(1))
    hours = [int(json.loads(line)["event_time"][11:13]) for line in part.lines().to_pylist()]
    assert min(hours) >= 12
