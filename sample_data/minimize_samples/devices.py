"""The managed devices of the world, and the applications that are installed on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize_samples import arrays
from minimize_samples.arrays import Ints, Random, concatenate, date_array, null_unless, pool_values, take_or_null
from minimize_samples.world import LOST_DEVICES, Population, Users, holder_numbers, phone_numbers

APP_NAMES = (
    "Company Portal", "Mail", "Calendar", "Browser", "Files", "Notes", "Chat", "Meetings",
    "Tasks", "Maps", "Camera", "Music", "Podcasts", "News", "Weather", "Bank of Example",
    "Pregnancy Diary", "Prayer Times", "Dating Example", "Union Members", "Chess", "Crossword", "Runner", "Recipes",
    "Photos", "Scanner", "Inventory", "Timesheet", "Expenses", "VPN Client", "Authenticator", "Whiteboard",
    "Translator", "Drive", "Wallet", "Train Times", "Bus Times", "Parcel", "Radio", "Torch",
)  # fmt: skip
APP_IDS = tuple(f"example.app.{app:03}" for app in range(len(APP_NAMES)))
APP_VERSIONS = 6
MANAGED_APPS = 12
"""This many applications, from the first, can be managed."""
_APP_SHARES = (0.9 / np.arange(1, len(APP_NAMES) + 1) ** 0.9).astype(np.float32)
"""The share of the devices that have each application."""


@dataclass(frozen=True, slots=True)
class AppInstallations:
    """Applications of devices, device by device.

    devices   the index of the device of each application
    apps      its index in `APP_NAMES`
    versions  its index in `APP_VERSIONS`
    managed   1 if the organization manages it
    counts    the number of applications of each device
    """

    devices: Ints
    apps: Ints
    versions: Ints
    managed: Ints
    counts: Ints

    @property
    def lists(self) -> pa.ListArray:
        """A list for each device, of dictionary-encoded applications."""
        codes = (self.apps * APP_VERSIONS + self.versions) * 2 + self.managed
        offsets = np.append(0, np.cumsum(self.counts)).astype(np.int32)
        elements = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), _all_app_versions())
        return pa.ListArray.from_arrays(pa.array(offsets), elements)


def install_apps(which: Random, versions: Random, managed: Random, count: int) -> AppInstallations:
    """The installed applications of a number of devices, with a generator for each column."""
    devices, apps = np.nonzero(which.random((count, len(APP_NAMES)), np.float32) < _APP_SHARES)
    return AppInstallations(
        devices,
        apps,
        versions.integers(0, APP_VERSIONS, len(apps)),
        (apps < MANAGED_APPS) * managed.integers(0, 2, len(apps)),
        np.bincount(devices, minlength=count),
    )


def app_version(app: int, step: int) -> str:
    """The text of an application's version."""
    return f"{1 + app % 9}.{step}.{app}"


def app_size(app: int, step: int) -> int:
    """The bytes of an application."""
    return 1_000_000 + 350_000 * app + step


def _all_app_versions() -> pa.StructArray:
    """Every application in every version, unmanaged and managed."""
    rows = [
        (app, step, managed)
        for app in range(len(APP_NAMES))
        for step in range(APP_VERSIONS)
        for managed in (False, True)
    ]
    return pa.StructArray.from_arrays(
        [
            pa.array([APP_IDS[app] for app, _, _ in rows]),
            pa.array([APP_NAMES[app] for app, _, _ in rows]),
            pa.array([app_version(app, step) for app, step, _ in rows]),
            pa.array([managed for _, _, managed in rows]),
            pa.array([app_size(app, step) for app, step, _ in rows]),
        ],
        names=["id", "name", "version", "managed", "bundle_size"],
    )


