"""`threat_defense_app_sync`: applications on iPhones and iPads, which a vendor of mobile threat defense judges."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa

from minimize.samples import collection
from minimize.samples.apps import APPS, IDS, VERSIONS, size, version
from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import IPAD, IPHONE, Devices
from minimize.samples.values import Ints, picked, taken
from minimize.samples.world import Population

STEPS = [(app, step) for app in range(len(APPS)) for step in range(VERSIONS)]
EACH = 4
"""Fewer applications than most of the devices have."""


class InstalledApps(Population):
    """Applications of iPhones and iPads, device by device."""

    seeded_as = "installed_apps"

    @cached_property
    def devices(self) -> Devices:
        """So many devices that they have enough applications."""
        amount = 4 * self.count // EACH + 32
        while (found := Devices(self.world, amount)).apps.counts[self._fits(found)].sum() < self.count:
            amount *= 2
        return found

    @cached_property
    def places(self) -> Ints:
        """The places of the applications among those that are installed."""
        return np.flatnonzero(self._fits(self.devices)[self.devices.apps.devices])[: self.count]

    @cached_property
    def device(self) -> Ints:
        """The number of the device that has each."""
        return self.devices.apps.devices[self.places]

    @cached_property
    def tenant(self) -> Ints:
        """The tenant of the device."""
        return self.devices.tenant[self.device]

    @cached_property
    def device_id(self) -> pa.StringArray:
        """The device."""
        return taken(self.devices.device_id, self.device)

    @cached_property
    def build(self) -> Ints:
        """The application in its version, as a place among `STEPS`."""
        apps = self.devices.apps
        return apps.apps[self.places] * VERSIONS + apps.versions[self.places]

    @cached_property
    def managed(self) -> pa.Array:
        """Whether the organization manages it."""
        return pa.array(self.devices.apps.managed[self.places] == 1)

    def _fits(self, devices: Devices) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.isin(devices.kind, (IPHONE, IPAD))


class ThreatDefenseAppSync(Dataset[InstalledApps]):
    """A record for each application of a device and day."""

    population = InstalledApps
    subject = "device_id"
    facts = ("device_id", "managed")
    settings_by = (collection.app_inventory,)
    wrong = (("bundle_size", 1.5), ("managed", "yes"))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The application."""
        build = self.members.build
        short = [version(app, step) for app, step in STEPS]
        return {
            **super().fixed_columns(),
            "app_id": picked([IDS[app] for app, _ in STEPS], build),
            "name": picked([APPS[app] for app, _ in STEPS], build),
            "version": picked([f"{text}.{340 + 3 * place}" for place, text in enumerate(short)], build),
            "short_version": picked(short, build),
            "bundle_size": picked([size(app, step) for app, step in STEPS], build),
            "validated": pa.array(~self.members.chance("validated", 0.03)),
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """How much data the application holds."""
        return {"dynamic_size": pa.array(rows.random.lognormal(15, 2, len(rows)).astype(np.int64))}
