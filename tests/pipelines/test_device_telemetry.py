"""What the check-ins look like when they have passed: the golden cases of collection and precision."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from minimize.samples.apps import APPS, MANAGED
from minimize.samples.world import TENANTS

from .shipped import AT, Runs

LOCATED, INVENTORIED, INVENTORIED_AGAIN, DAMPED = TENANTS[2], TENANTS[0], TENANTS[1], TENANTS[3]


@pytest.fixture(name="rows", scope="module")
def _rows(runs: Runs) -> list[dict[str, Any]]:
    return runs["device_telemetry"].rows()


@pytest.fixture(name="support", scope="module")
def _support(runs: Runs) -> list[dict[str, Any]]:
    return runs["device_support"].rows()


def test_location_is_there_only_where_it_was_turned_on(rows: list[dict[str, Any]]) -> None:
    located = [row for row in rows if row["latitude"] is not None or row["longitude"] is not None]
    assert located
    assert {row["tenant_id"] for row in located} == {LOCATED}


def test_location_is_gone_after_a_day_and_absent_while_it_was_off(rows: list[dict[str, Any]]) -> None:
    times = [row["event_time"] for row in rows if row["latitude"] is not None]
    assert min(times) >= datetime(2026, 11, 24, 6, tzinfo=UTC)
    assert min(times) > datetime.fromisoformat(AT) - timedelta(hours=24)


def test_location_is_coarse(rows: list[dict[str, Any]]) -> None:
    assert all(round(row["latitude"], 1) == row["latitude"] for row in rows if row["latitude"] is not None)


def test_times_are_hours_and_addresses_networks(rows: list[dict[str, Any]]) -> None:
    assert all(row["event_time"].minute == row["event_time"].second == 0 for row in rows)
    addresses = {row["ip_address"] for row in rows} - {None}
    assert all(str(ip_address(address)).endswith((".0", "::")) for address in addresses)


def test_a_personal_device_shows_managed_applications_only_and_only_with_the_inventory(
    rows: list[dict[str, Any]],
) -> None:
    personal = [row for row in rows if row["owner_type"] == "personal" and row["apps"]]
    assert {app["name"] for row in personal for app in row["apps"]} <= set(APPS[:MANAGED])
    assert {row["tenant_id"] for row in personal} == {INVENTORIED, INVENTORIED_AGAIN}


def test_a_corporate_device_shows_all_applications_without_the_inventory(rows: list[dict[str, Any]]) -> None:
    corporate = [row for row in rows if row["owner_type"] == "corporate" and row["apps"]]
    names = {app["name"] for row in corporate for app in row["apps"]}
    assert names > set(APPS[:MANAGED])
    assert {row["tenant_id"] for row in corporate} == set(TENANTS)


def test_an_application_shows_its_name_and_version_only(rows: list[dict[str, Any]]) -> None:
    assert {tuple(app) for row in rows for app in row["apps"] or []} == {("name", "version")}


def test_what_the_purpose_does_not_need_is_no_column(runs: Runs) -> None:
    names = set(runs["device_telemetry"].table().schema.names)
    assert not names & {"phone_number", "support_note", "user_id", "device_name", "serial_number", "labels"}


def test_below_the_basic_level_there_is_no_battery(rows: list[dict[str, Any]]) -> None:
    assert {row["tenant_id"] for row in rows if row["battery_pct"] is not None} == set(TENANTS[:3])


def test_an_opt_out_survives_what_the_administrator_turned_on(rows: list[dict[str, Any]]) -> None:
    alpine = [row for row in rows if row["tenant_id"] == INVENTORIED]
    out = {row["device_id"] for row in alpine if row["portal_opens"] is None}
    counted = {row["device_id"] for row in alpine if row["portal_opens"] is not None}
    assert out - counted
    assert counted
    assert DAMPED not in {row["tenant_id"] for row in rows if row["portal_opens"] is not None}


def test_the_help_desk_sees_four_digits_of_a_personal_number(support: list[dict[str, Any]]) -> None:
    numbers = {row["phone_number"] for row in support if row["owner_type"] == "personal"} - {None}
    assert numbers
    assert all(re.fullmatch(r"\*{4}[0-9]{4}", number) for number in numbers)


def test_the_help_desk_sees_the_whole_number_of_a_corporate_device(support: list[dict[str, Any]]) -> None:
    corporate = [row for row in support if row["owner_type"] == "corporate" and row["phone_number"]]
    assert corporate
    assert all(re.fullmatch(r"\+[0-9]{11,12}", row["phone_number"]) for row in corporate)


def test_a_dedicated_device_shows_no_number_to_anybody(support: list[dict[str, Any]]) -> None:
    dedicated = [row for row in support if row["device_type"] == "android_dedicated"]
    assert dedicated
    assert {row["phone_number"] for row in dedicated} == {None}


def test_notes_have_lost_addresses_and_numbers(support: list[dict[str, Any]]) -> None:
    notes = "\n".join(row["support_note"] for row in support if row["support_note"])
    assert "[email]" in notes
    assert "@mail.example" not in notes
    assert "+1202555" not in notes


def test_one_check_in_of_a_device_a_day(runs: Runs) -> None:
    rows = runs["daily_checkins"].rows()
    seen = [(row["date"], row["event_time"].date(), row["device_id"]) for row in rows]
    assert len(seen) == len(set(seen))
    assert runs["daily_checkins"].receipt["rows"]["deduplicated"] > len(rows)


def test_devices_per_application_count_devices_and_not_check_ins(runs: Runs) -> None:
    devices = len({row["device_id"] for row in runs["device_telemetry"].rows()})
    counted = [row["devices"] for row in runs["device_telemetry"].rows("devices_per_application")]
    assert max(counted) < devices
    assert all(count % 5 == 0 for count in counted)
