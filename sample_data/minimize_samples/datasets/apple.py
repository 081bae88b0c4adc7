"""Datasets of Apple services: device enrollment, push notifications and check-ins, volume purchase."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize_samples import arrays
from minimize_samples.arrays import concatenate, pool_values
from minimize_samples.dataset import Dataset, ReceivedDataset, SampleRows, earlier_times, occasional_values
from minimize_samples.devices import APP_IDS, APP_NAMES, MAC
from minimize_samples.populations import TENANT_NAMES, AppleDevices, OrganizationAppleDevices
from minimize_samples.world import DOMAINS, phone_numbers

PROFILE_STATUSES = ("assigned", "pushed", "empty", "removed", "expired")
PROFILE_STATUS_SHARES = (50, 35, 10, 3, 2)
"""The last is not one of the four that Apple knows."""
DEVICE_FAMILIES = ("Mac", "iPhone", "iPad")
PROFILES = ("Default", "Kiosk")
STREETS = ("1 Example Street", "2 Harbour Road", "3 Orchard Lane", "4 Quarry Way", "5 Meadow Close", "6 Lantern Yard")
AT_ONCE = 3
"""The most devices that are assigned to a profile together."""


class AppleDeviceEnrollment(Dataset[OrganizationAppleDevices]):
    """A record for each device and day."""

    population = OrganizationAppleDevices
    subject = "device_id"
    facts = ("device_id", "serial_number", "model")
    wrong = (("devices", "all of them"),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The server, its organization, and the device."""
        return {**super().fixed_columns(), **self._server(), **self._device()}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The state of the enrolment profile, and what is shown to the person who sets up the device."""
        return {
            "profile_status": pool_values(
                PROFILE_STATUSES, arrays.weighted_codes(rows.random, len(rows), PROFILE_STATUS_SHARES)
            ),
            "device_assigned_by": self.members.administrator.take(pa.array(rows.members)),
        }

    def _server(self) -> dict[str, pa.Array]:
        of_tenant = self.members.of_tenant
        numbers = phone_numbers()
        return {
            "server_token": of_tenant(f"token-{uuid5(NAMESPACE_DNS, f'token.{domain}').hex}" for domain in DOMAINS),
            "server_name": of_tenant(f"{name} management" for name in TENANT_NAMES),
            "server_uuid": of_tenant(str(uuid5(NAMESPACE_DNS, f"server.{domain}")) for domain in DOMAINS),
            "admin_id": of_tenant(f"device-enrollment@{domain}" for domain in DOMAINS),
            "org_name": of_tenant(TENANT_NAMES),
            "org_email": of_tenant(f"it@{domain}" for domain in DOMAINS),
            "org_phone": of_tenant(numbers[: len(DOMAINS)]),
            "org_address": of_tenant(STREETS),
            "org_id": of_tenant(str(4711 + number) for number in range(len(DOMAINS))),
            "support_phone_number": of_tenant([*numbers[10:13], None, None, None]),
            "support_email_address": of_tenant([*(f"help@{domain}" for domain in DOMAINS[:4]), None, None]),
            "department": of_tenant(["IT", "IT", "Sales", "IT", None, None]),
        }

    def _device(self) -> dict[str, pa.Array]:
        members = self.members
        family = members.devices.kind[members.numbers] - MAC
        number = pa.array(np.arange(members.count) + 1).cast(pa.string())
        profile = members.draw("profile").integers(0, len(PROFILES), members.count)
        uuids = [str(uuid5(NAMESPACE_DNS, f"{name}.{domain}")) for domain in DOMAINS for name in PROFILES]
        return {
            "description": self._descriptions(),
            "asset_tag": concatenate("A-", pc.utf8_lpad(number, 6, "0")),
            "os": pool_values(("OSX", "iOS", "iOS"), family),
            "device_family": pool_values(DEVICE_FAMILIES, family),
            "devices": self._assigned(),
            "profile_name": pool_values(PROFILES, profile),
            "profile_uuid": pool_values(uuids, members.tenant * len(PROFILES) + profile),
        }

    def _descriptions(self) -> pa.StringArray:
        """The model in capitals; on some devices a person has added their address."""
        members = self.members
        model = pc.utf8_upper(members.of_device("model").cast(pa.string()))
        added = concatenate(model, " OF ", members.of_device("user_principal_name"))
        return pc.if_else(pa.array(members.chance("description", 0.2)), added, model)

    def _assigned(self) -> pa.ListArray:
        """The serial numbers of each device and of the next ones of its tenant."""
        members, count = self.members, self.members.count
        order = np.argsort(members.tenant, kind="stable")
        place = np.empty(count, np.int64)
        place[order] = np.arange(count)
        following = place[:, np.newaxis] + np.arange(AT_ONCE)
        rows = order[np.minimum(following, count - 1)] if count else following
        wanted = members.draw("assigned").integers(1, AT_ONCE + 1, count)[:, np.newaxis] > np.arange(AT_ONCE)
        kept = wanted & (following < count) & (members.tenant[rows] == members.tenant[:, np.newaxis])
        offsets = np.append(0, np.cumsum(kept.sum(axis=1))).astype(np.int32)
        serials = members.of_device("serial_number").take(pa.array(rows[kept]))
        return pa.ListArray.from_arrays(pa.array(offsets), serials)


COLORS = ("black", "silver", "gold", "blue")
SYNCED_STATUSES = ("pushed", "assigned", "empty", "removed", "expired")
"""The last is not one of the four that Apple knows."""
SENT_FIELDS = ("description", "asset_tag", "os", "device_family", "profile_uuid")
"""The data sent to Apple about the device, and the response."""


class AppleDeviceEnrollmentSync(ReceivedDataset[OrganizationAppleDevices]):
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
            **{name: sent[name] for name in SENT_FIELDS},
            "color": self.members.pick("color", COLORS),
            "device_assigned_by": self.members.administrator,
        }

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The state of the enrolment profile, and since when."""
        return {
            "profile_status": rows.pick(SYNCED_STATUSES, 1.2),
            "device_assigned_date": earlier_times(rows, (400,), (1,)),
            "profile_assign_time": earlier_times(rows, (90,), (1,)),
            "profile_push_time": earlier_times(rows, (30,), (1,)),
        }


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
            "Token": arrays.secrets(members.draw("token"), members.count, 44),
            "PushMagic": members.guids("push_magic"),
        }
        return super().fixed_columns() | secrets

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """There are no fields that change from day to day."""
        return {}


