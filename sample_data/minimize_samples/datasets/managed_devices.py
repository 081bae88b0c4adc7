"""Datasets of managed devices.

Telemetry, inventories, enrollments; then usage events and check-ins of the applications on them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize_samples import arrays, collection_settings
from minimize_samples.arrays import (
    Ints,
    Random,
    concatenate,
    null_unless,
    pool_values,
    random_codes,
    take_or_null,
    weighted_codes,
)
from minimize_samples.dataset import DAY_MILLISECONDS, HOUR_STEP, Dataset, SampleRows, Slice, delay_events
from minimize_samples.devices import (
    ANDROID,
    APP_IDS,
    APP_NAMES,
    APP_VERSIONS,
    DEDICATED,
    IPHONE,
    MAC,
    MANAGED_APPS,
    WINDOWS,
    WORK_PROFILE,
    Devices,
    app_size,
    app_version,
)
from minimize_samples.populations import MANAGEMENT_MODES, Clients

PLACES = (
    (48.8566, 2.3522),
    (52.52, 13.405),
    (40.7128, -74.006),
    (51.5072, -0.1276),
    (-33.8688, 151.2093),
    (35.6764, 139.65),
)
"""The position of each tenant."""


class DeviceTelemetry(Dataset[Devices]):
    """Devices check in three times a day; every third time they bring an inventory."""

    population = Devices
    subject = "device_id"
    daily = 3
    facts = (
        *("device_id", "device_type", "owner_type", "operating_system", "management_agent"),
        *(
            "user_id",
            "user_principal_name",
            "device_name",
            "serial_number",
            "imei",
            "wifi_mac",
            "phone_number",
            "carrier",
        ),
        *("activation_lock_bypass_code", "manufacturer", "model", "enrolled_date_time", "bios_date", "os_installed"),
        *("os_language", "os_version", "security_patch", "is_encrypted", "is_supervised", "lost_mode", "jail_broken"),
        *("compliance_state", "labels", "hardware"),
    )
    settings_by = (
        *(
            collection_settings.level_settings,
            collection_settings.app_inventory_settings,
            collection_settings.location_settings,
        ),
        collection_settings.usage_settings,
    )
    wrong = (("battery_pct", "87"), ("apps", "none"), ("free_storage_bytes", 1.5))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        self._apps = self.members.apps.lists

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The position and state of the device, and its installed applications."""
        random, count = rows.random, len(rows)
        roaming, located = rows.chance(0.2), rows.chance(0.4)
        home = rows.members * 7 % len(self.addresses)
        address = np.where(roaming, random.integers(0, len(self.addresses), count), home)
        place = np.round(np.array(PLACES)[self.members.tenant[rows.members]] + random.normal(0, 0.2, (count, 2)), 6)
        network = {
            "type": rows.pick(("wifi", "cellular", "ethernet")),
            "ssid": rows.pick(("Lobby-5G", "Carols-Home", "Café"), where=roaming),
        }
        battery = np.round(random.integers(0, 1001, count) / 10, 1)
        free = (self.members.storage[rows.members] * random.beta(2, 4, count)).astype(np.int64)
        return {
            "ip_address": pool_values(self.addresses, address),
            "latitude": null_unless(pa.array(place[:, 0]), located),
            "longitude": null_unless(pa.array(place[:, 1]), located),
            "network": pa.StructArray.from_arrays(list(network.values()), names=list(network)),
            "battery_pct": null_unless(pa.array(battery), rows.chance(0.95)),
            "free_storage_bytes": pa.array(free),
            "portal_opens": pa.array(random.poisson(1.5, count)),
            "apps": take_or_null(self._apps, np.where(rows.chance(1 / 3), rows.members, -1)),
            "support_note": rows.pick(self.world.people.notes, where=rows.chance(0.04)),
        }


class DeviceInventory(Dataset[Devices]):
    """A record for each device and inventory, with every identifier known to the service."""

    population = Devices
    subject = "device_id"
    facts = (
        *("device_id", "user_id", "user_display_name", "user_principal_name", "device_name", "management_name"),
        *("serial_number", "imei", "meid", "iccid", "wifi_mac", "mac_address", "phone_number", "directory_device_id"),
        *("management_id", "account_id", "eas_device_id", "apple_id", "udid", "android_id", "windows_id"),
        *("partner_tenant_id", "device_type", "owner_type", "operating_system", "os_version", "manufacturer", "model"),
        *("enrolled_date_time", "activation_lock_bypass_code", "certificate_private_key"),
    )
    wrong = (("os_version", 18.1), ("enrolled_date_time", 20_261_124))

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """There are no fields that change from record to record."""
        return {}


