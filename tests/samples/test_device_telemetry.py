"""Check-ins of managed devices."""

import json
from collections import Counter
from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import Any

import numpy as np
import pytest

from minimize.samples.base import TENANTS, Slice
from minimize.samples.collection import Clock
from minimize.samples.device_telemetry import DeviceTelemetry

DAY = date(2026, 11, 24)


@pytest.fixture(name="dataset", scope="module")
def _dataset() -> DeviceTelemetry:
    return DeviceTelemetry(1500, 1)


@pytest.fixture(name="records", scope="module")
def _records(dataset: DeviceTelemetry) -> list[dict[str, Any]]:
    lines = dataset.records(Slice(DAY, 0, 1500, 1500), np.random.default_rng(1))
    return [json.loads(line) for line in lines.to_pylist()]


def test_a_device_checks_in_three_times_a_day(records: list[dict[str, Any]]) -> None:
    assert set(Counter(record["device_id"] for record in records).values()) == {3}


def test_check_ins_of_a_day_happen_on_that_day_but_for_the_late_ones(records: list[dict[str, Any]]) -> None:
    days = Counter(_time(record).date() for record in records)
    assert days[DAY] > 0.95 * len(records)
    assert min(days) < date(2026, 10, 26)


def test_events_are_out_of_order(records: list[dict[str, Any]]) -> None:
    times = [_time(record) for record in records]
    assert times != sorted(times)


def test_some_times_have_an_offset(records: list[dict[str, Any]]) -> None:
    assert {record["event_time"][-1] for record in records} == {"Z", "0"}


def test_every_record_has_only_fields_of_the_schema_and_labels(records: list[dict[str, Any]]) -> None:
    assert {name for record in records for name in record} == {*DeviceTelemetry.schema.names, "labels"}


def test_both_families_of_addresses_and_mapped_ones_are_there(records: list[dict[str, Any]]) -> None:
    addresses = {record["ip_address"] for record in records}
    assert any(address.startswith("::ffff:") for address in addresses)
    plain = [address for address in addresses if address.replace(":", "").replace(".", "").isalnum()]
    assert {ip_address(address).version for address in plain if address != "unknown"} == {4, 6}


def test_fields_that_may_be_missing_are_missing_somewhere(records: list[dict[str, Any]]) -> None:
    for name in ("battery_pct", "latitude", "apps", "phone_number", "imei", "support_note", "security_patch", "labels"):
        assert 0 < sum(name in record for record in records) < len(records), name


def test_the_last_tenant_says_nothing(dataset: DeviceTelemetry) -> None:
    rows = dataset.settings(Clock(DAY, DAY), np.random.default_rng(1))
    assert {row.tenant_id for row in rows} == set(TENANTS[:4])


def test_location_is_on_in_one_tenant_and_not_before_the_last_morning(dataset: DeviceTelemetry) -> None:
    rows = dataset.settings(Clock(DAY, DAY), np.random.default_rng(1))
    last = {row.tenant_id: row for row in sorted(rows, key=lambda row: row.valid_from) if row.setting == "location"}
    assert [tenant for tenant, row in last.items() if row.value == "on"] == [TENANTS[2]]
    assert last[TENANTS[2]].valid_from == datetime(2026, 11, 24, 6, tzinfo=UTC)


def test_users_opt_out_of_what_their_administrator_turned_on(dataset: DeviceTelemetry) -> None:
    rows = dataset.settings(Clock(DAY, DAY), np.random.default_rng(1))
    own = [row for row in rows if row.subject]
    assert {(row.setting, row.value, row.holder) for row in own} == {("usage", "off", "user")}
    assert {row.subject for row in own} <= set(dataset.fleet.ids.to_pylist())


def test_a_large_sample_has_a_bounded_population(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{DeviceTelemetry.__module__}.LARGEST", 7)
    dataset = DeviceTelemetry(10_000, 1)
    assert len(dataset.fleet.ids) == 7
    assert len(dataset.records(Slice(DAY, 9_000, 50, 10_000), np.random.default_rng(1))) == 50


def _time(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["event_time"]).astimezone(UTC)
