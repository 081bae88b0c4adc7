"""`device_telemetry`: check-ins of managed devices, every eight hours, as a device-management service receives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples import lines, values
from minimize.samples.apps import inventories
from minimize.samples.base import DAY, TENANTS, Slice, delayed
from minimize.samples.collection import Clock, Setting, said, switched
from minimize.samples.faults import Faults
from minimize.samples.fleet import ANDROID, DEDICATED, Fleet, fleet
from minimize.samples.lines import member, quoted, texts
from minimize.samples.people import addresses, people
from minimize.samples.values import Ints, Random, chance, only

CHECKINS = 3
"""A day."""
LARGEST = 300_000
"""Devices; larger samples have more check-ins a device."""

VERSIONS = (
    ("10.0.19045.3803", "10.0.22631.4460", "10.0.26100.2314", "10.0.19044.1288"),
    ("14.5.1", "15.1", "13.6.9", "12.7.6"),
    ("18.1.1", "17.5.1", "16.7.10", "15.8.3"),
    ("18.1", "17.5.1", "16.7.10", "15.8"),
    ("14", "13", "8.0.0", "12.1"),
    ("15", "14", "13", "12.1"),
    ("11", "10.0", "8.1.0", "11"),
)
STATES = ("compliant", "noncompliant", "inGracePeriod", "unknown", "conflict", "error", "configManager")
PLACES = (
    (48.8566, 2.3522),
    (52.52, 13.405),
    (40.7128, -74.006),
    (51.5072, -0.1276),
    (-33.8688, 151.2093),
    (35.6764, 139.65),
)
APP = pa.struct(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        ("version", pa.string()),
        ("managed", pa.bool_()),
        ("bundle_size", pa.int64()),
    ]
)


class DeviceTelemetry:
    """A fleet that checks in three times a day."""

    schema: ClassVar[pa.Schema] = pa.schema(
        [
            *((name, pa.string()) for name in ("event_id", "tenant_id", "device_id", "device_type", "owner_type")),
            *((name, pa.string()) for name in ("management_agent", "user_id", "user_principal_name", "device_name")),
            *((name, pa.string()) for name in ("serial_number", "imei", "wifi_mac", "phone_number", "carrier")),
            *((name, pa.string()) for name in ("activation_lock_bypass_code", "manufacturer", "model")),
            ("enrolled_date_time", pa.timestamp("ms", "UTC")),
            ("bios_date", pa.date32()),
            ("os_installed", pa.date32()),
            ("os_language", pa.string()),
            ("is_encrypted", pa.bool_()),
            (
                "hardware",
                pa.struct([("total_storage_bytes", pa.int64()), ("memory_bytes", pa.int64()), ("cpu", pa.string())]),
            ),
            ("event_time", pa.timestamp("ms", "UTC")),
            ("ip_address", pa.string()),
            ("latitude", pa.float64()),
            ("longitude", pa.float64()),
            ("os_version", pa.string()),
            ("security_patch", pa.date32()),
            ("battery_pct", pa.float64()),
            ("free_storage_bytes", pa.int64()),
            ("compliance_state", pa.string()),
            ("jail_broken", pa.bool_()),
            ("portal_opens", pa.int64()),
            ("network", pa.struct([("type", pa.string()), ("ssid", pa.string())])),
            ("apps", pa.list_(APP)),
            ("support_note", pa.string()),
        ]
    )

    def __init__(self, per_day: int, seed: int) -> None:
        random = np.random.default_rng([seed, 1])
        who = people(seed)
        self.fleet: Fleet = fleet(min(LARGEST, max(1, -(-per_day // CHECKINS))), who, random)
        self._notes = texts(who.notes)
        self._addresses = texts(addresses(random))
        self._inventories = inventories(len(self.fleet.ids), random)

    @property
    def faults(self) -> Faults:
        """A phone that sends its contacts, a battery that is a word …"""
        return Faults(
            missing=("device_id", "tenant_id"),
            wrong={"battery_pct": "87", "apps": "none", "free_storage_bytes": 1.5},
            time="event_time",
            forbidden={"contacts": [{"name": "Carol", "phone": "+12025550199"}], "password": "correct horse"},
            strange={"debug": {"build": "nightly"}, "beta_ring": 3, "carol@mail.example": True},
        )

    def records(self, part: Slice, random: Random) -> pa.StringArray:
        """Check-ins in the order in which they arrive."""
        number = np.arange(part.start, part.start + part.count)
        device = number % len(self.fleet.ids)
        slot = number // len(self.fleet.ids) % CHECKINS
        start = part.midnight + slot * (DAY // CHECKINS) + device * 7919 % (DAY // CHECKINS)
        events, arrival = delayed(start + random.integers(0, 60_000, part.count), random)
        return self._render(device[arrival], events[arrival], random)

    def settings(self, clock: Clock, random: Random) -> Sequence[Setting]:
        """Windows of on and off, corrections, opt-outs; the last tenant says nothing."""
        return [*_levels(clock), *_inventory(clock), *_location(clock), *self._usage(clock, random)]

    def _usage(self, clock: Clock, random: Random) -> list[Setting]:
        rows = switched(TENANTS[0], "usage", [clock.before(60)]) + switched(TENANTS[1], "usage", [clock.before(60)])
        rows += switched(TENANTS[1], "usage", [clock.before(50), clock.before(5), clock.on_last(4)], "developer")
        chosen = random.permutation(np.flatnonzero(self.fleet.tenants == 0))[: max(1, len(self.fleet.ids) // 20)]
        for device in self.fleet.ids.take(pa.array(chosen)).to_pylist():
            rows.append(said(TENANTS[0], "usage", "off", clock.before(3), "user", subject=device))
        return rows

    def _render(self, device: Ints, events: Ints, random: Random) -> pa.StringArray:
        rows = pa.array(device)
        columns = [
            member("event_id", quoted(values.guids(random, len(device)))),
            self.fleet.members.take(rows),
            member("event_time", _instants(events, random)),
            *self._place(device, random),
            *self._software(device, random),
            *self._health(device, random),
            member("apps", only(self._inventories.take(rows), chance(random, len(device), 0.35))),
            member("support_note", only(_any(self._notes, len(device), random), chance(random, len(device), 0.04))),
        ]
        return lines.record(columns)

    def _place(self, device: Ints, random: Random) -> list[pa.StringArray]:
        count = len(device)
        home = device * 7 % len(self._addresses)
        roaming = chance(random, count, 0.2)
        address = np.where(roaming, random.integers(0, len(self._addresses), count), home)
        centre = np.array(PLACES)[self.fleet.tenants[device]]
        located = chance(random, count, 0.3)
        near = np.round(centre + random.normal(0, 0.2, (count, 2)), 6)
        network = [member("type", _any(texts(("wifi", "cellular", "ethernet")), count, random))]
        network.append(member("ssid", only(_any(texts(("Lobby-5G", "Carols-Home", "Café")), count, random), roaming)))
        return [
            member("ip_address", self._addresses.take(pa.array(address))),
            member("latitude", only(lines.numbers(pa.array(near[:, 0])), located)),
            member("longitude", only(lines.numbers(pa.array(near[:, 1])), located)),
            member("network", lines.record(network)),
        ]

    def _software(self, device: Ints, random: Random) -> list[pa.StringArray]:
        kinds = self.fleet.kinds[device]
        version = kinds * 4 + np.minimum(device % 7, 3)
        known = texts([*(text for group in VERSIONS for text in group), "unknown"])
        patch = values.days(20_300 + device % 8 * 30)
        android = (kinds >= ANDROID) & (kinds <= DEDICATED)
        return [
            member("os_version", known.take(pa.array(np.where(chance(random, len(device), 0.005), 28, version)))),
            member("security_patch", quoted(only(patch, android))),
        ]

    def _health(self, device: Ints, random: Random) -> list[pa.StringArray]:
        count = len(device)
        battery = np.round(random.integers(0, 1001, count) / 10, 1)
        free = (self.fleet.storage[device] * random.beta(2, 4, count)).astype(np.int64)
        state = values.weighted(random, count, (88, 5, 3, 2, 0.5, 0.5, 1))
        return [
            member("battery_pct", only(lines.numbers(pa.array(battery)), chance(random, count, 0.95))),
            member("free_storage_bytes", lines.numbers(pa.array(free))),
            member("compliance_state", texts(STATES).take(pa.array(state))),
            member("jail_broken", lines.numbers(pa.array(chance(random, count, 0.01)))),
            member("portal_opens", lines.numbers(pa.array(random.poisson(1.5, count)))),
        ]


def _any(pool: pa.StringArray, count: int, random: Random) -> pa.StringArray:
    return pool.take(pa.array(random.integers(0, len(pool), count)))


def _instants(events: Ints, random: Random) -> pa.StringArray:
    """Mostly with `Z`, here and there with an offset."""
    count = len(events)
    east = values.times(events + 3_600_000)
    with_offset = lines.concatenated(pc.utf8_slice_codeunits(east, 0, 23), "+01:00")
    return quoted(pc.if_else(pa.array(chance(random, count, 0.01)), with_offset, values.times(events)))


def _levels(clock: Clock) -> list[Setting]:
    alpine, harbour, orchard, quarry = TENANTS[:4]
    return [
        said(alpine, "level", "enhanced", clock.before(60)),
        said(harbour, "level", "basic", clock.before(60)),
        said(orchard, "level", "full", clock.before(20)),
        said(orchard, "level", "enhanced", clock.before(15), "developer"),
        said(quarry, "level", "enhanced", clock.before(60)),
        said(quarry, "level", "required", clock.on_last(12)),
        said(harbour, "level", "full", clock.before(10), recorded=clock.on_last(24 * 30)),
    ]


def _inventory(clock: Clock) -> list[Setting]:
    alpine, harbour = TENANTS[:2]
    windows = [clock.before(60), clock.before(10), clock.before(3)]
    corrected = said(harbour, "app_inventory", "off", clock.before(3), recorded=clock.before(2))
    again = said(harbour, "app_inventory", "on", clock.before(2), recorded=clock.before(2))
    return [
        *switched(alpine, "app_inventory", [clock.before(60)]),
        *switched(harbour, "app_inventory", windows),
        corrected,
        again,
    ]


def _location(clock: Clock) -> list[Setting]:
    """One tenant looks for lost devices, with a pause until the last morning; another stopped long ago."""
    return [
        *switched(TENANTS[2], "location", [clock.before(20), clock.before(2), clock.on_last(6)]),
        *switched(TENANTS[3], "location", [clock.before(40), clock.before(30)]),
    ]
