"""`apple_volume_purchase_sync`: licences of applications, and the users to whom they are assigned."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples import values
from minimize.samples.apps import APPS, IDS
from minimize.samples.base import Rows
from minimize.samples.received import Received
from minimize.samples.selection import NAMES, OrganizationAppleDevices
from minimize.samples.values import picked
from minimize.samples.world import DOMAINS

COUNTRIES = ("FR", "DE", "GB", "US", "JP", "BR")
TOTAL = 100


class AppleVolumePurchaseSync(Received[OrganizationAppleDevices]):
    """A licence of each device's user and day."""

    population = OrganizationAppleDevices
    subject = "user_guid"
    facts = ()
    constant = (
        ("isIrrevocable", False),
        ("deviceAssignable", True),
        ("productType", "Application"),
        ("pricingParam", "STDQ"),
    )
    wrong = (("assignedCount", "some"), ("isIrrevocable", "no"))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The user, the organization, and its accounts."""
        members = self.members
        return {
            **super().fixed_columns(),
            "user_guid": members.of_device("user_id"),
            "appleUserId": values.checked("2", members.draw("apple_user").integers(0, 10**6, members.count), 6),
            "managed_apple_id_upn": members.of_tenant(f"volume-purchase@appleid.{domain}" for domain in DOMAINS),
            "facilitatorMemberId": members.of_tenant(str(1029384 + place) for place in range(len(DOMAINS))),
            "organizationId": members.of_tenant(f"204902500043143{place}" for place in range(len(DOMAINS))),
            "location": members.of_tenant(f"{name} headquarters" for name in NAMES),
            "countryCode": members.of_tenant(COUNTRIES),
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The licence: its application, and how many of it are in use."""
        app, retired = rows.codes(len(APPS), 0.8), rows.random.integers(0, 3, len(rows))
        used = rows.random.integers(0, TOTAL - 1, len(rows))
        return {
            "userStatus": rows.pick(("Associated", "Registered", "Retired"), 1.0),
            "licenseId": values.checked("99", rows.random.integers(0, 10**6, len(rows)), 6),
            "adamId": picked([str(361_309_726 + place) for place in range(len(APPS))], app),
            "bundleId": picked(IDS, app),
            "appName": picked(APPS, app),
            "appDescription": picked([f"{name} for teams" for name in APPS], app),
            "iconUrl": picked([f"https://apps.example/{bundle}.png" for bundle in IDS], app),
            "url": picked([f"https://apps.example/{bundle}" for bundle in IDS], app),
            "copyright": rows.pick(("2026 Example", "2025 Example")),
            "genres": rows.pick(("Productivity", "Business", "Utilities")),
            "assignedCount": pa.array(used),
            "retiredCount": pa.array(retired),
            "availableCount": pa.array(TOTAL - used - retired),
            "totalCount": pa.array([TOTAL] * len(rows), pa.int64()),
        }
