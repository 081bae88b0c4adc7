"""`apple_volume_purchase`: licences that are assigned to users and their devices of Apple."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples.base import Dataset, Rows
from minimize.samples.selection import OrganizationAppleDevices
from minimize.samples.world import DOMAINS


class AppleVolumePurchase(Dataset[OrganizationAppleDevices]):
    """A record for each device and day."""

    population = OrganizationAppleDevices
    subject = "user_guid"
    facts = ("serial_number",)
    wrong = (("serial_number", 7),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The user, the account that the administrator gave for the token, and the device."""
        account = self.members.of_tenant(f"volume-purchase@appleid.{domain}" for domain in DOMAINS)
        mine = {"user_guid": self.members.of_device("user_id"), "managed_apple_id_upn": account}
        return super().fixed_columns() | mine

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Nothing that changes from day to day."""
        return {}
