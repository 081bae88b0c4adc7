"""`audit_events`: what administrators did to devices, applications, policies and roles."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples import values
from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import Devices
from minimize.samples.values import Ints, picked, taken
from minimize.samples.world import Administrators, colleagues

ACTS = (
    ("remote_task", "sync", "managedDevice", "Devices", "Device", "remote_tasks/sync"),
    ("update", "update", "managedDevice", "Devices", "Device", "managed_devices/update"),
    ("assign", "assign", "mobileApp", "Applications", "Application", "mobile_apps/assign"),
    ("manage", "retire", "managedDevice", "Devices", "Device", "managed_devices/manage"),
    ("create", "create", "deviceCompliancePolicy", "Policies", "Compliance", "policies/create"),
    ("update", "update", "deviceConfiguration", "Policies", "DeviceConfiguration", "policies/update"),
    ("delete", "delete", "managedDevice", "Devices", "Device", "managed_devices/delete"),
    ("remote_task", "locate", "managedDevice", "Devices", "Device", "remote_tasks/locate"),
    ("assign", "assign", "roleAssignment", "Roles", "Role", "roles/assign"),
    ("remote_task", "wipe", "managedDevice", "Devices", "Device", "remote_tasks/wipe"),
)
"""Operation, verb, type of the object, component, category, and the permission for it; the most frequent first."""
OPERATIONS, VERBS, TYPES, COMPONENTS, CATEGORIES, PERMISSIONS = zip(*ACTS, strict=True)
CHANGES = [
    {"name": "ownerType", "old_value": "corporate", "new_value": "personal"},
    {"name": "deviceCategory", "old_value": "Smartphones", "new_value": "Loan"},
    {"name": "notes", "old_value": "bought for Zoé Martin", "new_value": "returned, call +12025550123"},
    {"name": "notificationEmail", "old_value": "help@mail.example", "new_value": "carol@mail.example"},
    {"name": "passcodeMinimumLength", "old_value": "6", "new_value": "8"},
    {"name": "trustedNetwork", "old_value": "203.0.113.0/24", "new_value": "198.51.100.0/24"},
]
DEVICES = 200
"""So many devices, with their users, are objects of acts."""
POLICIES = 40
"""So are so many policies, applications and roles."""


class AuditEvents(Dataset[Administrators]):
    """Eight acts of each administrator in a day."""

    population = Administrators
    subject = "actor_id"
    daily = 8
    ancient = 400
    facts = ()
    wrong = (("resources", "none"), ("result", 0))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        self._devices = Devices(self.world, DEVICES)
        self._policies = values.guids(np.random.default_rng([seed, 5]), POLICIES)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The actor."""
        actors = self.members
        return {
            **super().fixed_columns(),
            "actor_id": actors.admin_id,
            "actor_principal_name": actors.user_principal_name,
            "actor_type": actors.pick("actor_type", ("ItPro", "PartnerUser"), 2.5),
            "actor_application": actors.pick("actor_application", ("Console", "Portal", "Automation"), 1.5),
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The act."""
        act = rows.codes(len(ACTS), 0.5)
        return {
            "operation": picked(OPERATIONS, act),
            "activity": picked([f"{verb} {type_}" for verb, type_ in zip(VERBS, TYPES, strict=True)], act),
            "component": picked(COMPONENTS, act),
            "category": picked(CATEGORIES, act),
            "result": rows.pick(("success", "failure"), 3.5),
            "correlation_id": rows.guids(),
            "actor_ip": picked(self.addresses, rows.members * 13 % len(self.addresses)),
            "actor_permissions": picked([[f"{name.split('/')[0]}/read", name] for name in PERMISSIONS], act),
            "resources": self._resources(rows, act),
            "changed_properties": _changes(rows, act),
        }

    def _resources(self, rows: Rows, act: Ints) -> pa.ListArray:
        """A device or a policy of the tenant; second, the user to whom something is assigned."""
        device = colleagues(self.members.tenant[rows.members], self._devices, rows.random)
        policy = rows.codes(POLICIES, 0.5)
        sizes = np.where(np.isin(OPERATIONS, "assign")[act], 2, 1)
        row = np.repeat(np.arange(len(rows)), sizes)
        is_second = np.append(False, row[1:] == row[:-1])[: len(row)]
        which = pa.array(np.where(is_second, 2, np.where(np.isin(TYPES, "managedDevice")[act[row]], 0, 1)))
        device, policy = device[row], policy[row]
        user = np.where(device < 0, -1, self._devices.user[device])
        users, names = self._devices.users, [f"Policy {number + 1}" for number in range(POLICIES)]
        ids = (taken(self._devices.device_id, device), taken(self._policies, policy), taken(users.user_id, user))
        known_as = (
            taken(self._devices.device_name, device),
            picked(names, policy).cast(pa.string()),
            taken(users.display_name, user),
        )
        resources = {
            "type": picked([*TYPES, "user"], np.where(is_second, len(TYPES), act[row])),
            "id": pc.choose(which, *ids),
            "name": pc.choose(which, *known_as),
        }
        return _lists(sizes, pa.StructArray.from_arrays(list(resources.values()), names=list(resources)))


def _changes(rows: Rows, act: Ints) -> pa.ListArray:
    """One or two properties for each update, none for other acts."""
    sizes = np.where(np.isin(OPERATIONS, "update")[act], 1 + rows.chance(0.3), 0)
    return _lists(sizes, picked(CHANGES, values.codes(rows.random, int(sizes.sum()), len(CHANGES), 0.5)))


def _lists(sizes: Ints, elements: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(sizes)).astype(np.int32)), elements)
