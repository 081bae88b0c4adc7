"""What the hand-written contenders share: which columns, which settings, and the beginning of the keyed hash."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
from pathlib import Path

KEPT = (
    "tenant_id",
    "event_time",
    "device_id",
    "ip_address",
    "latitude",
    "longitude",
    "os_version",
    "battery_pct",
    "free_storage_bytes",
    "model",
    "owner_type",
    "compliance_state",
    "carrier",
    "os_language",
    "app_version",
)
EDGES = (1_000_000_000, 4_000_000_000, 16_000_000_000, 64_000_000_000)
TOP, AT_LEAST, OTHER = 50, 10, "other"
WIDTH = 20
"""Bytes of a pseudonym."""


def collected(settings: Path, feature: str) -> list[str]:
    """The tenants that have a feature on: the last row of each decides (all of them are older than the events)."""
    with settings.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["setting"] == feature]
    last = {row["tenant_id"]: row["value"] for row in sorted(rows, key=lambda row: row["valid_from"])}
    return sorted(tenant for tenant, value in last.items() if value == "on")


def key(keys: Path) -> bytes:
    """The bytes of the key `device`."""
    return base64.b64decode(json.loads(keys.read_text())["keys"]["device"][-1]["bytes"])


def pads(secret: bytes) -> tuple[bytes, bytes]:
    """The inner and the outer block of HMAC-SHA-256 (RFC 2104)."""
    block = secret.ljust(64, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


def prefixed(*parts: bytes) -> bytes:
    """The parts, each after its length as eight bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def beginning(tenant: str) -> bytes:
    """What the hash takes in before a device: the field, the shape, the tenant."""
    return prefixed(b"minimize pseudonymize 1", b"field:device_id", b"per:True rotate:None", b"t" + tenant.encode())


def pseudonyms(secret: bytes, tenants: list[str], devices: list[str]) -> list[str]:
    """The pseudonym of each (tenant, device), given tenant by tenant, with prepared hash states."""
    inner, outer = (hashlib.sha256(pad) for pad in pads(secret))
    found, current, state = [], None, inner
    for tenant, device in zip(tenants, devices, strict=True):
        if tenant != current:
            current, state = tenant, inner.copy()
            state.update(beginning(tenant))
        first, second = state.copy(), outer.copy()
        first.update(prefixed(b"t" + device.encode()))
        second.update(first.digest())
        found.append(base64.b32encode(second.digest()[:WIDTH]).decode().lower())
    return found
