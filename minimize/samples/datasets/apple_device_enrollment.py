"""`apple_device_enrollment`: devices of an organization as its management server registers them with Apple."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid5

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples import values
from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import MAC
from minimize.samples.lines import concatenated
from minimize.samples.people import phones
from minimize.samples.selection import NAMES, OrganizationAppleDevices
from minimize.samples.values import picked
from minimize.samples.world import DOMAINS

STATUSES = ("assigned", "pushed", "empty", "removed", "expired")
STATUS_SHARES = (50, 35, 10, 3, 2)
"""The last is not one of the four that Apple knows."""
FAMILIES = ("Mac", "iPhone", "iPad")
PROFILES = ("Default", "Kiosk")
STREETS = ("1 Example Street", "2 Harbour Road", "3 Orchard Lane", "4 Quarry Way", "5 Meadow Close", "6 Lantern Yard")
AT_ONCE = 3
"""So many devices, at most, are assigned to a profile together."""


class AppleDeviceEnrollment(Dataset[OrganizationAppleDevices]):
    """A record for each device and day."""

    population = OrganizationAppleDevices
    subject = "device_id"
    facts = ("device_id", "serial_number", "model")
    wrong = (("devices", "all of them"),)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The server, its organization, and the device."""
        return {**super().fixed_columns(), **self._server(), **self._device()}

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The state of the enrolment profile, and what is shown to the person who sets up the device."""
        return {
            "profile_status": picked(STATUSES, values.weighted(rows.random, len(rows), STATUS_SHARES)),
            "device_assigned_by": self.members.administrator.take(pa.array(rows.members)),
        }

    def _server(self) -> dict[str, pa.Array]:
        of_tenant = self.members.of_tenant
        numbers = phones()
        return {
            "server_token": of_tenant(f"token-{uuid5(NAMESPACE_DNS, f'token.{domain}').hex}" for domain in DOMAINS),
            "server_name": of_tenant(f"{name} management" for name in NAMES),
            "server_uuid": of_tenant(str(uuid5(NAMESPACE_DNS, f"server.{domain}")) for domain in DOMAINS),
            "admin_id": of_tenant(f"device-enrollment@{domain}" for domain in DOMAINS),
            "org_name": of_tenant(NAMES),
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
            "asset_tag": concatenated("A-", pc.utf8_lpad(number, 6, "0")),
            "os": picked(("OSX", "iOS", "iOS"), family),
            "device_family": picked(FAMILIES, family),
            "devices": self._assigned(),
            "profile_name": picked(PROFILES, profile),
            "profile_uuid": picked(uuids, members.tenant * len(PROFILES) + profile),
        }

    def _descriptions(self) -> pa.StringArray:
        """The model in capitals; on some devices somebody has added their address."""
        members = self.members
        model = pc.utf8_upper(members.of_device("model").cast(pa.string()))
        added = concatenated(model, " OF ", members.of_device("user_principal_name"))
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
