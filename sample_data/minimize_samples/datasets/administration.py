"""Datasets of administration: administrator accounts, audit events, console usage, summaries of on-premises sites."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize_samples import arrays, collection_settings
from minimize_samples.arrays import (
    Ints,
    concatenate,
    null_unless,
    pool_values,
    random_codes,
    take_or_null,
    weighted_codes,
)
from minimize_samples.dataset import Dataset, SampleRows
from minimize_samples.devices import CPUS, Devices
from minimize_samples.world import DOMAINS, TENANTS, Administrators, Population, colleague_numbers

ADMINISTRATOR_ROLES = [
    ["help_desk_operator"],
    ["read_only_operator"],
    ["policy_manager"],
    ["application_manager"],
    ["policy_manager", "application_manager"],
    ["role_administrator"],
    ["school_administrator"],
]
"""The most frequent first."""
CARD_DIGITS = ("4242", None, "0005", "1117", None, "4444")
"""The last digits of the card of each tenant, of numbers for tests; the others pay by invoice."""


class AdministratorAccounts(Dataset[Administrators]):
    """A record for each account of an administrator. Each administrator has one account, that of their tenant."""

    population = Administrators
    subject = "admin_id"
    facts = (
        *("admin_id", "account_id", "first_name", "last_name", "user_name", "user_principal_name", "phone_number"),
        *("owner_email", "directory_id", "partner_tenant_id"),
    )
    wrong = (("roles", "all"), ("payment_method", 1))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The permissions of the administrator, and the payment of the account."""
        people = self.members
        by_card = np.array([card is not None for card in CARD_DIGITS])[people.tenant]
        tokens, keys = (
            arrays.secrets(np.random.default_rng([self.world.seed, 6, place]), len(TENANTS)) for place in (0, 1)
        )
        return {
            **super().fixed_columns(),
            "roles": pool_values(
                ADMINISTRATOR_ROLES, random_codes(people.draw("roles"), people.count, len(ADMINISTRATOR_ROLES), 0.9)
            ),
            "payment_method": pool_values(("invoice", "card"), by_card.astype(np.int64)),
            "payment_card_last4": pool_values(CARD_DIGITS, people.tenant),
            "payment_card_token": null_unless(take_or_null(tokens, people.tenant), by_card),
            "subscription_key": take_or_null(keys, people.tenant),
        }

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """There are no fields that change from record to record."""
        return {}


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
OPERATIONS, VERBS, OBJECT_TYPES, COMPONENTS, CATEGORIES, PERMISSIONS = zip(*ACTS, strict=True)
CHANGES = [
    {"name": "ownerType", "old_value": "corporate", "new_value": "personal"},
    {"name": "deviceCategory", "old_value": "Smartphones", "new_value": "Loan"},
    {"name": "notes", "old_value": "bought for Zoé Martin", "new_value": "returned, call +12025550123"},
    {"name": "notificationEmail", "old_value": "help@mail.example", "new_value": "carol@mail.example"},
    {"name": "passcodeMinimumLength", "old_value": "6", "new_value": "8"},
    {"name": "trustedNetwork", "old_value": "203.0.113.0/24", "new_value": "198.51.100.0/24"},
]
AUDITED_DEVICES = 200
"""The number of devices that, with their users, are objects of actions."""
AUDITED_POLICIES = 40
"""The number of policies, applications and roles that are objects of actions."""


