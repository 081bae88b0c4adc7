"""Populations of datasets: users as known to their applications, and devices known to third parties."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import Bools
from minimize_samples import arrays
from minimize_samples.arrays import Ints, pool_values, take_or_null
from minimize_samples.devices import ANDROID, DEDICATED, IPAD, IPHONE, MAC, Devices
from minimize_samples.world import APP_INVENTORY_TENANTS, DOMAINS, Administrators, Population, Users

MANAGEMENT_MODES = ("MAM+MDM", "MAM without enrolment", "MDM")
UNENROLLED = 1
CLIENT_PLATFORMS = ("windows", "macos", "ios", "ios", "android", "android", "android")


class Clients(Users):
    """Users of the client application; some of them have not enrolled their device."""

    @cached_property
    def devices(self) -> Devices:
        """Devices up to the first one of the last user."""
        return Devices(self.world, int(self.first_device[-1]) + 1)

    @cached_property
    def _mode(self) -> Ints:
        return arrays.weighted_codes(self.draw("management_mode"), self.count, (45, 35, 20))

    @cached_property
    def is_enrolled(self) -> Bools:
        """Whether the service manages the user's first device; dedicated devices have no user and do not count."""
        return ~(np.isin(self._mode, UNENROLLED) | np.isin(self.devices.kind[self.first_device], DEDICATED))

    @cached_property
    def management_mode(self) -> pa.Array:
        """The managed part: the application, the device, or both."""
        return pool_values(MANAGEMENT_MODES, self._mode)

    @cached_property
    def device_id(self) -> pa.StringArray:
        """The first device; null without enrolment."""
        return take_or_null(self.devices.device_id, np.where(self.is_enrolled, self.first_device, -1))

    def of_device(self, column: pa.Array) -> pa.Array:
        """The value of each user's first device."""
        return take_or_null(column, self.first_device)

    @cached_property
    def operating_system(self) -> pa.Array:
        """The operating system of the first device."""
        return self.of_device(self.devices.operating_system)

    @cached_property
    def platform(self) -> pa.Array:
        """The platform of the client application."""
        return pool_values(CLIENT_PLATFORMS, self.devices.kind[self.first_device])

    @cached_property
    def platform_version(self) -> pa.Array:
        """The version of the operating system of the first device."""
        return self.of_device(self.devices.os_version)

    @cached_property
    def device_tag(self) -> pa.StringArray:
        """The id that links the instances of applications on the first device."""
        return self.guids("device_tag")

    @cached_property
    def app_version(self) -> pa.Array:
        """The version of the client application."""
        return self.pick("app_version", ("5.2411.1", "5.2409.0", "5.2401.3", "4.9.12"), 1.0)

    @cached_property
    def sdk_version(self) -> pa.Array:
        """The version of the kit in applications."""
        return self.pick("sdk_version", ("3.2", "3.1.4"))


TENANT_NAMES = tuple(domain.partition(".")[0].title() for domain in DOMAINS)
"""The display names of the tenants."""


class DeviceSelection(Population, ABC):
    """The first devices of the world that match. Columns of all devices may also be used as facts."""

    @abstractmethod
    def fits(self, devices: Devices) -> Bools:
        """Whether each device belongs to the population."""

    @cached_property
    def devices(self) -> Devices:
        """As many devices as needed for enough matches."""
        size = 4 * self.count + 32
        while self.fits(found := Devices(self.world, size)).sum() < self.count:
            size *= 2
        return found

    @cached_property
    def numbers(self) -> Ints:
        """The indices of the matching devices."""
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
        """Its own column of this name, else that of the devices."""
        return (
            getattr(self, name)
            if hasattr(type(self), name)
            else take_or_null(getattr(self.devices, name), self.numbers)
        )

    def of_tenant(self, pool: Iterable[str | None]) -> pa.Array:
        """A value for each device by its tenant."""
        found: pa.Array = pa.array(list(pool), pa.string()).take(pa.array(self.tenant))
        return found.dictionary_encode()


class AppleDevices(DeviceSelection):
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


class AndroidDevices(DeviceSelection):
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


class ProtectedDevices(DeviceSelection):
    """iPhones and iPads that a vendor of mobile threat defense protects: those whose applications it gets."""

    seeded_as = "protected_devices"

    def fits(self, devices: Devices) -> Bools:
        """iPhones and iPads of the tenants that share their applications."""
        kinds: Bools = np.isin(devices.kind, (IPHONE, IPAD)) & np.isin(devices.tenant, APP_INVENTORY_TENANTS)
        return kinds
