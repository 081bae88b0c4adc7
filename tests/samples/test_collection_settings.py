"""Collection settings over time."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from minimize_samples import collection_settings
from minimize_samples.collection_settings import (
    SampleClock,
    SampleSetting,
    SampleSubjects,
    sample_setting,
    toggle_settings,
    write_settings,
)
from minimize_samples.devices import Devices
from minimize_samples.world import LOST_DEVICES, TENANTS, World

CLOCK = SampleClock(date(2026, 11, 23), date(2026, 11, 24))


def test_the_clock_counts_from_midnight_utc() -> None:
    assert CLOCK.before(1.5) == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert CLOCK.on_last(6) == datetime(2026, 11, 24, 6, tzinfo=UTC)


def test_a_switch_is_alternately_on_and_off() -> None:
    rows = toggle_settings("t", "usage", [CLOCK.before(3), CLOCK.before(2), CLOCK.before(1)], "user", subject="s")
    assert [(row.value, row.holder, row.subject) for row in rows] == [
        ("on", "user", "s"),
        ("off", "user", "s"),
        ("on", "user", "s"),
    ]


def test_a_setting_is_by_default_recorded_when_it_becomes_valid() -> None:
    at = CLOCK.before(1)
    assert sample_setting("t", "level", "basic", at).recorded_at == at
    assert sample_setting("t", "level", "basic", at, recorded=at + timedelta(days=9)).recorded_at == at + timedelta(
        days=9
    )


def test_the_file_has_the_header_of_a_settings_file_and_times_with_an_offset(tmp_path: Path) -> None:
    write_settings(
        [sample_setting("t", "usage", "on", CLOCK.before(1))], tmp_path / "settings.csv", np.random.default_rng(1)
    )
    header, row = list(csv.reader((tmp_path / "settings.csv").read_text().splitlines()))
    assert header == ["tenant_id", "subject", "setting", "value", "holder", "valid_from", "recorded_at"]
    assert row == ["t", "", "usage", "on", "admin", "2026-11-22T00:00:00+00:00", "2026-11-22T00:00:00+00:00"]


def test_rows_are_not_in_order_of_time(tmp_path: Path) -> None:
    write_settings(
        [sample_setting("t", "usage", "on", CLOCK.before(days)) for days in range(50, 0, -1)],
        tmp_path / "s.csv",
        np.random.default_rng(1),
    )
    times = [line.split(",")[5] for line in (tmp_path / "s.csv").read_text().splitlines()[1:]]
    assert times != sorted(times)
    assert len(times) == 50


DEVICES = Devices(World(1), 500)
SUBJECTS = SampleSubjects(DEVICES.device_id, DEVICES.tenant)


def rows(of: Callable[[SampleClock, SampleSubjects, np.random.Generator], list[SampleSetting]]) -> list[SampleSetting]:
    return of(CLOCK, SUBJECTS, np.random.default_rng(1))


def test_every_level_is_in_force_somewhere_and_the_last_tenant_decides_nothing() -> None:
    made = rows(collection_settings.level_settings)
    assert {row.value for row in made} == {"required", "basic", "enhanced", "full"}
    assert {row.tenant_id for row in made} == set(TENANTS[:5])


def test_location_is_on_in_one_tenant_and_not_before_the_last_morning() -> None:
    wide = sorted(
        (row for row in rows(collection_settings.location_settings) if not row.subject), key=lambda row: row.valid_from
    )
    last = {row.tenant_id: row for row in wide}
    assert [tenant for tenant, row in last.items() if row.value == "on"] == [TENANTS[2]]
    assert last[TENANTS[2]].valid_from == datetime(2026, 11, 24, 6, tzinfo=UTC)


def test_location_is_on_for_lost_devices_of_that_tenant_for_some_hours() -> None:
    own = [row for row in rows(collection_settings.location_settings) if row.subject]
    lost = DEVICES.device_id.filter(pa.array(DEVICES.is_lost & (DEVICES.tenant == 2))).to_pylist()
    assert [row.subject for row in own if row.value == "on"] == lost
    assert len(lost) == LOST_DEVICES
    on, off = ({row.subject: row.valid_from for row in own if row.value == value} for value in ("on", "off"))
    assert {(off[device] - on[device]) for device in lost} == {timedelta(hours=hours) for hours in (26, 25, 12)}


def test_users_of_devices_turn_usage_on_for_themselves_by_their_own_id() -> None:
    persons = tuple((f"u{number}", number % 3) for number in range(24))
    subjects = SampleSubjects(DEVICES.device_id, DEVICES.tenant, persons)
    own = collection_settings.usage_settings(CLOCK, subjects, np.random.default_rng(1))
    assert {(row.holder, row.field) for row in own} == {("user", "user_id")}
    assert {(row.tenant_id, row.value) for row in own} == {
        (TENANTS[0], "on"),
        (TENANTS[0], "off"),
        (TENANTS[1], "on"),
    }


def test_users_turn_usage_on_for_themselves_and_some_off_again() -> None:
    own = rows(collection_settings.own_usage_settings)
    assert {row.holder for row in own} == {"user"}
    assert {row.value for row in own} == {"on", "off"}
    assert all(row.subject for row in own)


def test_a_user_chooses_the_same_in_a_larger_sample() -> None:
    fewer = SampleSubjects(DEVICES.device_id[:100], DEVICES.tenant[:100])
    made = collection_settings.own_usage_settings(CLOCK, fewer, np.random.default_rng(1))
    assert rows(collection_settings.own_usage_settings)[: len(made)] == made


def test_only_the_developer_turns_the_kit_on() -> None:
    assert {row.holder for row in rows(collection_settings.sdk_settings)} == {"developer"}
