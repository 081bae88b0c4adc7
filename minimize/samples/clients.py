"""Users as their applications know them: with the application, and with their first device."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa

from minimize.samples import values
from minimize.samples.devices import DEDICATED, Devices
from minimize.samples.values import Bools, Ints, picked, taken
from minimize.samples.world import Users

MODES = ("MAM+MDM", "MAM without enrolment", "MDM")
UNENROLLED = 1
PLATFORMS = ("windows", "macos", "ios", "ios", "android", "android", "android")


class Clients(Users):
    """Users of the client application; some of them have not enrolled their device."""

    @cached_property
    def devices(self) -> Devices:
        """Devices up to the first one of the last user."""
        return Devices(self.world, int(self.first_device[-1]) + 1)

    @cached_property
    def _mode(self) -> Ints:
        return values.weighted(self.draw("management_mode"), self.count, (45, 35, 20))

    @cached_property
    def is_enrolled(self) -> Bools:
        """Whether the service manages the user's first device; those without a user belong to nobody."""
        return ~(np.isin(self._mode, UNENROLLED) | np.isin(self.devices.kind[self.first_device], DEDICATED))

    @cached_property
    def management_mode(self) -> pa.Array:
        """What is managed: the application, the device, or both."""
        return picked(MODES, self._mode)

    @cached_property
    def device_id(self) -> pa.StringArray:
        """The first device; null without enrolment."""
        return taken(self.devices.device_id, np.where(self.is_enrolled, self.first_device, -1))

    def of_device(self, column: pa.Array) -> pa.Array:
        """The value of each user's first device."""
        return taken(column, self.first_device)

    @cached_property
    def operating_system(self) -> pa.Array:
        """The operating system of the first device."""
        return self.of_device(self.devices.operating_system)

    @cached_property
    def platform(self) -> pa.Array:
        """The platform of the client application."""
        return picked(PLATFORMS, self.devices.kind[self.first_device])

    @cached_property
    def platform_version(self) -> pa.Array:
        """The version of the operating system of the first device."""
        return self.of_device(self.devices.os_version)

    @cached_property
    def device_tag(self) -> pa.StringArray:
        """What ties the instances of applications on the first device."""
        return self.guids("device_tag")

    @cached_property
    def app_version(self) -> pa.Array:
        """The version of the client application."""
        return self.pick("app_version", ("5.2411.1", "5.2409.0", "5.2401.3", "4.9.12"), 1.0)

    @cached_property
    def sdk_version(self) -> pa.Array:
        """The version of the kit in applications."""
        return self.pick("sdk_version", ("3.2", "3.1.4"))