class HardwareInventory(Dataset[Devices]):
    """A record for each device and inventory."""

    population = Devices
    subject = "device_id"
    facts = (
        *(
            "device_id",
            "device_type",
            "owner_type",
            "manufacturer",
            "model",
            "operating_system",
            "os_version",
            "os_build",
        ),
        *("total_storage_bytes", "memory_bytes", "cpu", "cpu_cores", "architecture", "tpm_version", "bios_date"),
        *("firmware_version", "carrier", "cellular_technology", "is_encrypted", "jail_broken", "compliance_state"),
    )
    wrong = (("battery_health_pct", "good"), ("cpu_cores", 7.5), ("is_encrypted", "yes"))

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The fields that change over time: free storage and health of the battery."""
        free = self.members.storage[rows.members] * rows.random.beta(2, 4, len(rows))
        return {
            "free_storage_bytes": pa.array(free.astype(np.int64)),
            "battery_health_pct": pa.array(np.round(100 * rows.random.beta(12, 2, len(rows)), 1)),
        }


INSTALL_STATES = ("installed", "notInstalled", "pendingInstall", "notApplicable")
INSTALL_SHARES = (82, 8, 6, 4)
ROLLOUT_SHARES = (46, 22, 16, 16)
"""The shares of the most frequent application, which is being rolled out: enough devices are in each state to be counted."""
NOT_INSTALLED = 1
INSTALL_ERRORS = ("0x87D1041C", "0x87D13B9F", "0x80073CF9", "0x87D300C9")
FOLDERS = ("C:\\Program Files\\", "/Applications/", "/private/var/containers/", "/data/app/")
OWN_FOLDERS = (("C:\\Users\\", "\\AppData\\Local\\"), ("/Users/", "/Applications/"))


class AppInventory(Dataset[Devices]):
    """A record for each device and application."""

    population = Devices
    subject = "device_id"
    daily = 4
    fewest = 8
    facts = ("device_id", "device_type", "owner_type", "operating_system")
    settings_by = (collection_settings.level_settings, collection_settings.app_inventory_settings)
    wrong = (("app_size_bytes", 1.5), ("managed", "no"), ("app_name", ["Mail"]))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        self._apps = self.members.apps
        self._starts = np.cumsum(self._apps.counts) - self._apps.counts

    def rows(self, part: Slice, random: Random) -> SampleRows:
        """The applications of a device together, once a day; repeated if there are more rows than applications."""
        pair = np.arange(part.start, part.start + part.count) % len(self._apps.devices)
        device = self._apps.devices[pair]
        start = part.midnight + device * HOUR_STEP % (DAY_MILLISECONDS - 60_000)
        events, arrival = delay_events(start + random.integers(0, 60_000, part.count), random)
        return SampleRows(device[arrival], events[arrival], (pair - self._starts[device])[arrival], random)

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The application, and whether it could be installed; only managed ones are installed by the service."""
        pair = self._starts[rows.members] + rows.turns
        app, step, managed = self._apps.apps[pair], self._apps.versions[pair], self._apps.managed[pair] > 0
        rolled_out, others = (
            weighted_codes(rows.random, len(rows), shares) for shares in (ROLLOUT_SHARES, INSTALL_SHARES)
        )
        state = np.where(managed, np.where(app > 0, others, rolled_out), 0)
        failed = np.isin(state, NOT_INSTALLED) & rows.chance(0.75)
        on_windows = np.isin(self.members.kind[rows.members], WINDOWS)
        known = [(app, step) for app in range(len(APP_NAMES)) for step in range(APP_VERSIONS)]
        return {
            "app_id": pool_values(APP_IDS, app),
            "app_name": pool_values(APP_NAMES, app),
            "app_version": pool_values([app_version(*each) for each in known], app * APP_VERSIONS + step),
            "app_size_bytes": pool_values([app_size(*each) for each in known], app * APP_VERSIONS + step),
            "install_location": null_unless(
                self._locations(rows.members, app, managed), state == 0
            ).dictionary_encode(),
            "managed": pa.array(managed),
            "modern": pa.array(on_windows & (app % 3 == 0)),
            "install_state": pool_values(INSTALL_STATES, state),
            "install_succeeded": null_unless(pa.array(~failed), failed | (managed & (state == 0))),
            "install_error_code": rows.pick(INSTALL_ERRORS, 0.8, failed),
        }

    def _locations(self, devices: Ints, app: Ints, managed: np.ndarray) -> pa.StringArray:
        """A path; of an application that a person installed on a computer, with their name."""
        kind = self.members.kind[devices]
        platform = np.select([kind == WINDOWS, kind == MAC, (kind >= IPHONE) & (kind < ANDROID)], [0, 1, 2], 3)
        name = concatenate(
            pool_values(FOLDERS, platform).cast(pa.string()), pool_values(APP_NAMES, app).cast(pa.string())
        )
        users = self.members.users
        before, after = (
            pool_values([folder[side] for folder in OWN_FOLDERS], np.minimum(platform, 1)).cast(pa.string())
            for side in (0, 1)
        )
        own = concatenate(
            before,
            take_or_null(users.user_name, self.members.holder[devices]),
            after,
            pool_values(APP_NAMES, app).cast(pa.string()),
        )
        return pc.if_else(pa.array((platform < 2) & ~managed), own, name)