PUSH_TOPICS = tuple(f"com.apple.mgmt.External.{uuid5(NAMESPACE_DNS, f'push.{domain}')}" for domain in DOMAINS)
"""The push topics of the devices of each tenant."""


class ApplePushAuthenticate(ReceivedDataset[AppleDevices]):
    """A message of each device and day."""

    population = AppleDevices
    subject = "UDID"
    facts = ()
    constant = (("MessageType", "Authenticate"),)
    wrong = (("SerialNumber", 7),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device, with Apple's field names."""
        own = {
            "UDID": "udid",
            "OSVersion": "os_version",
            "BuildVersion": "os_build",
            "ProductName": "model",
            "SerialNumber": "serial_number",
            "IMEI": "imei",
            "MEID": "meid",
        }
        device = {name: self.members.of_device(column) for name, column in own.items()}
        return {**super().fixed_columns(), "Topic": self.members.of_tenant(PUSH_TOPICS), **device}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """There are no fields that change from day to day."""
        return {}


class ApplePushCheckout(ReceivedDataset[AppleDevices]):
    """A message of each device and day."""

    population = AppleDevices
    subject = "UDID"
    facts = ()
    constant = (("MessageType", "CheckOut"),)
    wrong = (("Topic", 1),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device, and its push topic."""
        topic = {"UDID": self.members.of_device("udid"), "Topic": self.members.of_tenant(PUSH_TOPICS)}
        return {**super().fixed_columns(), **topic}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """There are no fields that change from day to day."""
        return {}


COMMAND_STATES = ("Acknowledged", "Acknowledged", "Acknowledged", "NotNow", "Error")
COMMAND_ERRORS = (
    "MCMDMErrorDomain 12021: the command is not known",
    "MCProfileErrorDomain 1009: the account ann@mail.example is set up already",
    "NSURLErrorDomain -1001: no answer from 203.0.113.7",
)


class ApplePushCommands(ReceivedDataset[AppleDevices]):
    """A message of each device and day."""

    population = AppleDevices
    subject = "UDID"
    facts = ()
    wrong = (("Status", False),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device."""
        return {**super().fixed_columns(), "UDID": self.members.of_device("udid")}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The command and its result."""
        return {
            "CommandUUID": rows.guids(),
            "Status": rows.pick(COMMAND_STATES),
            "ErrorChain": occasional_values(rows, COMMAND_ERRORS, 0.1),
        }


class ApplePushTokenUpdate(ReceivedDataset[AppleDevices]):
    """A message of each device and day."""

    population = AppleDevices
    subject = "UDID"
    facts = ()
    wrong = (("AwaitingConfiguration", "no"),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The device, and its secrets: the first two are those that pushes to it need."""
        members = self.members
        secrets = {
            "Token": arrays.secrets(members.draw("token"), members.count, 44),
            "PushMagic": members.guids("push_magic"),
            "UnlockToken": arrays.secrets(members.draw("unlock_token"), members.count, 60),
        }
        topic = {"UDID": members.of_device("udid"), "Topic": members.of_tenant(PUSH_TOPICS)}
        return {**super().fixed_columns(), **topic, **secrets}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """Whether the device waits for its configuration."""
        return {"AwaitingConfiguration": pa.array(rows.chance(0.1))}


class AppleVolumePurchase(Dataset[OrganizationAppleDevices]):
    """A record for each device and day."""

    population = OrganizationAppleDevices
    subject = "user_guid"
    facts = ("user_id", "serial_number")
    wrong = (("serial_number", 7),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The user by the id that Apple gets, the account of the administrator's token, and the device."""
        account = self.members.of_tenant(f"volume-purchase@appleid.{domain}" for domain in DOMAINS)
        mine = {"user_guid": self.members.of_device("apple_user_guid"), "managed_apple_id_upn": account}
        return super().fixed_columns() | mine

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """There are no fields that change from day to day."""
        return {}


COUNTRIES = ("FR", "DE", "GB", "US", "JP", "BR")
TOTAL_LICENCES = 100


class AppleVolumePurchaseSync(ReceivedDataset[OrganizationAppleDevices]):
    """A licence for each device's user and day."""

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
            "user_guid": members.of_device("apple_user_guid"),
            "appleUserId": members.of_device("apple_user_id"),
            "managed_apple_id_upn": members.of_tenant(f"volume-purchase@appleid.{domain}" for domain in DOMAINS),
            "facilitatorMemberId": members.of_tenant(str(1029384 + place) for place in range(len(DOMAINS))),
            "organizationId": members.of_tenant(f"204902500043143{place}" for place in range(len(DOMAINS))),
            "location": members.of_tenant(f"{name} headquarters" for name in TENANT_NAMES),
            "countryCode": members.of_tenant(COUNTRIES),
        }

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The licence: its application, and how many of it are in use."""
        app, retired = rows.codes(len(APP_NAMES), 0.8), rows.random.integers(0, 3, len(rows))
        used = rows.random.integers(0, TOTAL_LICENCES - 1, len(rows))
        return {
            "userStatus": rows.pick(("Associated", "Registered", "Retired"), 1.0),
            "licenseId": arrays.with_check_digit("99", rows.random.integers(0, 10**6, len(rows)), 6),
            "adamId": pool_values([str(361_309_726 + place) for place in range(len(APP_NAMES))], app),
            "bundleId": pool_values(APP_IDS, app),
            "appName": pool_values(APP_NAMES, app),
            "appDescription": pool_values([f"{name} for teams" for name in APP_NAMES], app),
            "iconUrl": pool_values([f"https://apps.example/{bundle}.png" for bundle in APP_IDS], app),
            "url": pool_values([f"https://apps.example/{bundle}" for bundle in APP_IDS], app),
            "copyright": rows.pick(("2026 Example", "2025 Example")),
            "genres": rows.pick(("Productivity", "Business", "Utilities")),
            "assignedCount": pa.array(used),
            "retiredCount": pa.array(retired),
            "availableCount": pa.array(TOTAL_LICENCES - used - retired),
            "totalCount": pa.array([TOTAL_LICENCES] * len(rows), pa.int64()),
        }
