"""Check-ins of managed devices."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import Any

import numpy as np
import pytest
from minimize_samples import dataset as dataset_module
from minimize_samples.dataset import Slice
from minimize_samples.datasets.managed_devices import DeviceTelemetry

from ..made import DAY, records

RECORDS = records("device_telemetry")


def test_a_device_checks_in_three_times_a_day() -> None:
    assert set(Counter(record["device_id"] for record in RECORDS).values()) == {3}


def test_check_ins_of_a_day_happen_on_that_day_but_for_the_late_ones() -> None:
    days = Counter(_time(record).date() for record in RECORDS)
    assert days[DAY] > 0.95 * len(RECORDS)
    assert min(days) < date(2026, 10, 26)


def test_events_are_out_of_order() -> None:
    times = [_time(record) for record in RECORDS]
    assert times != sorted(times)


def test_both_families_of_addresses_and_mapped_ones_are_there() -> None:
    addresses = {record["ip_address"] for record in RECORDS}
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
    assert 0 < sum(name in record for record in RECORDS) < len(RECORDS)


def test_a_large_sample_has_a_bounded_population(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "LARGEST_POPULATION", 7)
    dataset = DeviceTelemetry(10_000, 1)
    assert dataset.members.count == 7
    part = dataset.records(Slice(DAY, 9_000, 50, 10_000), np.random.default_rng(1))
    assert len(part.lines()) == 50


def _time(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["event_time"]).astimezone(UTC)
