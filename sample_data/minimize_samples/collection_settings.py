"""Collection settings over time: holder, setting and value, with the time from which it is valid and the time of recording.

Tenants decide once for all datasets; only decisions of single subjects differ. The tenant Lantern has no settings.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from minimize.times import day_start
from minimize_samples import arrays
from minimize_samples.arrays import Ints, Random
from minimize_samples.world import APP_INVENTORY_TENANTS, LOST_DEVICES, TENANTS


@dataclass(frozen=True, slots=True)
class SampleSetting:
    """One row: the holder sets this value from `valid_from` on. Without a subject, the row applies to the whole tenant.

    field  the field that contains the subject's id; empty for the subject of the dataset
    """

    tenant_id: str
    subject: str
    setting: str
    value: str
    holder: str
    valid_from: datetime
    recorded_at: datetime
    field: str = ""


@dataclass(frozen=True, slots=True)
class SampleClock:
    """Times relative to the sample: its first day and its last."""

    first: date
    last: date

    def before(self, days: float) -> datetime:
        """A number of days before the start of the first day."""
        return day_start(self.first) - timedelta(days=days)

    def on_last(self, hours: float) -> datetime:
        """A number of hours after the start of the last day."""
        return day_start(self.last) + timedelta(hours=hours)


@dataclass(frozen=True, slots=True)
class SampleSubjects:
    """The subjects of a dataset, and the index of each subject's tenant in `TENANTS`.

    persons  the distinct users of the subjects, each with its tenant's index, if the dataset names them in `user_id`
    """

    ids: pa.StringArray
    tenants: Ints
    persons: tuple[tuple[str, int], ...] = ()

    def of_tenant(self, tenant: int) -> Ints:
        """The numbers of a tenant's subjects."""
        return np.flatnonzero(self.tenants == tenant)

    def ids_of(self, numbers: Ints) -> list[str]:
        """Their ids."""
        names: list[str] = self.ids.take(pa.array(numbers)).to_pylist()
        return names


def sample_setting(
    tenant: str,
    setting: str,
    value: str,
    at: datetime,
    holder: str = "admin",
    *,
    subject: str = "",
    recorded: datetime | None = None,
    field: str = "",
) -> SampleSetting:
    """A setting that is by default recorded when it becomes valid."""
    return SampleSetting(
        tenant_id=tenant,
        subject=subject,
        setting=setting,
        value=value,
        holder=holder,
        valid_from=at,
        recorded_at=recorded or at,
        field=field,
    )


def toggle_settings(
    tenant: str, setting: str, times: Iterable[datetime], holder: str = "admin", *, subject: str = "", field: str = ""
) -> list[SampleSetting]:
    """On at the first time, off at the second, on at the third …"""
    return [
        sample_setting(tenant, setting, "off" if index % 2 else "on", at, holder, subject=subject, field=field)
        for index, at in enumerate(times)
    ]


def level_settings(clock: SampleClock, subjects: SampleSubjects, random: Random) -> list[SampleSetting]:
    """Every level is in force somewhere; one is lowered by the developer, one at noon of the last day."""
    alpine, harbour, orchard, quarry, meadow, _ = TENANTS
    return [
        sample_setting(alpine, "level", "full", clock.before(60)),
        sample_setting(alpine, "level", "enhanced", clock.before(15), "developer"),
        sample_setting(harbour, "level", "basic", clock.before(60)),
        sample_setting(orchard, "level", "full", clock.before(60)),
        sample_setting(quarry, "level", "enhanced", clock.before(60)),
        sample_setting(quarry, "level", "required", clock.on_last(12)),
        sample_setting(meadow, "level", "required", clock.before(60)),
    ]


def app_inventory_settings(clock: SampleClock, subjects: SampleSubjects, random: Random) -> list[SampleSetting]:
    """On in one tenant; on with a pause in another one, whose end was recorded late and then corrected."""
    alpine, harbour = (TENANTS[tenant] for tenant in APP_INVENTORY_TENANTS)
    return [
        *toggle_settings(alpine, "app_inventory", [clock.before(60)]),
        *toggle_settings(harbour, "app_inventory", [clock.before(60), clock.before(10), clock.before(3)]),
        sample_setting(harbour, "app_inventory", "off", clock.before(3), recorded=clock.before(2)),
        sample_setting(harbour, "app_inventory", "on", clock.before(2)),
    ]


def location_settings(clock: SampleClock, subjects: SampleSubjects, random: Random) -> list[SampleSetting]:
    """One tenant has the search for lost devices on, with a pause until the last morning; another tenant turned it off long ago.

    In the first tenant, some devices are searched for during some hours from the last day on; one in three is found by evening.
    """
    orchard, quarry = TENANTS[2:4]
    rows = [
        *toggle_settings(orchard, "location", [clock.before(20), clock.before(2), clock.on_last(6)]),
        *toggle_settings(quarry, "location", [clock.before(40), clock.before(30)]),
    ]
    for index, device in enumerate(subjects.ids_of(subjects.of_tenant(2)[:LOST_DEVICES])):
        start, end = clock.on_last(6 + index % 3), clock.on_last(20 if index % 3 == 2 else 32)
        rows.append(sample_setting(orchard, "location", "on", start, subject=device))
        rows.append(sample_setting(orchard, "location", "off", end, subject=device, recorded=start))
    return rows


def usage_settings(clock: SampleClock, subjects: SampleSubjects, random: Random) -> list[SampleSetting]:
    """Three users in four of two tenants turn it on for themselves; one in eight of the first tenant off again."""
    on, off, rows = clock.before(60), clock.before(3), list[SampleSetting]()
    for index, (person, tenant) in enumerate(subjects.persons):
        if tenant < 2 and index % 4:
            times = [on, off] if tenant == 0 and index % 8 == 1 else [on]
            rows += toggle_settings(TENANTS[tenant], "usage", times, "user", subject=person, field="user_id")
    return rows


def own_usage_settings(clock: SampleClock, subjects: SampleSubjects, random: Random) -> list[SampleSetting]:
    """Seven subjects in ten turn it on for themselves; a few of them off again, and one in fifty back on after a pause."""
    on, off, again = clock.before(45), clock.before(4), clock.on_last(5)
    times: tuple[list[datetime], ...] = ([], [on], [on, off], [on, off, again])
    choices = arrays.weighted_codes(random, len(subjects.ids), (30, 60, 8, 2))
    return [
        row
        for subject, tenant, choice in zip(subjects.ids.to_pylist(), subjects.tenants, choices, strict=True)
        for row in toggle_settings(
            TENANTS[tenant], "usage", times[choice], "user", subject=subject, field="sdk_user_id"
        )
    ]


def sdk_settings(clock: SampleClock, subjects: SampleSubjects, random: Random) -> list[SampleSetting]:
    """On by the developer in all tenants but the last, in the second one with a pause."""
    always = [clock.before(60)]
    paused = [*always, clock.before(6), clock.on_last(2)]
    return [
        row
        for place, tenant in enumerate(TENANTS[:5])
        for row in toggle_settings(tenant, "sdk", paused if place == 1 else always, "developer")
    ]


def write_settings(rows: Sequence[SampleSetting], path: Path, random: Random) -> None:
    """The rows as CSV, in no particular order: a reader has to sort them by their times. `field` is written if a row has one."""
    names = [each.name for each in fields(SampleSetting) if each.name != "field" or any(row.field for row in rows)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(_cells(rows[index])[: len(names)] for index in random.permutation(len(rows)).tolist())


def _cells(row: SampleSetting) -> list[str]:
    return [value.isoformat() if isinstance(value, datetime) else value for value in astuple(row)]
