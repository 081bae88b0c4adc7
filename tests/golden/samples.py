"""The sample pipelines and their data in the folder of a scenario, with planted values."""

from __future__ import annotations

from typing import Any

from tests.golden.runner import OPERATOR, ROOT, SECOND, Session
from tests.leak.canary import Canary

DAY = "2026-11-24"
SUPPORT = "support@example.com"
COPIED = (
    "access.yaml",
    "minimize.yaml",
    "recipients",
    "daily_checkins",
    "device_support",
    "device_telemetry",
    "usage_events",
)
"""What is copied of the folder of pipelines: the scenario `device_management` runs the other pipelines."""
TENANT = "b5730cd6-c2c3-5a07-8236-ab63d20570b1"
"""One whose administrator stopped looking for devices, and lowers the level at noon of the last day."""


def copy_samples(session: Session, *data: str) -> None:
    """Copies the pipelines over check-ins and usage, and the sample data named, else all."""
    for name in COPIED:
        session.copy(ROOT / "pipelines" / name, f"pipelines/{name}")
    write_access_file(session)
    for name in data or ("device_telemetry", "usage_events"):
        session.copy(ROOT / "sample_data" / name, f"sample_data/{name}")


def import_settings(session: Session) -> None:
    """Imports the settings of the check-ins into the ledger of the shipped configuration, after all values are planted."""
    session.run("settings import sample_data/device_telemetry/settings.csv --evidence sample --json")


def write_access_file(session: Session) -> None:
    """The access file that the shipped configuration names; the account of the scenario is operator and privacy officer.

    It may also replace settings and input of a pipeline for its own output.
    """
    everywhere = {"tenants": "all", "datasets": "all"}
    assignments = [
        {"role": role, "members": {"users": [OPERATOR]}, "scope": everywhere}
        for role in ("operator", "privacy_officer", "maintainer")
    ]
    assignments.append({"role": "privacy_officer", "members": {"users": [SECOND]}, "scope": everywhere})
    assignments.append({"role": "support_engineer", "members": {"users": [SUPPORT]}, "scope": everywhere})
    session.write(
        "out/demo-access.yaml",
        {"version": 1, "roles": {"maintainer": {"allow": ["run/override"]}}, "assignments": assignments},
    )


def plant_in_telemetry(session: Session) -> None:
    """Two check-ins of one device, each with values that may not leave in any form."""
    _plant(
        session,
        f"sample_data/device_telemetry/{DAY}/part-00000.ndjson.gz",
        {"owner_type": "personal", "device_type": "android"},
        {
            "event_id": "CANARY-event-11",
            "device_id": "CANARY-device-12",
            "user_id": "CANARY-user-13",
            "user_principal_name": "canary.person@canary.example",
            "device_name": "CANARY-phone-14",
            "phone_number": "+12025550149377",
            "serial_number": "CANARY-serial-15",
            "imei": "001017999999115",
            "wifi_mac": "02:ca:9a:21:ff:16",
            "activation_lock_bypass_code": "CANARY-lock-17",
            "support_note": "write to canary.note@canary.example",
            "ip_address": "203.0.113.177",
            "os_version": "13.7.CANARY18",
            "latitude": 48.856613371337,
            "longitude": 2.352213371337,
            "new_field": "CANARY-undeclared-19",
        },
    )


def plant_in_usage(session: Session) -> None:
    """Events of one user, each with values that may not leave in any form."""
    _plant(
        session,
        f"sample_data/usage_events/{DAY}/part-00000.ndjson.gz",
        {"event_type": "crash"},
        {
            "event_id": "CANARY-event-21",
            "sdk_user_id": "CANARY-user-22",
            "display_name": "CANARY Person 23",
            "user_email": "canary.user@canary.example",
            "session_guid": "CANARY-session-24",
            "correlation_id": "CANARY-correlation-25",
            "client_ip": "203.0.113.178",
            "page_url": "https://portal.example/CANARY-path-26",
            "feedback": "CANARY-feedback-27",
            "response_time_ms": 31_337_733_113,
            "new_field": "CANARY-undeclared-28",
        },
    )


def _plant(session: Session, file: str, like: dict[str, Any], values: dict[str, Any]) -> None:
    record = next(each for each in session.records(file) if like.items() <= each.items())
    session.plant(file, record, {field: Canary(field, value) for field, value in values.items()})
    session.plant(file, record, {"contacts": [], "device_name": Canary("in a refused record", "CANARY-refused-29")})
