"""`apple_device_enrollment_sync`: which devices an organization has at Apple, and the state of their enrolment profiles."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples.base import Rows
from minimize.samples.datasets.apple_device_enrollment import AppleDeviceEnrollment
from minimize.samples.received import Received, earlier
from minimize.samples.selection import OrganizationAppleDevices

COLORS = ("black", "silver", "gold", "blue")
STATES = ("pushed", "assigned", "empty", "removed", "expired")
"""The last is not one of the four that Apple knows."""
SENT = ("description", "asset_tag", "os", "device_family", "profile_uuid")
"""What Apple was sent about the device, and sends back."""


class AppleDeviceEnrollmentSync(Received[OrganizationAppleDevices]):
    """A message about each device and day."""

    population = OrganizationAppleDevices
    subject = "serial_number"
    facts = ("serial_number", "model")
    wrong = (("asset_tag", 42),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device, as it was registered."""
        sent = AppleDeviceEnrollment(self.members.count, self.world.seed).fixed
        return {
            **super().fixed_columns(),
            **{name: sent[name] for name in SENT},
            "color": self.members.pick("color", COLORS),
            "device_assigned_by": self.members.administrator,
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The state of the enrolment profile, and since when."""
        return {
            "profile_status": rows.pick(STATES, 1.2),
            "device_assigned_date": earlier(rows, (400,), (1,)),
            "profile_assign_time": earlier(rows, (90,), (1,)),
            "profile_push_time": earlier(rows, (30,), (1,)),
        }
