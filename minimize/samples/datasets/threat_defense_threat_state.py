"""`threat_defense_threat_state`: how threatened mobile devices are, as a vendor judges it, and when it last saw each."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples import values
from minimize.samples.base import Rows
from minimize.samples.received import Received, earlier
from minimize.samples.selection import MobileDevices
from minimize.samples.values import picked

STATES = ("secured", "lowSeverity", "mediumSeverity", "highSeverity", "compromised", "unresponsive")
SHARES = (80, 8, 5, 3, 1, 3)


class ThreatDefenseThreatState(Received[MobileDevices]):
    """A verdict about each device and day."""

    population = MobileDevices
    subject = "device_id"
    facts = ("device_id",)
    wrong = (("threat_state", 4),)

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The verdict, and when the device was seen last: most within a day, some weeks ago."""
        return {
            "threat_state": picked(STATES, values.weighted(rows.random, len(rows), SHARES)),
            "last_contact": earlier(rows, (1, 6, 28), (70, 15, 15)),
        }
