"""`google_android_management`: Android devices, their policies and accounts as Google's management gets them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples import values
from minimize.samples.apps import IDS
from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import WORK
from minimize.samples.selection import NAMES, AndroidDevices
from minimize.samples.values import fixed, only, picked
from minimize.samples.world import DOMAINS, PARTNER_TENANTS

ENTERPRISES = tuple(
    known or f"LC{number:02}{name.lower()}"
    for number, (known, name) in enumerate(zip(PARTNER_TENANTS, NAMES, strict=True), start=1)
)
STATES = ("ACTIVE", "ACTIVE", "ACTIVE", "DISABLED", "PROVISIONING")
NETWORKS = ("Lobby-5G", "Warehouse")
ENCRYPTION = ("per_user", "default_key", "inactive")
DIGITS = 21


class GoogleAndroidManagement(Dataset[AndroidDevices]):
    """A record for each device and day."""

    population = AndroidDevices
    subject = "device_id"
    facts = ("device_id", "user_id", "compliance_state", "imei", "meid")
    wrong = (("unknown_apps_allowed", "no"),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The enterprise, its service account, and the device."""
        members = self.members
        enterprise = members.of_tenant(ENTERPRISES)
        return {
            **super().fixed_columns(),
            "enterprise_id": enterprise,
            "service_account_enterprise_id": enterprise,
            "service_account_upn": members.of_tenant(
                f"svc-{4711 + number}@serviceaccount.example" for number in range(len(DOMAINS))
            ),
            "service_account_key": members.of_tenant(
                values.secrets(members.draw("service_account_key"), len(DOMAINS), 40).to_pylist()
            ),
            "software_version": members.of_device("os_version"),
            "patch_level": members.of_device("security_patch"),
            "wifi_mac_address": members.of_device("wifi_mac"),
            "encryption_level": members.pick("encryption_level", ENCRYPTION, 1.5),
            "google_user": self._accounts(),
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The policy that the device gets, and its state."""
        bodies = [f"wifi {network} on; questions to it@{domain}" for domain in DOMAINS for network in NETWORKS]
        body = self.members.tenant[rows.members] * len(NETWORKS) + rows.codes(len(NETWORKS))
        new = values.serials(rows.random, len(rows), 8)
        return {
            "policy_body": picked(bodies, body),
            "package_name": rows.pick(IDS[:12]),
            "device_state": rows.pick(STATES),
            "unknown_apps_allowed": pa.array(rows.chance(0.05)),
            "newPassword": only(new, rows.chance(0.05)),
        }

    def _accounts(self) -> pa.StringArray:
        """The number of the user's account at Google, of devices with a work profile."""
        members = self.members
        digits = members.draw("google_user").integers(ord("0"), ord("9") + 1, (members.count, DIGITS), np.uint8)
        digits[:, 0] = ord("1")
        return only(fixed(digits), members.devices.kind[members.numbers] == WORK)