class AuditEvents(Dataset[Administrators]):
    """Eight actions of each administrator per day."""

    population = Administrators
    subject = "actor_id"
    daily = 8
    ancient = 400
    facts = ()
    wrong = (("resources", "none"), ("result", 0))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        self._devices = Devices(self.world, AUDITED_DEVICES)
        self._policies = arrays.guids(np.random.default_rng([seed, 5]), AUDITED_POLICIES)

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

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The action."""
        act = rows.codes(len(ACTS), 0.5)
        return {
            "operation": pool_values(OPERATIONS, act),
            "activity": pool_values([f"{verb} {type_}" for verb, type_ in zip(VERBS, OBJECT_TYPES, strict=True)], act),
            "component": pool_values(COMPONENTS, act),
            "category": pool_values(CATEGORIES, act),
            "result": rows.pick(("success", "failure"), 3.5),
            "correlation_id": rows.guids(),
            "actor_ip": pool_values(self.addresses, rows.members * 13 % len(self.addresses)),
            "actor_permissions": pool_values([[f"{name.split('/')[0]}/read", name] for name in PERMISSIONS], act),
            "resources": self._resources(rows, act),
            "changed_properties": _changed_properties(rows, act),
        }

    def _resources(self, rows: SampleRows, act: Ints) -> pa.ListArray:
        """A device or a policy of the tenant; second, the user of an assignment."""
        device = colleague_numbers(self.members.tenant[rows.members], self._devices, rows.random)
        policy = rows.codes(AUDITED_POLICIES, 0.5)
        sizes = np.where(np.isin(OPERATIONS, "assign")[act], 2, 1)
        row = np.repeat(np.arange(len(rows)), sizes)
        is_second = np.append(False, row[1:] == row[:-1])[: len(row)]
        which = pa.array(np.where(is_second, 2, np.where(np.isin(OBJECT_TYPES, "managedDevice")[act[row]], 0, 1)))
        device, policy = device[row], policy[row]
        user = np.where(device < 0, -1, self._devices.user[device])
        users, names = self._devices.users, [f"Policy {number + 1}" for number in range(AUDITED_POLICIES)]
        ids = (
            take_or_null(self._devices.device_id, device),
            take_or_null(self._policies, policy),
            take_or_null(users.user_id, user),
        )
        known_as = (
            take_or_null(self._devices.device_name, device),
            pool_values(names, policy).cast(pa.string()),
            take_or_null(users.display_name, user),
        )
        resources = {
            "type": pool_values([*OBJECT_TYPES, "user"], np.where(is_second, len(OBJECT_TYPES), act[row])),
            "id": pc.choose(which, *ids),
            "name": pc.choose(which, *known_as),
        }
        return _list_array(sizes, pa.StructArray.from_arrays(list(resources.values()), names=list(resources)))


def _changed_properties(rows: SampleRows, act: Ints) -> pa.ListArray:
    """One or two properties for each update, none for other actions."""
    sizes = np.where(np.isin(OPERATIONS, "update")[act], 1 + rows.chance(0.3), 0)
    return _list_array(
        sizes, pool_values(CHANGES, arrays.random_codes(rows.random, int(sizes.sum()), len(CHANGES), 0.5))
    )


def _list_array(sizes: Ints, elements: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(sizes)).astype(np.int32)), elements)


CONSOLE_PAGES = ("devices", "apps", "compliance", "users", "reports", "enrolment", "roles", "tenant_status", "support")
CONTROLS = ("list", "filter", "details", "export", "toolbar", "search_box")
ACTIONS = ("view", "click", "search", "save")
SEARCH = 2
BROWSERS = ("Edge 130", "Chrome 130", "Firefox 132", "Safari 18")
SEARCHED_DEVICES = 100
"""The number of devices, of any tenant, that are searched for."""


class ConsoleUsage(Dataset[Administrators]):
    """Twelve actions of each administrator per day."""

    population = Administrators
    subject = "admin_id"
    daily = 12
    facts = ("admin_id",)
    settings_by = (collection_settings.level_settings,)
    wrong = (("use_count", "twice"), ("duration_ms", 0.5))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        devices = Devices(self.world, SEARCHED_DEVICES)
        names = ("user_display_name", "serial_number", "device_name", "phone_number")
        known = [text for column in devices.facts(names).values() for text in column.drop_null().to_pylist()]
        self._searches = [*known, "not compliant", "error 0x87D1041C", "203.0.113.7", "iOS 18"]

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The browser."""
        return {**super().fixed_columns(), "browser": self.members.pick("browser", BROWSERS, 0.9)}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The action."""
        action = rows.codes(len(ACTIONS), 0.8)
        sessions = arrays.guids(rows.random, 1 + len(rows) // 4)
        return {
            "session_guid": sessions.take(pa.array((rows.members + rows.turns // 4 * 31) % len(sessions))),
            "correlation_id": rows.guids(),
            "page": rows.pick(CONSOLE_PAGES, 0.8),
            "control": pool_values(
                CONTROLS, np.where(action == SEARCH, len(CONTROLS) - 1, rows.codes(len(CONTROLS) - 1, 0.6))
            ),
            "action": pool_values(ACTIONS, action),
            "use_count": pa.array(1 + rows.random.poisson(0.8, len(rows))),
            "duration_ms": pa.array(rows.random.lognormal(6.5, 1.0, len(rows)).astype(np.int64)),
            "client_ip": pool_values(self.addresses, rows.members * 13 % len(self.addresses)),
            "search_text": rows.pick(self._searches, where=action == SEARCH),
        }


PRODUCT_VERSIONS = ("2409", "2403", "2309", "2303", "2207", "2107")
DIAGNOSTIC_LEVELS = ("enhanced", "basic", "full")
SITE_SYSTEMS = ("10.0.22631", "10.0.19045", "10.0.26100", "10.0.17763", "6.3.9600")
TPM_VERSIONS = ("2.0", "1.2", None)
SITE_ERRORS = ("0x87D00324", "0x80072EE2", "0x87D00607", "0x80070643", "0x87D00231")
TOWNS = ("Exampleville", "Sampleton", "Mustertal", "Exempleux")
SITE_CONTACTS = 120
"""The number of administrators who are contacts of sites."""


class Sites(Population):
    """Sites where tenants operate the product themselves."""

    seeded_as = "sites"

    @cached_property
    def contacts(self) -> Administrators:
        """The administrators who may be contacts."""
        return Administrators(self.world, SITE_CONTACTS)

    @cached_property
    def contact(self) -> Ints:
        """The index of the administrator who is the contact."""
        return colleague_numbers(self.tenant, self.contacts, self.draw("contact"))

    @cached_property
    def site_id(self) -> pa.StringArray:
        """The site."""
        return self.guids("site_id")

    @cached_property
    def _number(self) -> pa.StringArray:
        return pa.array(np.arange(self.count) + 1).cast(pa.string())

    @cached_property
    def site_name(self) -> pa.StringArray:
        """Its name, which can contain a person's name."""
        family = self.pick("site_name", [f"{name} building " for name in self.world.people.family_names])
        return concatenate(family.cast(pa.string()), self._number)

    @cached_property
    def server_name(self) -> pa.StringArray:
        """The name of its server."""
        return concatenate("cm", self._number, ".", pool_values(DOMAINS, self.tenant).cast(pa.string()))

    @cached_property
    def contact_name(self) -> pa.StringArray:
        """The contact's name."""
        return take_or_null(self.contacts.display_name, self.contact)

    @cached_property
    def contact_email(self) -> pa.StringArray:
        """The contact's address."""
        return take_or_null(self.contacts.user_principal_name, self.contact)

    @cached_property
    def postal_address(self) -> pa.StringArray:
        """An invented address without a town."""
        street = self.pick("street", [f" {name} Street, " for name in self.world.people.family_names])
        town = self.pick("town", [f"{10_000 + 77 * place} {name}" for place, name in enumerate(TOWNS)])
        return concatenate(self._number, street.cast(pa.string()), town.cast(pa.string()))

    @cached_property
    def product_version(self) -> pa.Array:
        """The version of the product."""
        return self.pick("product_version", PRODUCT_VERSIONS, 1.0)

    @cached_property
    def diagnostic_level(self) -> pa.Array:
        """The telemetry setting of the site's administrators."""
        return self.pick("diagnostic_level", DIAGNOSTIC_LEVELS, 0.7)

    @cached_property
    def cpu(self) -> pa.Array:
        """The processor of the server."""
        return self.pick("cpu", CPUS, 1.3)

    @cached_property
    def clients(self) -> Ints:
        """The number of computers that it manages."""
        return self.draw("clients").lognormal(6.5, 1.2, self.count).astype(np.int64) + 5


