"""Datasets of managed devices: applications, inventory, check-ins, enrollments and hardware."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import Any

import numpy as np
import pytest
from minimize_samples import dataset as dataset_module
from minimize_samples.dataset import Slice
from minimize_samples.datasets.managed_devices import (
    ENROLLMENT_TYPES,
    FAILURES,
    INSTALL_STATES,
    USERLESS_TYPES,
    DeviceTelemetry,
)

from ..made import DAY, records

RECORDS = records("app_inventory", 3000)


def test_a_device_and_an_application_have_one_record_a_day() -> None:
    assert set(Counter((record["device_id"], record["app_id"]) for record in RECORDS).values()) == {1}


def test_every_state_is_there_and_only_managed_applications_are_not_installed() -> None:
    assert {record["install_state"] for record in RECORDS} == set(INSTALL_STATES)
    assert {record["install_state"] for record in RECORDS if not record["managed"]} == {"installed"}


def test_an_installation_succeeded_or_failed_or_was_not_tried() -> None:
    outcomes = {(record["install_state"], record.get("install_succeeded")) for record in RECORDS if record["managed"]}
    assert outcomes == {
        *(("installed", True), ("notInstalled", False), ("notInstalled", None)),
        *(("pendingInstall", None), ("notApplicable", None)),
    }
    assert all(("install_error_code" in record) == (record.get("install_succeeded") is False) for record in RECORDS)


def test_a_path_of_a_computer_can_hold_a_persons_name() -> None:
    own = [record for record in RECORDS if "Users" in record.get("install_location", "")]
    assert {record["operating_system"] for record in own} == {"Windows", "macOS"}
    assert not any(record["managed"] for record in own)
    assert any(record["install_location"].startswith("C:\\Users\\") for record in own)


def test_the_applications_are_those_of_the_check_ins() -> None:
    known = {(record["device_id"], record["app_id"], record["app_version"], record["managed"]) for record in RECORDS}
    listed = [
        (record["device_id"], app["id"], app["version"], app["managed"])
        for record in records("device_telemetry", 300)
        for app in record.get("apps", [])
    ]
    assert listed
    assert set(listed) <= known


def test_modern_packages_are_of_windows() -> None:
    assert {record["operating_system"] for record in RECORDS if record["modern"]} == {"Windows"}


DEVICE_INVENTORY = records("device_inventory")


def test_a_device_has_one_record_a_day() -> None:
    assert len({record["device_id"] for record in DEVICE_INVENTORY}) == len(DEVICE_INVENTORY)


def test_a_tenant_has_one_account() -> None:
    assert len({(record["tenant_id"], record["account_id"]) for record in DEVICE_INVENTORY}) == 6


def test_some_tenants_have_none_at_the_third_party() -> None:
    assert 0 < len({record["tenant_id"] for record in DEVICE_INVENTORY if "partner_tenant_id" not in record}) < 6


def test_secrets_are_random() -> None:
    keys = [record["certificate_private_key"] for record in DEVICE_INVENTORY if "certificate_private_key" in record]
    assert len(set(keys)) == len(keys) > 10


DEVICE_TELEMETRY = records("device_telemetry")


def test_a_device_checks_in_three_times_a_day() -> None:
    assert set(Counter(record["device_id"] for record in DEVICE_TELEMETRY).values()) == {3}


def test_check_ins_of_a_day_happen_on_that_day_but_for_the_late_ones() -> None:
    days = Counter(_time(record).date() for record in DEVICE_TELEMETRY)
    assert days[DAY] > 0.95 * len(DEVICE_TELEMETRY)
    assert min(days) < date(2026, 10, 26)


def test_events_are_out_of_order() -> None:
    times = [_time(record) for record in DEVICE_TELEMETRY]
    assert times != sorted(times)


def test_both_families_of_addresses_and_mapped_ones_are_there() -> None:
    addresses = {record["ip_address"] for record in DEVICE_TELEMETRY}
    assert any(address.startswith("::ffff:") for address in addresses)
    plain = [address for address in addresses if address.replace(":", "").replace(".", "").isalnum()]
    assert {ip_address(address).version for address in plain if address != "unknown"} == {4, 6}


@pytest.mark.parametrize(
    "name",
    [
        *("battery_pct", "latitude", "apps", "phone_number", "imei", "support_note", "security_patch", "labels"),
        *("user_id", "bios_date"),
    ],
)
def test_fields_that_may_be_missing_are_missing_somewhere(name: str) -> None:
    assert 0 < sum(name in record for record in DEVICE_TELEMETRY) < len(DEVICE_TELEMETRY)


def test_a_large_sample_has_a_bounded_population(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "LARGEST_POPULATION", 7)
    dataset = DeviceTelemetry(10_000, 1)
    assert dataset.members.count == 7
    part = dataset.records(Slice(DAY, 9_000, 50, 10_000), np.random.default_rng(1))
    assert len(part.lines()) == 50


def _time(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["event_time"]).astimezone(UTC)


ENROLLMENTS = records("enrollments", 3000)


def test_there_are_fourteen_categories_and_seventeen_reasons() -> None:
    assert len({category for category, _ in FAILURES}) == 14
    assert len({reason for _, reason in FAILURES}) == 17


def test_every_type_and_failure_is_there() -> None:
    assert {record["enrollment_type"] for record in ENROLLMENTS} == set(ENROLLMENT_TYPES)
    failed = {
        (record["failure_category"], record["failure_reason"]) for record in ENROLLMENTS if not record["succeeded"]
    }
    assert failed == set(FAILURES)


def test_a_success_has_no_reason() -> None:
    assert not any(
        "failure_reason" in record or "failure_category" in record for record in ENROLLMENTS if record["succeeded"]
    )


def test_enrolment_without_a_user_names_none() -> None:
    named = {record["enrollment_type"] for record in ENROLLMENTS if "user_id" in record}
    assert named == set(ENROLLMENT_TYPES) - {ENROLLMENT_TYPES[place] for place in USERLESS_TYPES}


def test_types_go_with_systems() -> None:
    systems = {"Windows": {"Windows"}, "Apple": {"macOS", "iOS", "iPadOS"}, "Android": {"Android"}}
    for prefix, expected in systems.items():
        found = {record["operating_system"] for record in ENROLLMENTS if record["enrollment_type"].startswith(prefix)}
        assert found == expected


HARDWARE_INVENTORY = records("hardware_inventory")


def test_free_storage_is_less_than_all() -> None:
    assert all(0 < record["free_storage_bytes"] < record["total_storage_bytes"] for record in HARDWARE_INVENTORY)


def test_health_is_a_percentage() -> None:
    assert all(0 <= record["battery_health_pct"] <= 100 for record in HARDWARE_INVENTORY)


def test_only_computers_with_windows_have_a_bios_and_some_no_trusted_platform_module() -> None:
    windows = [record for record in HARDWARE_INVENTORY if record["operating_system"] == "Windows"]
    assert [record for record in HARDWARE_INVENTORY if "bios_date" in record] == windows
    assert {record.get("tpm_version") for record in windows} == {"1.2", "2.0", None}


def test_the_technology_is_present_with_a_carrier() -> None:
    assert {record.get("cellular_technology") for record in HARDWARE_INVENTORY} == {"GSM", "CDMA", None}
    assert all(("carrier" in record) == ("cellular_technology" in record) for record in HARDWARE_INVENTORY)
