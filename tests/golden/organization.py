"""A small organization: three tenants, two dates of check-ins, two recipients, an access file, and planted values."""

from __future__ import annotations

from typing import Any

from tests.golden.runner import Session
from tests.leak.canary import Canary

DAYS = ("2026-11-23", "2026-11-24")
TENANTS = ("north", "south", "west")
CANARIES = {
    "note": Canary("note", "CANARY-note-31 of somebody"),
    "serial": Canary("serial", "CANARY-serial-32"),
    "user": Canary("user", "CANARY-user-33"),
    "device_id": Canary("device_id", "CANARY-device-34"),
    "undeclared": Canary("undeclared", "CANARY-undeclared-35"),
    "latitude": Canary("latitude", 48.856613371337),
}
POLICY: dict[str, Any] = {
    "policy": "checkins",
    "version": 1,
    "purposes": ["operations", "customer_support"],
    "tenant": "tenant_id",
    "subject": "device_id",
    "time": "event_time",
    "record": "event_id",
    "retention": "30d",
    "features": {"location": {"about": "position of a lost device", "retention": "7d"}},
    "fields": {
        "event_id": {"type": "string", "role": "identifier", "do": "drop"},
        "tenant_id": {"type": "string", "do": "keep"},
        "device_id": {
            "type": "string",
            "role": "identifier",
            "do": {"pseudonymize": {"key": "device", "per": "tenant_id"}},
        },
        "user": {"type": "string", "role": "identifier", "do": {"tokenize": {"key": "ticket", "per": "tenant_id"}}},
        "event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "day"}}},
        "model": {"type": "string", "role": "quasi", "do": "keep"},
        "owner": {"type": "string", "do": "keep"},
        "battery": {"type": "double", "do": {"bin": {"width": 10}}, "in_aggregates": {"clip": {"min": 0, "max": 100}}},
        "serial": {"type": "string", "role": "identifier", "do": "drop"},
        "latitude": {"type": "double", "role": "quasi", "feature": "location", "do": {"round": {"to": 0.1}}},
        "note": {"type": "string", "role": "free_text", "do": "drop"},
    },
}
PIPELINE: dict[str, Any] = {
    "pipeline": "checkins",
    "policy": "policy.yaml",
    "purpose": "operations",
    "source": {"path": "../data/{date}/*.ndjson.gz", "format": "ndjson"},
    "settings": "ledger",
    "output": "../out/checkins",
    "records": {"must_be": "identified"},
    "aggregates": {
        "per_day": {
            "group_by": {"day": {"event_time": "day"}, "tenant_id": "tenant_id"},
            "measures": {"events": "count", "devices": {"count_distinct": "device_id"}, "battery": {"mean": "battery"}},
            "suppress": {"below": 3, "counting": "device_id"},
            "per_subject": {"rows": 2},
        },
        "per_model": {
            "group_by": {"model": "model"},
            "measures": {"devices": {"count_distinct": "device_id"}, "battery": {"mean": "battery"}},
            "suppress": {"below": 3, "counting": "device_id"},
            "per_subject": {"rows": 2},
        },
    },
}
_SHARED = {
    "device_id": {"role": "identifier", "do": "keep", "about": "which device", "example": "d-1"},
    "event_time": {
        "type": "timestamp",
        "do": {"truncate_time": {"to": "day"}},
        "about": "when",
        "example": "2026-11-24",
    },
    "model": {"role": "quasi", "do": "keep", "about": "what", "example": "A"},
}
VENDOR: dict[str, Any] = {
    "recipient": "vendor",
    "about": "repairs devices",
    "standing": "independent",
    "contract": {
        "reference": "C-1",
        "from": "2026-01-01",
        "permits_transmission": True,
        "permitted_fields": ["device_id", "event_time", "model"],
        "retention": "30d",
        "deletes_within": "10d",
    },
    "functions": {
        "sync": {
            "direction": "outbound",
            "purpose": "operations",
            "text_version": 2,
            "text": "Models go to the vendor.",
            "fields": _SHARED,
        },
    },
}
PARTNER = {
    **VENDOR,
    "recipient": "partner",
    "contract": {**VENDOR["contract"], "reference": "C-2", "permits_transmission": False},
}
ACCESS: dict[str, Any] = {
    "version": 1,
    "groups": {"support": ["sam@example.com", "sue@example.com"]},
    "roles": {
        "daily": {"copy": "analyst", "views": {"checkins": {"event_time": {"truncate_time": {"to": "month"}}}}},
        "case_worker": {"copy": "support_engineer", "allow": ["settings/read"]},
        "maintainer": {"allow": ["run/override"]},
    },
    "assignments": [
        {"role": role, "members": members, "scope": {"tenants": tenants, "datasets": "all"}}
        for role, members, tenants in (
            ("daily", {"users": ["ann@example.com"]}, "all"),
            ("support_engineer", {"groups": ["support"]}, ["north", "south"]),
            ("case_worker", {"users": ["carl@example.com"]}, "all"),
            ("operator", {"users": ["ops@example.com"]}, "all"),
            ("maintainer", {"users": ["ops@example.com"]}, "all"),
            ("privacy_officer", {"users": ["pia@example.com", "paul@example.com"]}, "all"),
            ("auditor", {"users": ["olga@example.com"]}, "all"),
            ("role_administrator", {"users": ["rob@example.com"]}, "all"),
        )
    ],
}


def write_organization(session: Session, *, access: bool = True) -> None:
    """Writes the organization's files: `pipeline/`, `recipients/`, `minimize.yaml`, `access.yaml`, and two days of data."""
    words = {"ledger": "ledger.db", "keys": "test.keys", "recipients": "recipients"}
    session.write("minimize.yaml", words | {"access": "access.yaml" if access else "off", "encrypt": "off"})
    session.write("access.yaml", ACCESS)
    session.write("pipeline/policy.yaml", POLICY)
    session.write("pipeline/pipeline.yaml", PIPELINE)
    for recipient in (VENDOR, PARTNER):
        session.write(f"recipients/{recipient['recipient']}.yaml", recipient)
    for day in DAYS:
        session.write(f"data/{day}/a.ndjson.gz", [checkin(number, day) for number in range(48)])
    planted = checkin(1, DAYS[1])
    session.plant(f"data/{DAYS[1]}/a.ndjson.gz", planted, CANARIES)
    session.plant(f"data/{DAYS[1]}/a.ndjson.gz", planted, {"battery": Canary("mistyped", "CANARY-mistyped-36")})


def checkin(number: int, day: str) -> dict[str, Any]:
    """A check-in. The same number gives the same device."""
    return {
        "event_id": f"{day}-{number}",
        "tenant_id": TENANTS[number % 3],
        "device_id": f"d-{number % 16}",
        "user": f"u-{number % 8}",
        "event_time": f"{day}T{number % 24:02}:{number % 60:02}:09Z",
        "model": "AABBBCCCCDDDDDDD"[
            number % 16
        ],  # of two, three, four and seven devices: one less than `below`, and as many
        "owner": ("corporate", "personal")[number % 2],
        "battery": number * 7.3 % 100,
        "serial": f"s-{number}",
        "latitude": 48.0 + number % 10 / 37,
        "note": "called twice about it",
    }
