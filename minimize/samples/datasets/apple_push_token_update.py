"""`apple_push_token_update`: how a device of Apple is reached by push, and what unlocks it: secrets."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples import values
from minimize.samples.base import Rows
from minimize.samples.datasets.apple_push_authenticate import TOPICS
from minimize.samples.received import Received
from minimize.samples.selection import AppleDevices


class ApplePushTokenUpdate(Received[AppleDevices]):
    """A message of each device and day."""

    population = AppleDevices
    subject = "UDID"
    facts = ()
    wrong = (("AwaitingConfiguration", "no"),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device, and its secrets: the first two are those that pushes to it need."""
        members = self.members
        secrets = {
            "Token": values.secrets(members.draw("token"), members.count, 44),
            "PushMagic": members.guids("push_magic"),
            "UnlockToken": values.secrets(members.draw("unlock_token"), members.count, 60),
        }
        topic = {"UDID": members.of_device("udid"), "Topic": members.of_tenant(TOPICS)}
        return {**super().fixed_columns(), **topic, **secrets}

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Whether the device waits for its configuration."""
        return {"AwaitingConfiguration": pa.array(rows.chance(0.1))}
