"""`apple_push_checkout`: a device of Apple says that it is no longer managed."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples.base import Rows
from minimize.samples.datasets.apple_push_authenticate import TOPICS
from minimize.samples.received import Received
from minimize.samples.selection import AppleDevices


class ApplePushCheckout(Received[AppleDevices]):
    """A message of each device and day."""

    population = AppleDevices
    subject = "UDID"
    facts = ()
    constant = (("MessageType", "CheckOut"),)
    wrong = (("Topic", 1),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device, and what it listened to."""
        topic = {"UDID": self.members.of_device("udid"), "Topic": self.members.of_tenant(TOPICS)}
        return {**super().fixed_columns(), **topic}

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Nothing that changes from day to day."""
        return {}
