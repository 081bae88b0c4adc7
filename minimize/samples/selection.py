"""Some of the devices of the world: those of which third parties know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pyarrow as pa

from minimize.samples.devices import ANDROID, DEDICATED, IPAD, IPHONE, MAC, Devices
from minimize.samples.values import Bools, Ints, taken
from minimize.samples.world import DOMAINS, Administrators, Population

NAMES = tuple(domain.partition(".")[0].title() for domain in DOMAINS)
"""What the tenants call themselves."""


class Selection(Population, ABC):
    """The first devices of the world that fit. Columns of all devices may be taken as facts, too."""

    @abstractmethod
    def fits(self, devices: Devices) -> Bools:
        """Which devices it is about."""

    @cached_property
    def devices(self) -> Devices:
        """So many devices that enough of them fit."""
        size = 4 * self.count + 32
        while self.fits(found := Devices(self.world, size)).sum() < self.count:
            size *= 2
        return found

    @cached_property
    def numbers(self) -> Ints:
        """The numbers of the devices that fit."""
        return np.flatnonzero(self.fits(self.devices))[: self.count]

    @cached_property
    def tenant(self) -> Ints:
        """The tenant of the device."""
        return self.devices.tenant[self.numbers]

    @cached_property
    def administrator(self) -> pa.StringArray:
        """The address of the first administrator of the tenant."""
        admins = Administrators(self.world, 20 * len(DOMAINS))
        first = np.array([int(np.argmax(admins.tenant == tenant)) for tenant in range(len(DOMAINS))])
        return admins.user_principal_name.take(pa.array(first[self.tenant]))

    def facts(self, names: Iterable[str]) -> dict[str, pa.Array]:
        """The columns of these names, its own or those of the devices."""
        return {name: self.of_device(name) for name in names}

    def of_device(self, name: str) -> pa.Array:
        """A column of its own, else that of the devices."""
        return getattr(self, name) if hasattr(type(self), name) else taken(getattr(self.devices, name), self.numbers)

    def of_tenant(self, pool: Iterable[str | None]) -> pa.Array:
        """A value for each device by its tenant."""
        found: pa.Array = pa.array(list(pool), pa.string()).take(pa.array(self.tenant))
        return found.dictionary_encode()


class AppleDevices(Selection):
    """Macs, iPhones and iPads."""

    seeded_as = "apple_devices"

    def fits(self, devices: Devices) -> Bools:
        """Devices of Apple."""
        kinds: Bools = (devices.kind >= MAC) & (devices.kind <= IPAD)
        return kinds


class OrganizationAppleDevices(AppleDevices):
    """Devices of Apple that belong to the organization."""

    seeded_as = "organization_apple_devices"

    def fits(self, devices: Devices) -> Bools:
        """Devices of Apple that are not the user's own."""
        return super().fits(devices) & ~devices.is_personal


class AndroidDevices(Selection):
    """Android devices, dedicated ones included."""

    seeded_as = "android_devices"

    def fits(self, devices: Devices) -> Bools:
        """Android devices."""
        kinds: Bools = (devices.kind >= ANDROID) & (devices.kind <= DEDICATED)
        return kinds


class Macs(AppleDevices):
    """Macs, which Jamf Pro manages."""

    seeded_as = "macs"

    def fits(self, devices: Devices) -> Bools:
        """Macs."""
        kinds: Bools = devices.kind == MAC
        return kinds


class MobileDevices(Selection):
    """Phones and tablets of users, on which a vendor of mobile threat defense looks for threats."""

    seeded_as = "mobile_devices"

    def fits(self, devices: Devices) -> Bools:
        """Phones and tablets, without dedicated ones."""
        kinds: Bools = (devices.kind >= IPHONE) & (devices.kind < DEDICATED)
        return kinds