class SiteSummary(Dataset[Sites]):
    """A summary for each site and week."""

    population = Sites
    subject = "site_id"
    every = 7
    facts = (
        *("site_id", "product_version", "diagnostic_level", "cpu", "site_name", "server_name", "contact_name"),
        *("contact_email", "postal_address"),
    )
    wrong = (("client_count", "many"), ("database_size_gb", "large"))

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """Counts of one system, one version of a trusted platform module and one error each."""
        random, clients = rows.random, self.members.clients[rows.members]
        share = random.beta(4, 2, (len(rows), 2))
        return {
            "client_count": pa.array(clients),
            "os_version": rows.pick(SITE_SYSTEMS, 0.8),
            "os_device_count": pa.array((clients * share[:, 0]).astype(np.int64)),
            "tpm_version": rows.pick(TPM_VERSIONS, 1.2),
            "tpm_device_count": pa.array((clients * share[:, 1]).astype(np.int64)),
            "error_code": rows.pick(SITE_ERRORS, 0.8, rows.chance(0.7)),
            "error_count": pa.array(random.poisson(4, len(rows))),
            "database_size_gb": pa.array(np.round(clients / 40 + random.gamma(2, 3, len(rows)), 1)),
            "server_age_months": pa.array(3 + weighted_codes(random, len(rows), tuple(range(90, 10, -1)))),
            "server_ip": pool_values(self.addresses, rows.members * 17 % len(self.addresses)),
        }
