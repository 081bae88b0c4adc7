"""Datasets of partners: Google Android management, Jamf Pro, vendors of mobile threat defense."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize_samples import arrays, collection_settings
from minimize_samples.arrays import Ints, fixed_width_strings, null_unless, pool_values, take_or_null
from minimize_samples.dataset import Dataset, ReceivedDataset, SampleRows, earlier_times
from minimize_samples.devices import (
    APP_IDS,
    APP_NAMES,
    APP_VERSIONS,
    IPAD,
    IPHONE,
    WORK_PROFILE,
    Devices,
    app_size,
    app_version,
)
from minimize_samples.populations import TENANT_NAMES, AndroidDevices, Macs, ProtectedDevices
from minimize_samples.world import DOMAINS, PARTNER_TENANTS, Administrators, Population, World

ENTERPRISES = tuple(
    known or f"LC{number:02}{name.lower()}"
    for number, (known, name) in enumerate(zip(PARTNER_TENANTS, TENANT_NAMES, strict=True), start=1)
)
ANDROID_STATES = ("ACTIVE", "ACTIVE", "ACTIVE", "DISABLED", "PROVISIONING")
WIFI_NETWORKS = ("Lobby-5G", "Warehouse")
ENCRYPTION_LEVELS = ("per_user", "default_key", "inactive")
ACCOUNT_DIGITS = 21


def service_account_keys(world: World) -> list[str]:
    """The key of each tenant's service account: a secret that Google made, and that the service presents."""
    keys: list[str] = arrays.secrets(np.random.default_rng([world.seed, 7]), len(DOMAINS), 40).to_pylist()
    return keys


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
            "service_account_key": members.of_tenant(service_account_keys(self.world)),
            "software_version": members.of_device("os_version"),
            "patch_level": members.of_device("security_patch"),
            "wifi_mac_address": members.of_device("wifi_mac"),
            "encryption_level": members.pick("encryption_level", ENCRYPTION_LEVELS, 1.5),
            "google_user": self._accounts(),
        }

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The policy of the device, and its state."""
        bodies = [f"wifi {network} on; questions to it@{domain}" for domain in DOMAINS for network in WIFI_NETWORKS]
        body = self.members.tenant[rows.members] * len(WIFI_NETWORKS) + rows.codes(len(WIFI_NETWORKS))
        new = arrays.serials(rows.random, len(rows), 8)
        return {
            "policy_body": pool_values(bodies, body),
            "package_name": rows.pick(APP_IDS[:12]),
            "device_state": rows.pick(ANDROID_STATES),
            "unknown_apps_allowed": pa.array(rows.chance(0.05)),
            "newPassword": null_unless(new, rows.chance(0.05)),
        }

    def _accounts(self) -> pa.StringArray:
        """The number of the user's account at Google, of devices with a work profile."""
        members = self.members
        digits = members.draw("google_user").integers(ord("0"), ord("9") + 1, (members.count, ACCOUNT_DIGITS), np.uint8)
        digits[:, 0] = ord("1")
        return null_unless(fixed_width_strings(digits), members.devices.kind[members.numbers] == WORK_PROFILE)


