"""`device_telemetry`: check-ins of managed devices, every eight hours, as a device-management service receives them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples import collection
from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import Devices
from minimize.samples.values import only, picked, taken

PLACES = (
    (48.8566, 2.3522),
    (52.52, 13.405),
    (40.7128, -74.006),
    (51.5072, -0.1276),
    (-33.8688, 151.2093),
    (35.6764, 139.65),
)
"""Where each tenant is."""


class DeviceTelemetry(Dataset[Devices]):
    """Devices check in three times a day; every third time they bring an inventory."""

    population = Devices
    subject = "device_id"
    daily = 3
    facts = (
        *("device_id", "device_type", "owner_type", "operating_system", "management_agent"),
        *(
            "user_id",
            "user_principal_name",
            "device_name",
            "serial_number",
            "imei",
            "wifi_mac",
            "phone_number",
            "carrier",
        ),
        *("activation_lock_bypass_code", "manufacturer", "model", "enrolled_date_time", "bios_date", "os_installed"),
        *("os_language", "os_version", "security_patch", "is_encrypted", "is_supervised", "lost_mode", "jail_broken"),
        *("compliance_state", "labels", "hardware"),
    )
    settings_by = (
        *(collection.levels, collection.recorded_later, collection.app_inventory, collection.location),
        collection.usage,
    )
    wrong = (("battery_pct", "87"), ("apps", "none"), ("free_storage_bytes", 1.5))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        self._apps = self.members.apps.lists

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Where the device is, its state, and what is installed."""
        random, count = rows.random, len(rows)
        roaming, located = rows.chance(0.2), rows.chance(0.4)
        home = rows.members * 7 % len(self.addresses)
        address = np.where(roaming, random.integers(0, len(self.addresses), count), home)
        place = np.round(np.array(PLACES)[self.members.tenant[rows.members]] + random.normal(0, 0.2, (count, 2)), 6)
        network = {
            "type": rows.pick(("wifi", "cellular", "ethernet")),
            "ssid": rows.pick(("Lobby-5G", "Carols-Home", "Café"), where=roaming),
        }
        battery = np.round(random.integers(0, 1001, count) / 10, 1)
        free = (self.members.storage[rows.members] * random.beta(2, 4, count)).astype(np.int64)
        return {
            "ip_address": picked(self.addresses, address),
            "latitude": only(pa.array(place[:, 0]), located),
            "longitude": only(pa.array(place[:, 1]), located),
            "network": pa.StructArray.from_arrays(list(network.values()), names=list(network)),
            "battery_pct": only(pa.array(battery), rows.chance(0.95)),
            "free_storage_bytes": pa.array(free),
            "portal_opens": pa.array(random.poisson(1.5, count)),
            "apps": taken(self._apps, np.where(rows.chance(1 / 3), rows.members, -1)),
            "support_note": rows.pick(self.world.people.notes, where=rows.chance(0.04)),
        }
