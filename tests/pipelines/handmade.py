"""A few records of each dataset of the device-management service, made by hand: every field, and enough subjects for groups.

Record number n of a dataset is always the same. All of them have one event day.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_DNS, uuid5

DAY: Final = "2026-11-24"
COUNT: Final = 600
SUBJECTS: Final = 300
"""Devices, users, administrators or sites of a dataset."""
TENANTS: Final = ("contoso", "fabrikam")
SETTINGS: Final = """tenant_id,subject,setting,value,holder,valid_from,recorded_at
contoso,,app_inventory,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
contoso,,level,full,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
fabrikam,,level,enhanced,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
"""
PLATFORMS: Final = (
    ("windows", "Windows", "10.0.19045.3803", "Fabrikam", "Laptop 3"),
    ("mac", "macOS", "14.1.2", "Apple", "MacBook Pro"),
    ("iphone", "iOS", "17.1", "Apple", "iPhone 14"),
    ("android", "Android", "13", "Example", "Phone 7"),
    ("android_dedicated", "Android", "13", "Example", "Kiosk 1"),
)
PEOPLE: Final = (("Ann", "Example"), ("Ben", "Sample"), ("Cleo", "Muster"))


def guid(*parts: object) -> str:
    """An identifier that depends on its parts alone."""
    return str(uuid5(NAMESPACE_DNS, ".".join(map(str, parts))))


def _head(name: str, number: int) -> dict[str, Any]:
    return {
        "event_id": guid(name, "event", number),
        "tenant_id": TENANTS[number % 2],
        "event_time": f"{DAY}T{8 + number % 12:02}:{number % 60:02}:30Z",
    }


def _person(number: int) -> tuple[str, str]:
    given, family = PEOPLE[number % len(PEOPLE)]
    return f"{given} {family} {number % SUBJECTS}", f"{given}.{family}{number % SUBJECTS}@mail.example".lower()


def _address(subject: int) -> str:
    return f"{('203.0.113', '198.51.100')[subject // 200]}.{subject % 200 + 1}"


def _mac(number: int) -> str:
    return f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"


def _device(number: int) -> dict[str, Any]:
    type_, system, version, *_ = PLATFORMS[number % len(PLATFORMS)]
    owner = "corporate" if type_ == "android_dedicated" else ("corporate", "personal", "corporate")[number % 3]
    device = {"device_id": guid("device", number % SUBJECTS), "device_type": type_, "owner_type": owner}
    return {**device, "operating_system": system, "os_version": version}


def device_inventory(number: int) -> dict[str, Any]:
    name, email = _person(number)
    device = _device(number)
    *_, manufacturer, model = PLATFORMS[number % len(PLATFORMS)]
    subject, is_apple = number % SUBJECTS, manufacturer == "Apple"
    owner = {
        "user_id": guid("user", subject),
        "user_display_name": name,
        "user_principal_name": email,
        "device_name": f"{name}'s {model}",
        "management_name": f"{email.partition('@')[0]}_{device['device_type']}",
        "phone_number": f"+33639980{subject:03}",
    }
    kiosk = {"device_name": f"{model}, entrance {subject}", "management_name": f"kiosk_{subject}"}
    return {
        **_head("device_inventory", number),
        **device,
        **(kiosk if device["device_type"] == "android_dedicated" else owner),
        "serial_number": f"SN{subject:010}",
        "imei": f"35362607067{subject:04}",
        "meid": f"A000000000{subject:04}",
        "iccid": f"893310000000000{subject:04}",
        "wifi_mac": _mac(subject),
        "mac_address": _mac(1000 + subject) if device["device_type"] == "mac" else None,
        "directory_device_id": guid("directory device", subject),
        "management_id": guid("management", subject),
        "account_id": guid("account", TENANTS[number % 2]),
        "eas_device_id": f"EAS{subject:029}",
        "apple_id": f"apple{subject}@mail.example" if is_apple else None,
        "udid": f"00008030-{subject:016}" if is_apple else None,
        "android_id": f"a{subject:015}" if device["operating_system"] == "Android" else None,
        "windows_id": guid("windows", subject) if device["operating_system"] == "Windows" else None,
        "partner_tenant_id": None if number % 2 else guid("partner", TENANTS[0]),
        "manufacturer": manufacturer,
        "model": model,
        "enrolled_date_time": "2025-03-17T15:17:41.702Z",
        "activation_lock_bypass_code": f"LOCK-{subject:04}",
        "certificate_private_key": f"KEY-{subject:04}",
    }


def hardware_inventory(number: int) -> dict[str, Any]:
    *_, manufacturer, model = PLATFORMS[number % len(PLATFORMS)]
    device = _device(number)
    is_phone = device["device_type"] not in ("windows", "mac")
    return {
        **_head("hardware_inventory", number),
        **device,
        "manufacturer": manufacturer,
        "model": model,
        "os_build": "22621.2506",
        "total_storage_bytes": 256_000_000_000 + number,
        "free_storage_bytes": 5_000_000_000 + number,
        "memory_bytes": 16_000_000_000 + number,
        "cpu": f"CPU {number % 3}",
        "cpu_cores": 8,
        "architecture": "arm64" if is_phone else "x64",
        "tpm_version": "2.0" if device["operating_system"] == "Windows" else None,
        "bios_date": "2023-05-03",
        "firmware_version": "1.2.3",
        "carrier": "Example Mobile" if is_phone else None,
        "cellular_technology": "GSM" if is_phone else None,
        "battery_health_pct": 87.5 - number % 30,
        "is_encrypted": number % 4 != 0,
        "jail_broken": False,
        "compliance_state": ("compliant", "noncompliant")[number % 2],
    }


def app_inventory(number: int) -> dict[str, Any]:
    device = {key: value for key, value in _device(number).items() if key != "os_version"}
    state = ("installed", "notInstalled", "pendingInstall", "notApplicable")[number // 30 % 4]
    tried = state == "installed" or number % 3 == 0
    return {
        **_head("app_inventory", number),
        **device,
        "app_id": "com.example.mail",
        "app_name": "Mail",
        "app_version": "16.2.1",
        "app_size_bytes": 120_000_000 + number,
        "install_location": rf"C:\Users\ann.example{number % SUBJECTS}\AppData\Local\Mail",
        "managed": number % 2 == 0,
        "modern": number % 4 == 1,
        "install_state": state,
        "install_succeeded": state == "installed" if tried else None,
        "install_error_code": "0x87D1041C" if tried and state != "installed" else None,
    }


def enrollments(number: int) -> dict[str, Any]:
    succeeded = number % 3 > 0
    type_ = ("UserEnrollment", "AndroidEnterpriseDedicated")[number % 5 == 4]
    return {
        **_head("enrollments", number),
        **_device(number),
        "user_id": None if type_ == "AndroidEnterpriseDedicated" else guid("user", number % SUBJECTS),
        "user_principal_name": None if type_ == "AndroidEnterpriseDedicated" else _person(number)[1],
        "serial_number": f"SN{number % SUBJECTS:010}",
        "enrollment_type": type_,
        "succeeded": succeeded,
        "failure_category": None if succeeded else "EnrollmentRestrictionsEnforced",
        "failure_reason": None if succeeded else "DeviceCapReached",
        "duration_ms": 4321 + number,
    }


def managed_apps(number: int) -> dict[str, Any]:
    subject = number % SUBJECTS
    return {
        **_head("managed_apps", number),
        "user_id": guid("user", subject),
        "user_principal_name": _person(number)[1],
        "device_id": None if number % 3 == 0 else guid("device", subject),
        "app_instance_id": guid("instance", subject),
        "app_id": "com.example.mail",
        "app_version": "16.2.1",
        "sdk_version": "3.2.7",
        "operating_system": ("iOS", "Android")[number % 2],
        "platform_version": "17.1.2",
        "device_tag": guid("tag", subject),
        "device_health": ("healthy", "unhealthy", "notAvailable")[number // 30 % 3],
        "management_mode": ("MAM+MDM", "MAM without enrolment")[number % 3 == 0],
        "encryption_key": f"MAMKEY-{subject:04}",
        "last_check_in": "2026-11-23T07:11:12Z",
    }


OPERATIONS: Final = ("manage", "create", "update", "delete", "assign", "remote_task")


def audit_events(number: int) -> dict[str, Any]:
    subject = number % SUBJECTS
    name, email = _person(number)
    operation = OPERATIONS[number % len(OPERATIONS)]
    activity = f"{operation} managedDevice" if operation != "remote_task" else "wipe managedDevice"
    return {
        **_head("audit_events", number),
        "operation": operation,
        "activity": activity,
        "component": "DeviceManagement",
        "category": "Device",
        "result": "success" if number % 4 else "failure",
        "correlation_id": guid("correlation", number // 2),
        "actor_id": guid("admin", subject),
        "actor_principal_name": email,
        "actor_type": "user",
        "actor_application": "console",
        "actor_ip": _address(subject),
        "actor_permissions": ["managed_devices/read", "remote_tasks/wipe"],
        "resources": [{"type": "managedDevice", "id": guid("device", subject), "name": f"{name}'s Laptop 3"}],
        "changed_properties": [{"name": "ownerType", "old_value": "unknown", "new_value": f"of {name}"}],
    }


def administrators(number: int) -> dict[str, Any]:
    subject = number % SUBJECTS
    email = _person(number)[1]
    given, family = PEOPLE[number % len(PEOPLE)]
    return {
        **_head("administrators", number),
        "admin_id": guid("admin", subject),
        "account_id": guid("account", TENANTS[number % 2]),
        "first_name": given,
        "last_name": f"{family}-{subject}",
        "user_name": email.partition("@")[0],
        "user_principal_name": email,
        "phone_number": f"+33639981{subject:03}",
        "owner_email": f"owner{number % 2}@mail.example",
        "directory_id": guid("directory user", subject),
        "roles": ["help desk operator"] + ["role administrator"] * (number % 2),
        "payment_method": ("invoice", "card")[number % 2],
        "payment_card_last4": f"{4000 + subject}",
        "payment_card_token": f"CARD-{subject:04}",
        "subscription_key": f"SUBSCRIPTION-{subject:04}",
        "partner_tenant_id": None if number % 2 else guid("partner", TENANTS[0]),
    }


def console_usage(number: int) -> dict[str, Any]:
    subject = number % SUBJECTS
    return {
        **_head("console_usage", number),
        "admin_id": guid("admin", subject),
        "session_guid": guid("session", subject),
        "correlation_id": guid("request", number),
        "page": "devices",
        "control": ("list", "search_box")[number // 30 % 2],
        "action": ("view", "search")[number // 30 % 2],
        "use_count": 1 + number % 25,
        "duration_ms": 420 + number,
        "browser": "Example 120",
        "client_ip": _address(subject),
        "search_text": _person(number)[0],
    }


def support_cases(number: int) -> dict[str, Any]:
    subject = number % SUBJECTS
    name, email = _person(number)
    return {
        **_head("support_cases", number),
        "case_id": f"CASE-{number}",
        "message_number": 1,
        "contact_id": guid("admin", subject),
        "contact_name": name,
        "contact_phone": f"+33639982{subject:03}",
        "contact_email": email,
        "device_id": None if number % 3 == 0 else guid("device", subject),
        "incident_id": "INC-7" if number % 10 == 0 else None,
        "product_area": "enrolment",
        "severity": ("B", "C")[number % 2],
        "state": "open",
        "channel": "email",
        "subject_line": "The device of ann.example@mail.example does not enrol",
        "message": f"Please call +12025550{100 + subject % 100}, the address of the device is {_address(subject)}",
        "agent_name": "Dana Desk",
    }


def site_summary(number: int) -> dict[str, Any]:
    subject = number % SUBJECTS
    name, email = _person(number)
    return {
        **_head("site_summary", number),
        "site_id": guid("site", subject),
        "product_version": "5.2409.1083.1000",
        "diagnostic_level": ("full", "enhanced", "basic")[number // 30 % 3],
        "client_count": 1234 + number,
        "os_version": ("10.0.19045", "10.0.22631")[number // 2 % 2],
        "os_device_count": 700 + number,
        "tpm_version": ("2.0", "1.2", None)[number % 3],
        "tpm_device_count": 500 + number,
        "error_code": "0x80070005",
        "error_count": number % 50,
        "database_size_gb": 73.5 + number,
        "cpu": "CPU 1",
        "server_age_months": 40 + number % 20,
        "site_name": f"Site of {name}",
        "server_name": f"SERVER-{subject}",
        "contact_name": name,
        "contact_email": email,
        "server_ip": _address(subject),
        "postal_address": f"{subject} Example Street, 12345 Sampletown",
    }


DATASETS: Final[Mapping[str, Callable[[int], dict[str, Any]]]] = {
    make.__name__: make
    for make in (
        device_inventory,
        hardware_inventory,
        app_inventory,
        enrollments,
        managed_apps,
        audit_events,
        administrators,
        console_usage,
        support_cases,
        site_summary,
    )
}
"""How a record of each dataset is made."""
SECRETS: Final = ("LOCK-", "KEY-", "MAMKEY-", "CARD-", "SUBSCRIPTION-")
"""What the values of secrets begin with."""


def leaves(value: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The leaves of a record, each with its key as a policy writes it."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, (*above, key))
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below, (*above, "*"))
    else:
        yield above[0] if len(above) == 1 else "".join(f"/{part}" for part in above), value


def records(dataset: str, count: int = COUNT) -> list[dict[str, Any]]:
    """The first records of a dataset; null as absent."""
    made = map(DATASETS[dataset], range(count))
    return [{key: value for key, value in record.items() if value is not None} for record in made]


def write(dataset: str, folder: Path) -> Path:
    """Writes a day's records and the settings of a dataset; gives the pattern by which a run finds the records."""
    path = folder / dataset / DAY / "part-00000.ndjson.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record) + "\n" for record in records(dataset))
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))
    (folder / dataset / "settings.csv").write_text(SETTINGS)
    return folder / dataset