ENROLLMENT_TYPES = (
    "UserEnrollment", "DeviceEnrollmentManager", "AppleBulkWithUser", "AppleBulkWithoutUser", "WindowsAzureADJoin",
    "WindowsBulkUserless", "AndroidEnterpriseWorkProfile", "AndroidEnterpriseDedicated",
)  # fmt: skip
USERLESS_TYPES = (3, 5, 7)
FAILURES = (
    ("EnrollmentRestrictionsEnforced", "DeviceCapReached"),
    ("Authentication", "CredentialsRejected"),
    ("Authorization", "UserLicenseMissing"),
    ("UserAbandonment", "UserCancelled"),
    ("ClientDisconnected", "ConnectionLost"),
    ("EnrollmentRestrictionsEnforced", "PlatformBlocked"),
    ("DeviceNotSupported", "OsVersionTooOld"),
    ("UserValidation", "UserNotFound"),
    ("Authentication", "TokenExpired"),
    ("AccountValidation", "AccountSuspended"),
    ("DeviceNotSupported", "ModelNotCertified"),
    ("BadRequest", "RequestMalformed"),
    ("FeatureNotSupported", "FeatureNotLicensed"),
    ("InMaintenance", "ServiceUnderRepair"),
    ("Unknown", "CauseUnclassified"),
    ("Not Available", "CauseNotReported"),
    ("Not Applicable", "EnrollmentWithdrawn"),
)
"""Categories and reasons, the most frequent first."""


