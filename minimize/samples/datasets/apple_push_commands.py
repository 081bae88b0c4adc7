"""`apple_push_commands`: a device of Apple says what became of a command, in free text if it failed."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples.base import Rows
from minimize.samples.received import Received, sometimes
from minimize.samples.selection import AppleDevices

STATES = ("Acknowledged", "Acknowledged", "Acknowledged", "NotNow", "Error")
ERRORS = (
    "MCMDMErrorDomain 12021: the command is not known",
    "MCProfileErrorDomain 1009: the account ann@mail.example is set up already",
    "NSURLErrorDomain -1001: no answer from 203.0.113.7",
)


class ApplePushCommands(Received[AppleDevices]):
    """A message of each device and day."""

    population = AppleDevices
    subject = "UDID"
    facts = ()
    wrong = (("Status", False),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device."""
        return {**super().fixed_columns(), "UDID": self.members.of_device("udid")}

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The command, and what became of it."""
        return {
            "CommandUUID": rows.guids(),
            "Status": rows.pick(STATES),
            "ErrorChain": sometimes(rows, ERRORS, 0.1),
        }
