"""`apple_push_authenticate`: what a device of Apple says about itself when it checks in for the first time."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

import pyarrow as pa

from minimize.samples.base import Rows
from minimize.samples.received import Received
from minimize.samples.selection import AppleDevices
from minimize.samples.world import DOMAINS

TOPICS = tuple(f"com.apple.mgmt.External.{uuid5(NAMESPACE_DNS, f'push.{domain}')}" for domain in DOMAINS)
"""What the devices of each tenant listen to."""


class ApplePushAuthenticate(Received[AppleDevices]):
    """A message of each device and day."""

    population = AppleDevices
    subject = "UDID"
    facts = ()
    constant = (("MessageType", "Authenticate"),)
    wrong = (("SerialNumber", 7),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device, in Apple's names."""
        own = {
            "UDID": "udid",
            "OSVersion": "os_version",
            "BuildVersion": "os_build",
            "ProductName": "model",
            "SerialNumber": "serial_number",
            "IMEI": "imei",
            "MEID": "meid",
        }
        device = {name: self.members.of_device(column) for name, column in own.items()}
        return {**super().fixed_columns(), "Topic": self.members.of_tenant(TOPICS), **device}

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Nothing that changes from day to day."""
        return {}
