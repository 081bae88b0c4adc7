"""`apple_push`: what a push to a device of Apple needs. Its fields are named as Apple names them."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples import values
from minimize.samples.base import Dataset, Rows
from minimize.samples.selection import AppleDevices


class ApplePush(Dataset[AppleDevices]):
    """A record for each device and day."""

    population = AppleDevices
    subject = "device_id"
    facts = ("device_id",)
    wrong = (("Token", 4711),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device, and its secrets."""
        members = self.members
        secrets = {
            "Token": values.secrets(members.draw("token"), members.count, 44),
            "PushMagic": members.guids("push_magic"),
        }
        return super().fixed_columns() | secrets

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Nothing that changes from day to day."""
        return {}