class GoogleAndroidManagementSync(ReceivedDataset[Administrators]):
    """A message for each administrator and day."""

    population = Administrators
    subject = "enterpriseId"
    facts = ()
    wrong = (("appName", 3),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The enterprise, the administrator who linked it, and its service account."""
        members = self.members
        accounts = [f"svc-{4711 + place}" for place in range(len(ENTERPRISES))]
        return {
            **super().fixed_columns(),
            "enterpriseId": pool_values(ENTERPRISES, members.tenant),
            "adminName": members.display_name,
            "adminEmail": members.user_principal_name,
            "serviceAccountName": pool_values(accounts, members.tenant),
            "serviceAccountKeys": pool_values(service_account_keys(self.world), members.tenant),
        }

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """An application that can be assigned."""
        app = rows.codes(len(APP_NAMES))
        return {"appName": pool_values(APP_NAMES, app), "appId": pool_values(APP_IDS, app)}


JAMF_NAMES = {
    "device_aad_id": "directory_device_id",
    "user_aad_id": "user_id",
    "user_email": "user_principal_name",
    "device_name": "device_name",
    "udid": "udid",
    "serial_number": "serial_number",
    "mac_address": "mac_address",
    "secondary_mac_address": "wifi_mac",
    "os_version": "os_version",
    "architecture": "architecture",
    "total_ram": "memory_bytes",
    "model": "model",
    "make": "manufacturer",
    "cores": "cpu_cores",
    "processor_type": "cpu",
}
"""Jamf's names of the facts about the device."""


class JamfCompliance(ReceivedDataset[Macs]):
    """A message about each Mac and day."""

    population = Macs
    subject = "device_aad_id"
    facts = ()
    constant = (
        ("boot_rom", "10151.101.3"),
        ("bus_speed", 0),
        ("cache_size", 4096),
        ("nic_speed", "1 Gb/s"),
        ("processors", 1),
        ("os", "macOS"),
        ("platform", "Mac"),
        ("processor_speed", 4050),
        ("ram_slots_free", 0),
        ("smc_version", "1.0"),
    )
    wrong = (("passcode_length", "eight"), ("filevault_encrypted", "yes"))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The Mac, and its hardware."""
        members = self.members
        number = pa.array(np.arange(members.count) + 1).cast(pa.string())
        return {
            **super().fixed_columns(),
            **{name: members.of_device(column) for name, column in JAMF_NAMES.items()},
            "jamf_id": number,
            "model_identifier": pc.binary_join_element_wise("Mac15,", number, ""),
            "battery_capacity": pa.array(members.draw("battery").integers(70, 101, members.count)),
        }

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The time of the last contact, and the protection."""
        return {
            "inventory_state": rows.pick(("activated", "deactivated"), 2.0),
            "last_check_in": earlier_times(rows, (0.9, 20), (80, 20)),
            "filevault_encrypted": pa.array(rows.chance(0.9)),
            "gatekeeper_status": rows.pick(("APP_STORE", "APP_STORE_AND_IDENTIFIED_DEVELOPERS", "DISABLED"), 1.0),
            "system_integrity_protection": pa.array(rows.chance(0.97)),
            "prevent_auto_login": pa.array(rows.chance(0.95)),
            "passcode_length": pool_values(
                (4, 6, 8, 10, 12), arrays.weighted_codes(rows.random, len(rows), (2, 10, 50, 20, 18))
            ),
            "password_type": rows.pick(("alphanumeric", "simple", "unknown"), 1.5),
            "min_character_sets": pool_values((0, 1, 2, 3), rows.codes(4)),
            "password_expiration_days": pool_values((90, 180, 365), rows.codes(3)),
            "password_history": pool_values((0, 5, 10), rows.codes(3)),
            "domain_join": pa.array(rows.chance(0.4)),
        }


APP_BUILDS = [(app, step) for app in range(len(APP_NAMES)) for step in range(APP_VERSIONS)]
FEWEST_APPS = 4
"""A lower bound of the applications of most devices."""


class InstalledAppPopulation(Population):
    """Applications of iPhones and iPads, device by device."""

    seeded_as = "installed_apps"

    @cached_property
    def devices(self) -> Devices:
        """As many devices as needed for enough applications."""
        amount = 4 * self.count // FEWEST_APPS + 32
        while (found := Devices(self.world, amount)).apps.counts[self._fits(found)].sum() < self.count:
            amount *= 2
        return found

    @cached_property
    def places(self) -> Ints:
        """The indices of the applications among the installed ones."""
        return np.flatnonzero(self._fits(self.devices)[self.devices.apps.devices])[: self.count]

    @cached_property
    def device(self) -> Ints:
        """The index of the device of each application."""
        return self.devices.apps.devices[self.places]

    @cached_property
    def tenant(self) -> Ints:
        """The tenant of the device."""
        return self.devices.tenant[self.device]

    @cached_property
    def device_id(self) -> pa.StringArray:
        """The device."""
        return take_or_null(self.devices.device_id, self.device)

    @cached_property
    def vendor_device_id(self) -> pa.StringArray:
        """The device by the id that the vendor gets."""
        return take_or_null(self.devices.threat_defense_id, self.device)

    @cached_property
    def build(self) -> Ints:
        """The application in its version, as an index into `APP_BUILDS`."""
        apps = self.devices.apps
        return apps.apps[self.places] * APP_VERSIONS + apps.versions[self.places]

    @cached_property
    def managed(self) -> pa.Array:
        """Whether the organization manages it."""
        return pa.array(self.devices.apps.managed[self.places] == 1)

    def _fits(self, devices: Devices) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.isin(devices.kind, (IPHONE, IPAD))


class ThreatDefenseAppSync(Dataset[InstalledAppPopulation]):
    """A record for each application of a device and day."""

    population = InstalledAppPopulation
    subject = "device_id"
    facts = ("device_id", "vendor_device_id", "managed")
    settings_by = (collection_settings.app_inventory_settings,)
    wrong = (("bundle_size", 1.5), ("managed", "yes"))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The application."""
        build = self.members.build
        short = [app_version(app, step) for app, step in APP_BUILDS]
        return {
            **super().fixed_columns(),
            "app_id": pool_values([APP_IDS[app] for app, _ in APP_BUILDS], build),
            "name": pool_values([APP_NAMES[app] for app, _ in APP_BUILDS], build),
            "version": pool_values([f"{text}.{340 + 3 * place}" for place, text in enumerate(short)], build),
            "short_version": pool_values(short, build),
            "bundle_size": pool_values([app_size(app, step) for app, step in APP_BUILDS], build),
            "validated": pa.array(~self.members.chance("validated", 0.03)),
        }

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The amount of data of the application."""
        return {"dynamic_size": pa.array(rows.random.lognormal(15, 2, len(rows)).astype(np.int64))}


THREAT_STATES = ("secured", "lowSeverity", "mediumSeverity", "highSeverity", "compromised", "unresponsive")
THREAT_SHARES = (64, 12, 8, 8, 4, 4)


class ThreatDefenseThreatState(ReceivedDataset[ProtectedDevices]):
    """A verdict about each device and day, by the id that the vendor was sent."""

    population = ProtectedDevices
    subject = "device_id"
    facts = ()
    wrong = (("threat_state", 4),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device by the id that the vendor got."""
        return {**super().fixed_columns(), "device_id": self.members.of_device("threat_defense_id")}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The verdict, and the time of the last contact: mostly within a day, for some devices weeks ago."""
        return {
            "threat_state": pool_values(THREAT_STATES, arrays.weighted_codes(rows.random, len(rows), THREAT_SHARES)),
            "last_contact": earlier_times(rows, (1, 6, 28), (70, 15, 15)),
        }