class Enrollments(Dataset[Devices]):
    """Attempts, of which one in five fails; four kinds of enrolment name no user."""

    population = Devices
    subject = "device_id"
    facts = ("device_id", "serial_number", "device_type", "owner_type", "operating_system", "os_version")
    wrong = (("duration_ms", "long"), ("succeeded", "yes"))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The type of a device's enrolment, and its user if that type has one."""
        kinds = self._types()
        with_user = ~np.isin(kinds, USERLESS_TYPES)
        return {
            **super().fixed_columns(),
            "user_id": null_unless(self.members.user_id, with_user),
            "user_principal_name": null_unless(self.members.user_principal_name, with_user),
            "enrollment_type": pool_values(ENROLLMENT_TYPES, kinds),
        }

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The result of the attempt."""
        succeeded = rows.chance(0.8)
        failure = random_codes(rows.random, len(rows), len(FAILURES), 1.0)
        duration = rows.random.lognormal(10.2, 0.7, len(rows)).astype(np.int64)
        return {
            "succeeded": pa.array(succeeded),
            "failure_category": pool_values([category for category, _ in FAILURES], failure, ~succeeded),
            "failure_reason": pool_values([reason for _, reason in FAILURES], failure, ~succeeded),
            "duration_ms": pa.array(duration),
        }

    def _types(self) -> Ints:
        """Corporate devices are enrolled in bulk or by their user, others by their user."""
        devices, draw = self.members, self.members.draw("enrollment_type")
        chosen = draw.random(devices.count)
        bulk = np.where(devices.is_apple, np.where(chosen < 0.7, 2, 3), np.where(chosen < 0.85, 4, 5))
        by_user = np.where(chosen < 0.95, 0, 1)
        in_bulk = ~devices.is_personal & (devices.kind >= WINDOWS) & (devices.is_apple | (devices.kind < MAC))
        kinds = np.where(in_bulk, bulk, by_user)
        return np.select([devices.kind == DEDICATED, devices.kind == WORK_PROFILE], [7, 6], kinds)


EVENT_KINDS = (
    "app_launch", "enrollment_call", "sdk_action", "page_view", "page_action", "crash",
    "failure.network", "failure.runtime", "failure.task_schedule", "failure.enrollment", "failure.aad_auth",
)  # fmt: skip
EVENT_WEIGHTS = (19, 5, 19, 24, 18, 3, 5, 4, 1, 1, 1)
CRASH_KIND = 5
USED_FEATURES = tuple(
    f"company_portal.{name}" for name in ("devices", "apps", "sync", "support", "profile", "news", "reset_passcode")
)
PORTAL_PAGES = tuple(
    f"https://user{row}@portal.example:443/{feature}?id={row}" for row, feature in enumerate(USED_FEATURES)
)
COMMANDS = ("sync", "enroll", "retire", "check_compliance", "install_app")
CLIENT_ERRORS = ("0x87D1041C", "0x80070005", "0x87D13B9F", "0x80180014", "0x8018002A")


class UsageEvents(Dataset[Clients]):
    """Users and their events of a day; some users are more active than others."""

    population = Clients
    subject = "sdk_user_id"
    daily = 8
    facts = (
        *("sdk_user_id", "display_name", "user_email", "device_id", "management_mode", "platform"),
        *("platform_version", "app_version", "sdk_version"),
    )
    settings_by = (
        collection_settings.level_settings,
        collection_settings.sdk_settings,
        collection_settings.own_usage_settings,
    )
    wrong = (("use_count", "three"), ("response_time_ms", 12.5))

    def rows(self, part: Slice, random: Random) -> SampleRows:
        """Events at any time in the slice's part of the day."""
        user = arrays.random_codes(random, part.count, self.members.count, 0.3)
        span = max(1, DAY_MILLISECONDS * part.count // max(1, part.day_total))
        start = part.midnight + DAY_MILLISECONDS * part.start // max(1, part.day_total)
        events, arrival = delay_events(start + random.integers(0, span, part.count), random)
        return SampleRows(user[arrival], events[arrival], arrival, random)

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The event."""
        random, count = rows.random, len(rows)
        kind = arrays.weighted_codes(random, count, EVENT_WEIGHTS)
        failed, used = kind >= CRASH_KIND, (kind > 1) & (kind < CRASH_KIND)
        response = np.minimum(random.lognormal(5.3, 0.8, count), 120_000).astype(np.int64)
        return {
            "event_type": pool_values(EVENT_KINDS, kind),
            "session_guid": self._sessions(rows),
            "correlation_id": rows.guids(),
            "client_ip": pool_values(self.addresses, rows.members * 11 % len(self.addresses)),
            "page_url": rows.pick(PORTAL_PAGES, where=rows.chance(0.4)),
            "feature_name": rows.pick(USED_FEATURES, 0.8, used),
            "command_name": rows.pick(COMMANDS, 0.8, kind == 2),
            "use_count": null_unless(pa.array(1 + random.poisson(1.2, count)), used),
            "response_time_ms": null_unless(pa.array(response), ~failed),
            "duration_ms": pa.array(response * 3 + 7),
            "install_succeeded": null_unless(pa.array(rows.chance(0.96)), kind == 1),
            "error_code": rows.pick(CLIENT_ERRORS, 2.5, failed),
            "feedback": rows.pick(self.world.people.notes, where=rows.chance(0.02)),
        }

    def _sessions(self, rows: SampleRows) -> pa.StringArray:
        """A session for each user and quarter of a day."""
        number: Ints = rows.members * 31 + rows.times // (DAY_MILLISECONDS // 4)
        sessions = arrays.guids(rows.random, 1 + len(rows) // 3)
        return sessions.take(pa.array(number % len(sessions)))


INSTANCES = 2
"""The facts of each user."""
HEALTH_STATES = ("healthy", "notAvailable", "unhealthy")
HOUR_MILLISECONDS = 3_600_000


class ManagedApps(Dataset[Clients]):
    """Each user has some instances, each of which checks in once a day."""

    population = Clients
    subject = "user_id"
    daily = INSTANCES
    facts = (
        *("user_id", "user_principal_name", "device_id", "sdk_version", "operating_system", "platform_version"),
        "device_tag",
    )
    settings_by = (collection_settings.level_settings, collection_settings.sdk_settings)
    wrong = (("last_check_in", 20_261_124), ("sdk_version", 3.2))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        draw, count = self.members.draw, self.members.count * INSTANCES
        self._ids = arrays.guids(draw("app_instance_id"), count)
        self._keys = arrays.secrets(draw("encryption_key"), count)
        self._apps = arrays.random_codes(draw("app"), count, MANAGED_APPS, 0.8)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """With enrolment, application and device are managed."""
        mode = pool_values(MANAGEMENT_MODES[:2], np.where(self.members.is_enrolled, 0, 1))
        return {**super().fixed_columns(), "management_mode": mode}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The instance and its state."""
        instance = rows.members * INSTANCES + rows.turns % INSTANCES
        app = self._apps[instance]
        versions = [app_version(each, step) for each in range(MANAGED_APPS) for step in range(APP_VERSIONS)]
        earlier = rows.random.integers(HOUR_MILLISECONDS, 24 * HOUR_MILLISECONDS, len(rows))
        return {
            "app_instance_id": self._ids.take(pa.array(instance)),
            "app_id": pool_values(APP_IDS, app),
            "app_version": pool_values(versions, app * APP_VERSIONS + instance % APP_VERSIONS),
            "device_health": rows.pick(HEALTH_STATES, 1.8),
            "encryption_key": self._keys.take(pa.array(instance)),
            "last_check_in": arrays.timestamp_array(rows.times - earlier),
        }
