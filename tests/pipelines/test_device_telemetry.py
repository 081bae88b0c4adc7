"""What the check-ins look like when they have passed: the golden cases of collection and precision."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from minimize_samples.devices import APP_NAMES, MANAGED_APPS
from minimize_samples.world import TENANTS

from minimize import apply, read
from minimize.errors import KeyringError
from minimize.policy.load import load_policy

from .shipped import AT, PIPELINES, Runs

LOCATED, INVENTORIED, INVENTORIED_AGAIN, DAMPED = TENANTS[2], TENANTS[0], TENANTS[1], TENANTS[3]


@pytest.fixture(name="rows", scope="module")
def _rows(runs: Runs) -> list[dict[str, Any]]:
    return runs["device_telemetry"].rows()


@pytest.fixture(name="support", scope="module")
def _support(runs: Runs) -> list[dict[str, Any]]:
    return runs["device_support"].rows()


def test_positions_are_no_column_for_those_who_keep_the_service_running(runs: Runs) -> None:
    for name in ("device_telemetry", "daily_checkins"):
        assert not {"position", "latitude", "longitude", "lost_mode"} & set(runs[name].table().schema.names)


def test_no_position_leaves_of_a_device_that_is_not_lost_and_located(support: list[dict[str, Any]]) -> None:
    located = [row for row in support if row["position"] is not None]
    assert all(row["lost_mode"] and row["is_supervised"] and row["owner_type"] == "corporate" for row in located)
    assert {row["tenant_id"] for row in located} <= {LOCATED}
    assert "latitude" not in support[0]


LOST = {
    "event_id": "e1",
    "tenant_id": "contoso",
    "device_id": "d1",
    "event_time": datetime(2026, 11, 24, 10, 23, tzinfo=UTC),
    "device_type": "iphone",
    "owner_type": "corporate",
    "is_supervised": True,
    "lost_mode": True,
    "latitude": 48.8566,
    "longitude": 2.3522,
}
HEAD = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
TENANT = "contoso,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
ACTION = (
    "contoso,d1,location,on,admin,2026-11-24T10:00:00Z,2026-11-24T10:00:00Z\n"
    "contoso,d1,location,off,admin,2026-11-25T10:00:00Z,2026-11-24T10:00:00Z\n"
)


def position(
    runs: Runs, folder: Path, settings: str = TENANT + ACTION, at: str = AT, **changes: Any
) -> dict[str, float] | None:
    """The position that the help desk gets of one device."""
    policy = load_policy(PIPELINES / "device_telemetry" / "policy.yaml")
    fields = {key: field.model_copy(update={"optional": True}) for key, field in policy.fields.items()}
    schema = pa.schema([(name, _type(value)) for name, value in LOST.items()])
    data = pa.Table.from_pylist([{**LOST, **changes}], schema)
    (folder / "settings.csv").write_text(HEAD + settings)
    shipped = policy.model_copy(update={"fields": fields})
    given = apply(shipped, data, purpose="customer_support", settings=folder / "settings.csv", keys=runs.keys, at=at)
    found: dict[str, float] | None = given["position"][0].as_py()
    return found


def _type(value: Any) -> pa.DataType:
    return pa.timestamp("us", "UTC") if isinstance(value, datetime) else pa.scalar(value).type


def test_the_position_of_a_lost_device_that_is_located_is_that_of_a_cell_of_300_metres(
    runs: Runs, tmp_path: Path
) -> None:
    found = position(runs, tmp_path)
    assert found == pytest.approx({"latitude": 48.8566, "longitude": 2.3522}, abs=0.003)
    assert found != {"latitude": 48.8566, "longitude": 2.3522}


@pytest.mark.parametrize(
    "changes",
    [
        {"owner_type": "personal"},
        {"owner_type": "unknown"},
        {"device_type": "windows"},
        {"device_type": "mac"},
        {"device_type": "android"},
        {"is_supervised": False},
        {"is_supervised": None},
        {"lost_mode": False},
        {"lost_mode": None},
        {"device_id": "d2"},
        {"tenant_id": "fabrikam"},
        {"event_time": datetime(2026, 11, 24, 9, 59, tzinfo=UTC)},
    ],
)
def test_no_other_position_is_collected(runs: Runs, tmp_path: Path, changes: dict[str, Any]) -> None:
    assert position(runs, tmp_path, **changes) is None


@pytest.mark.parametrize(
    "settings",
    [
        "",
        TENANT,
        ACTION,
        TENANT + ACTION + "contoso,d1,location,off,user,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z\n",
        TENANT + ACTION + "contoso,,location,off,developer,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z\n",
    ],
)
def test_the_tenant_and_an_action_must_both_let_it_be_located(runs: Runs, tmp_path: Path, settings: str) -> None:
    assert position(runs, tmp_path, settings) is None


def test_a_position_is_gone_with_the_action_and_after_a_day(runs: Runs, tmp_path: Path) -> None:
    assert position(runs, tmp_path, at="2026-11-25T10:00:00Z") is None
    begun = ACTION.splitlines(keepends=True)[0]
    lasting = TENANT + begun + begun.replace("2026-11-24T10", "2026-11-24T20")
    assert position(runs, tmp_path, lasting, at="2026-11-25T10:22:59Z") is not None
    assert position(runs, tmp_path, lasting, at="2026-11-25T10:23:00Z") is None


def test_the_output_that_may_hold_positions_is_encrypted(runs: Runs) -> None:
    with pytest.raises(KeyringError):
        read(runs["device_support"].output, keys=None)


def test_times_are_hours_and_addresses_networks(rows: list[dict[str, Any]]) -> None:
    assert all(row["event_time"].minute == row["event_time"].second == 0 for row in rows)
    addresses = {row["ip_address"] for row in rows} - {None}
    assert all(str(ip_address(address)).endswith((".0", "::")) for address in addresses)


def test_a_personal_device_shows_managed_applications_only_and_only_with_the_inventory(
    rows: list[dict[str, Any]],
) -> None:
    personal = [row for row in rows if row["owner_type"] == "personal" and row["apps"]]
    assert {app["name"] for row in personal for app in row["apps"]} <= set(APP_NAMES[:MANAGED_APPS])
    assert {row["tenant_id"] for row in personal} == {INVENTORIED, INVENTORIED_AGAIN}


def test_a_corporate_windows_device_shows_managed_applications_only(rows: list[dict[str, Any]]) -> None:
    windows = [
        row for row in rows if (row["owner_type"], row["device_type"]) == ("corporate", "windows") and row["apps"]
    ]
    assert {app["name"] for row in windows for app in row["apps"]} <= set(APP_NAMES[:MANAGED_APPS])


@pytest.mark.parametrize("device_type", ["mac", "iphone", "android"])
def test_another_corporate_device_shows_all_applications_without_the_inventory(
    rows: list[dict[str, Any]], device_type: str
) -> None:
    shown = [row for row in rows if row["owner_type"] == "corporate" and row["apps"]]
    corporate = [row for row in shown if row["device_type"] == device_type]
    names = {app["name"] for row in corporate for app in row["apps"]}
    assert names - set(APP_NAMES[:MANAGED_APPS])
    assert {row["tenant_id"] for row in shown} == set(TENANTS)


def test_an_application_shows_its_name_and_version_only(rows: list[dict[str, Any]]) -> None:
    assert {tuple(app) for row in rows for app in row["apps"] or []} == {("name", "version")}


def test_fields_without_a_purpose_are_no_columns(runs: Runs) -> None:
    names = set(runs["device_telemetry"].table().schema.names)
    assert not names & {"phone_number", "support_note", "user_principal_name", "device_name", "serial_number", "labels"}


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


def test_a_dedicated_device_never_shows_its_phone_number(support: list[dict[str, Any]]) -> None:
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
    assert max(counted, default=0) <= devices + 24