DEVICE_TYPES = ("windows", "mac", "iphone", "ipad", "android", "android_work_profile", "android_dedicated")
WINDOWS, MAC, IPHONE, IPAD, ANDROID, WORK_PROFILE, DEDICATED = range(7)
DEVICE_SHARES = (33, 12, 20, 12, 9, 9, 5)
OPERATING_SYSTEMS = ("Windows", "macOS", "iOS", "iPadOS", "Android", "Android", "Android")
AGENTS = (
    *("mdm", "jamf", "mdm", "mdm"),
    *("easMdm", "googleCloudDevicePolicyController", "googleCloudDevicePolicyController"),
)
MAKERS = (
    *(("Tailspin", "Fabrikam"), ("Orchard", "Orchard"), ("Orchard", "Orchard"), ("Orchard", "Orchard")),
    *(("LGE", "Wingtip"), ("LGE", "Wingtip"), ("Zephyr", "Zephyr")),
)
THINGS = ("laptop", "MacBook", "iPhone", "iPad", "phone", "phone", "scanner")
OS_VERSIONS = (
    ("10.0.22631.4460", "10.0.26100.2314", "10.0.19045.3803", "10.0.19044.1288"),
    ("15.1", "14.5.1", "13.6.9", "12.7.6"),
    ("18.1.1", "17.5.1", "16.7.10", "15.8.3"),
    ("18.1", "17.5.1", "16.7.10", "15.8"),
    ("14", "13", "8.0.0", "12.1"),
    ("15", "14", "13", "12.1"),
    ("11", "10.0", "8.1.0", "11"),
)
"""The most frequent first."""
OS_BUILDS = ("KB{:07}", "24B{}", "22B{}", "22B{}", "AP1A.{}", "AP2A.{}", "RQ3A.{}")
LANGUAGES = ("en-US", "fr-FR", "de-DE", "en-GB", "pt-BR", "ja-JP")
CARRIERS = tuple(f"Carrier {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
CDMA_CARRIER = 1
CPUS = tuple(f"Core {family}-{step}" for family in "ABCDEF" for step in range(12))
CORES = (8, 4, 6, 12, 16)
COMPLIANCE_STATES = ("compliant", "noncompliant", "inGracePeriod", "unknown", "conflict", "error", "configManager")
COMPLIANCE_SHARES = (88, 5, 3, 2, 0.5, 0.5, 1)
MODELS_EACH = 14
GIB = 1 << 30
FIRST_ENROLMENT = 1_700_000_000_000


class Devices(Population):
    """Devices; each has a user, but dedicated Android devices have none."""

    seeded_as = "devices"

    @cached_property
    def kind(self) -> Ints:
        """The index of the type in `DEVICE_TYPES`."""
        return arrays.evenly_spread_codes(self.draw("kind"), self.count, DEVICE_SHARES, math.sqrt(5))

    @cached_property
    def holder(self) -> Ints:
        """The index of the person at whose place the device is."""
        return holder_numbers(np.arange(self.count))

    @cached_property
    def users(self) -> Users:
        """The holders of all these devices."""
        return Users(self.world, int(self.holder[-1]) + 1 if self.count else 0)

    @cached_property
    def user(self) -> Ints:
        """The number of the user; -1 if there is none."""
        return np.where(self.kind == DEDICATED, -1, self.holder)

    @cached_property
    def tenant(self) -> Ints:
        """The tenant of the holder."""
        return self.users.tenant[self.holder]

    @cached_property
    def is_personal(self) -> Bools:
        """Whether the device is the user's own."""
        return np.isin(self.kind, (IPHONE, ANDROID, WORK_PROFILE)) & self.chance("is_personal", 0.55)

    @cached_property
    def is_apple(self) -> Bools:
        """Whether it is a Mac, an iPhone or an iPad."""
        return (self.kind >= MAC) & (self.kind <= IPAD)

    @cached_property
    def is_android(self) -> Bools:
        """Whether it is any kind of Android device."""
        return self.kind >= ANDROID

    @cached_property
    def is_cellular(self) -> Bools:
        """Whether it has a SIM card."""
        return (self.kind >= IPHONE) & self.chance("is_cellular", 0.9)

    @cached_property
    def is_lost(self) -> Bools:
        """Whether an administrator searches for it: the first `LOST_DEVICES` of each tenant."""
        return arrays.ordinals_in_group(self.tenant) < LOST_DEVICES

    def of_kind(self, pool: Sequence[str]) -> pa.Array:
        """A value for each device by its type."""
        return pool_values(pool, self.kind)

    def of_user(self, column: pa.Array) -> pa.Array:
        """The value of each device's user; null without one."""
        return take_or_null(column, self.user)

    @cached_property
    def device_id(self) -> pa.StringArray:
        """The device."""
        return self.guids("device_id")

    @cached_property
    def directory_device_id(self) -> pa.StringArray:
        """The device in the directory."""
        return self.guids("directory_device_id")

    @cached_property
    def management_id(self) -> pa.StringArray:
        """The device in the management channel."""
        return self.guids("management_id")

    @cached_property
    def threat_defense_id(self) -> pa.StringArray:
        """An id that the service made for the vendor of mobile threat defense alone, and stores."""
        return self.guids("threat_defense_id")

    @cached_property
    def windows_id(self) -> pa.StringArray:
        """The device as Windows names itself."""
        return null_unless(self.guids("windows_id"), self.kind == WINDOWS)

    @cached_property
    def udid(self) -> pa.StringArray:
        """The device as Apple names it."""
        digits = arrays.hexadecimals(self.draw("udid"), self.count, 16)
        return null_unless(concatenate("00008030-", digits), self.is_apple)

    @cached_property
    def android_id(self) -> pa.StringArray:
        """The device as Android names itself."""
        return null_unless(arrays.hexadecimals(self.draw("android_id"), self.count, 16), self.is_android)

    @cached_property
    def eas_device_id(self) -> pa.StringArray:
        """The device in Exchange ActiveSync, which some Android devices use."""
        return null_unless(arrays.hexadecimals(self.draw("eas_device_id"), self.count, 32), self.kind == ANDROID)

    @cached_property
    def serial_number(self) -> pa.StringArray:
        """A serial number that is not from any manufacturer."""
        return arrays.serials(self.draw("serial_number"), self.count)

    @cached_property
    def imei(self) -> pa.StringArray:
        """An IMEI of the test range."""
        return null_unless(arrays.imeis(self.draw("imei"), self.count), self.is_cellular)

    @cached_property
    def meid(self) -> pa.StringArray:
        """The IMEI without its check digit, as devices of one carrier report it."""
        return null_unless(pc.utf8_slice_codeunits(self.imei, 0, 14), self.is_cdma)

    @cached_property
    def iccid(self) -> pa.StringArray:
        """The SIM card, of a country code that is not assigned."""
        return null_unless(arrays.iccids(self.draw("iccid"), self.count), self.is_cellular)

    @cached_property
    def wifi_mac(self) -> pa.StringArray:
        """A locally administered address."""
        return arrays.macs(self.draw("wifi_mac"), self.count)

    @cached_property
    def mac_address(self) -> pa.StringArray:
        """The address of a Mac's cable."""
        return null_unless(arrays.macs(self.draw("mac_address"), self.count), self.kind == MAC)

    @cached_property
    def phone_number(self) -> pa.Array:
        """A number reserved for fiction."""
        return null_unless(self.pick("phone_number", phone_numbers()), self.is_cellular & (self.kind != IPAD))

    @cached_property
    def user_id(self) -> pa.StringArray:
        """The user."""
        return self.of_user(self.users.user_id)

    @cached_property
    def apple_user_guid(self) -> pa.StringArray:
        """The id of the user that the service made for Apple alone."""
        return self.of_user(self.users.apple_user_guid)

    @cached_property
    def apple_user_id(self) -> pa.StringArray:
        """The id of the user that Apple made."""
        return self.of_user(self.users.apple_user_id)

    @cached_property
    def user_display_name(self) -> pa.StringArray:
        """The user's name."""
        return self.of_user(self.users.display_name)

    @cached_property
    def user_principal_name(self) -> pa.StringArray:
        """The user's address."""
        return self.of_user(self.users.user_principal_name)

    @cached_property
    def apple_id(self) -> pa.StringArray:
        """The user's account at Apple, on Apple's devices."""
        return null_unless(self.of_user(self.users.apple_id), self.is_apple)

    @cached_property
    def device_name(self) -> pa.StringArray:
        """A name that contains the user's name; a number for a device without a user."""
        given = take_or_null(self.users.first_name.cast(pa.string()), self.holder)
        thing = self.of_kind(THINGS).cast(pa.string())
        number = pa.array(np.arange(self.count) + 1).cast(pa.string())
        return pc.if_else(pa.array(self.user < 0), concatenate(thing, " ", number), concatenate(given, "'s ", thing))

    @cached_property
    def management_name(self) -> pa.StringArray:
        """Its name in the console: user, system and day of enrolment."""
        user = pc.fill_null(self.of_user(self.users.user_name), "kiosk")
        day = pc.utf8_slice_codeunits(self.enrolled_date_time.cast(pa.string()), 0, 10)
        return concatenate(user, "_", self.operating_system.cast(pa.string()), "_", day)

    @cached_property
    def device_type(self) -> pa.Array:
        """The type."""
        return self.of_kind(DEVICE_TYPES)

    @cached_property
    def owner_type(self) -> pa.Array:
        """The owner of the device: the organization or the user; unknown for one of fifty."""
        owner = np.where(self.chance("owner_type", 0.02), 2, self.is_personal.astype(np.int64))
        return pool_values(("corporate", "personal", "unknown"), owner)

    @cached_property
    def management_agent(self) -> pa.Array:
        """The channel by which it is managed."""
        return self.of_kind(AGENTS)

    @cached_property
    def operating_system(self) -> pa.Array:
        """The operating system."""
        return self.of_kind(OPERATING_SYSTEMS)

    @cached_property
    def version(self) -> Ints:
        """The index of the version among those of the type."""
        return arrays.random_codes(self.draw("version"), self.count, len(OS_VERSIONS[0]), 1.6)

    @cached_property
    def os_version(self) -> pa.Array:
        """The version of the operating system; unknown for a few."""
        known = self.kind * len(OS_VERSIONS[0]) + self.version
        pool = [*(version for group in OS_VERSIONS for version in group), "unknown"]
        return pool_values(pool, np.where(self.chance("os_version", 0.005), len(pool) - 1, known))

    @cached_property
    def os_build(self) -> pa.Array:
        """The build of the operating system, which belongs to its version."""
        pool = [build.format(4460 - 111 * step) for build in OS_BUILDS for step in range(len(OS_VERSIONS[0]))]
        return pool_values(pool, self.kind * len(OS_VERSIONS[0]) + self.version)

    @cached_property
    def os_language(self) -> pa.Array:
        """The language."""
        return self.pick("os_language", LANGUAGES, 1.0)

    @cached_property
    def os_installed(self) -> pa.Date32Array:
        """When the operating system was installed."""
        return date_array(self.draw("os_installed").integers(19_700, 20_400, self.count))

    @cached_property
    def security_patch(self) -> pa.Date32Array:
        """The patch level of Android."""
        return null_unless(
            date_array(20_300 + self.draw("security_patch").integers(0, 8, self.count) * 30), self.is_android
        )

    @cached_property
    def enrolled_date_time(self) -> pa.TimestampArray:
        """When it was enrolled."""
        return arrays.timestamp_array(FIRST_ENROLMENT + self.draw("enrolled").integers(0, 80_000_000_000, self.count))

    @cached_property
    def _maker(self) -> Ints:
        return self.kind * 2 + self.draw("manufacturer").integers(0, 2, self.count)

    @cached_property
    def manufacturer(self) -> pa.Array:
        """An invented manufacturer."""
        return pool_values([name for makers in MAKERS for name in makers], self._maker)

    @cached_property
    def model(self) -> pa.Array:
        """An invented model; a few are frequent, most are rare."""
        pool = [
            f"{name} {THINGS[kind].title()} {step + 1}"
            for kind, makers in enumerate(MAKERS)
            for name in makers
            for step in range(MODELS_EACH)
        ]
        number = arrays.random_codes(self.draw("model"), self.count, MODELS_EACH, 1.1)
        return pool_values(pool, self._maker * MODELS_EACH + number)

    @cached_property
    def storage(self) -> Ints:
        """Bytes of storage."""
        return self.draw("storage").choice(np.array([128, 256, 64, 512, 32]) * GIB, self.count)

    @cached_property
    def total_storage_bytes(self) -> pa.Array:
        """Bytes of storage."""
        return pa.array(self.storage)

    @cached_property
    def memory_bytes(self) -> pa.Array:
        """Bytes of memory."""
        return pa.array(self.draw("memory").choice(np.array([3, 4, 8, 16, 32]) * GIB, self.count))

    @cached_property
    def _cpu(self) -> Ints:
        return arrays.random_codes(self.draw("cpu"), self.count, len(CPUS), 1.3)

    @cached_property
    def cpu(self) -> pa.Array:
        """An invented processor; there are more than a list of the top 50 keeps."""
        return pool_values(CPUS, self._cpu)

    @cached_property
    def cpu_cores(self) -> pa.Array:
        """Its cores."""
        return pa.array(np.array(CORES)[self._cpu % len(CORES)])

    @cached_property
    def architecture(self) -> pa.Array:
        """x64 for most computers with Windows, arm64 for the others."""
        return pool_values(("arm64", "x64"), np.where((self.kind == WINDOWS) & (self._cpu % 5 > 0), 1, 0))

    @cached_property
    def hardware(self) -> pa.StructArray:
        """Storage, memory and processor in one."""
        parts = self.facts(("total_storage_bytes", "memory_bytes", "cpu"))
        return pa.StructArray.from_arrays(list(parts.values()), names=list(parts))

    @cached_property
    def tpm_version(self) -> pa.Array:
        """The version of the trusted platform module of a computer with Windows; null without one."""
        return null_unless(self.pick("tpm_version", ("2.0", "1.2", None), 1.5), self.kind == WINDOWS)

    @cached_property
    def bios_date(self) -> pa.Date32Array:
        """The date of the BIOS of a computer with Windows."""
        return null_unless(
            date_array(self.draw("bios_date").integers(16_500, 20_200, self.count)), self.kind == WINDOWS
        )

    @cached_property
    def firmware_version(self) -> pa.Array:
        """The version of the firmware."""
        return self.pick("firmware_version", [f"{1 + step // 4}.{step % 4}.{step * 7 % 10}" for step in range(20)], 0.9)

    @cached_property
    def _carrier(self) -> Ints:
        return arrays.random_codes(self.draw("carrier"), self.count, len(CARRIERS), 1.2)

    @cached_property
    def carrier(self) -> pa.Array:
        """An invented mobile network."""
        return null_unless(pool_values(CARRIERS, self._carrier), self.is_cellular)

    @cached_property
    def is_cdma(self) -> Bools:
        """Whether it uses CDMA, as most devices of one carrier do."""
        return self.is_cellular & np.isin(self._carrier, CDMA_CARRIER) & self.chance("is_cdma", 0.7)

    @cached_property
    def cellular_technology(self) -> pa.Array:
        """GSM or CDMA; null without a SIM card."""
        return null_unless(pool_values(("GSM", "CDMA"), self.is_cdma.astype(np.int64)), self.is_cellular)

    @cached_property
    def compliance_state(self) -> pa.Array:
        """Whether it complies with its tenant's rules."""
        return pool_values(
            COMPLIANCE_STATES, arrays.weighted_codes(self.draw("compliance_state"), self.count, COMPLIANCE_SHARES)
        )

    @cached_property
    def is_encrypted(self) -> pa.Array:
        """Whether its storage is encrypted."""
        return pa.array(self.chance("is_encrypted", 0.93))

    @cached_property
    def jail_broken(self) -> pa.Array:
        """Whether its protection was removed."""
        return pa.array(self.chance("jail_broken", 0.01))

    @cached_property
    def _is_supervised(self) -> Bools:
        return self.is_apple & ~self.is_personal & self.chance("is_supervised", 0.7)

    @cached_property
    def is_supervised(self) -> pa.Array:
        """Whether it is one of Apple's under the organization's supervision."""
        return pa.array(self._is_supervised)

    @cached_property
    def lost_mode(self) -> pa.Array:
        """Whether it is locked because it is lost, as supervised devices can be."""
        return pa.array(self.is_lost & self._is_supervised & (self.kind != MAC))

    @cached_property
    def labels(self) -> pa.Array:
        """A label of an administrator, on some devices."""
        pool = [[("site", site)] for site in ("building-4", "loan", "kiosk", "finance")]
        labelled = self.chance("labels", 0.3)
        return pool_values(pool, self.kind % len(pool), labelled, pa.map_(pa.string(), pa.string()))

    @cached_property
    def activation_lock_bypass_code(self) -> pa.StringArray:
        """A secret that removes Apple's lock from a device."""
        codes = arrays.serials(self.draw("activation_lock_bypass_code"), self.count, 16)
        return null_unless(codes, self.is_apple & (self.kind != MAC) & self.chance("has_bypass_code", 0.1))

    @cached_property
    def certificate_private_key(self) -> pa.StringArray:
        """A secret that belongs to the device's certificate, of the devices that have one."""
        return null_unless(
            arrays.secrets(self.draw("certificate_private_key"), self.count), self.chance("has_certificate", 0.15)
        )

    @cached_property
    def apps(self) -> AppInstallations:
        """The installed applications."""
        return install_apps(self.draw("apps"), self.draw("app_versions"), self.draw("managed"), self.count)
