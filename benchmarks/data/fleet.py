"""The fleet: what stays with a device, drawn once from a seed; and its events, drawn file by file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from benchmarks.data.texts import (
    Ints,
    addresses,
    digits,
    fixed,
    guids,
    hexes,
    joined,
    numbers,
    pick,
    sometimes,
)

AT = datetime(2026, 11, 25, tzinfo=UTC)
"""When the benchmark's runs take place."""
FIRST = datetime(2026, 11, 19, tzinfo=UTC)
"""The day of the first file's events."""
DAYS = 5
DAY = 86_400_000
ROWS_PER_DEVICE = 20
TENANTS, MODELS, MODELS_PER_TENANT = 500, 2000, 25

VERSIONS = ("10.0.19045.3803", "10.0.22631.4460", "10.0.26100.2314", "14.5.1", "15.1", "13.6.9", "18.1.1", "18.1",
            "17.5.1", "17.4", "16.7.10", "15.8.3", "14", "13", "12.1", "11")  # fmt: skip
STATES = ("compliant", "noncompliant", "inGracePeriod", "unknown", "error")
OWNERS = ("corporate", "personal", "unknown")
LANGUAGES = tuple(
    f"{tongue}-{land}" for tongue in ("en", "fr", "de", "es", "pt", "ja") for land in ("US", "FR", "DE", "BR", "JP")
)
CARRIERS = tuple(f"Carrier {number:02}" for number in range(40))
APPS = tuple(f"{major}.{minor}.{patch}" for major in (4, 5, 6) for minor in range(5) for patch in range(4))

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("event_id", "tenant_id")),
        ("event_time", pa.timestamp("ms", "UTC")),
        *((name, pa.string()) for name in ("device_id", "ip_address")),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("os_version", pa.string()),
        ("battery_pct", pa.float64()),
        ("free_storage_bytes", pa.int64()),
        *((name, pa.string()) for name in ("model", "owner_type", "phone_number", "user_principal_name")),
        *((name, pa.string()) for name in ("serial_number", "imei", "wifi_mac", "device_name")),
        *((name, pa.string()) for name in ("compliance_state", "carrier", "os_language", "app_version")),
    ]
)


VARIED = pa.schema([field for field in SCHEMA if field.name not in {"imei", "wifi_mac"}])
"""The 20 columns of data in which little repeats."""
MODEL_NAMES = pa.array([f"Model {number % 40:02} series {number:04}" for number in range(MODELS)])


@dataclass(frozen=True, slots=True)
class Fleet:
    """The devices: per device its columns, its state, where it is; and the addresses that they are seen at."""

    columns: dict[str, pa.Array]
    tenants: pa.StringArray
    states: Ints
    places: np.ndarray
    addresses: pa.StringArray

    @property
    def size(self) -> int:
        """How many devices."""
        return len(self.states)


def fleet(rows: int, seed: int) -> Fleet:
    """The fleet that sends so many rows."""
    random = np.random.default_rng([seed, 0])
    count = max(60, rows // ROWS_PER_DEVICE)
    tenants = guids(random, min(TENANTS, max(4, count // 100)))
    tenant = _zipf(random, len(tenants), count, 0.6)
    return Fleet(
        columns=_columns(random, tenant, tenants),
        tenants=tenants,
        states=random.choice(len(STATES), count, p=(0.88, 0.06, 0.03, 0.02, 0.01)),
        places=random.uniform((-55, -175), (65, 175), (count, 2)),
        addresses=addresses(random, max(100, count)),
    )


def events(fleet: Fleet, count: int, window: tuple[float, float], seed: tuple[int, ...]) -> pa.Table:
    """So many events of a window (in days from the first), in the order of their time."""
    random = np.random.default_rng(seed)
    device = random.integers(0, fleet.size, count)
    lasting = {name: column.take(pa.array(device)) for name, column in fleet.columns.items()}
    columns = lasting | _moving(fleet, device, window, random)
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def varied(table: pa.Table, seed: tuple[int, ...]) -> pa.Table:
    """The events with a model drawn per row, so that most pairs of device and model are new, and doubles unique per row."""
    random = np.random.default_rng([*seed, 1])
    drawn = {
        "model": pick(MODEL_NAMES, _zipf(random, MODELS, len(table), 0.6)),
        "latitude": pa.array(random.uniform(-55, 65, len(table))),
        "longitude": pa.array(random.uniform(-175, 175, len(table))),
        "battery_pct": pa.array(random.uniform(0, 100, len(table))),
    }
    return pa.table([drawn.get(name, table[name]) for name in VARIED.names], schema=VARIED)


def _columns(random: np.random.Generator, tenant: Ints, tenants: pa.StringArray) -> dict[str, pa.Array]:
    count = len(tenant)
    sold = _zipf(random, MODELS, len(tenants) * MODELS_PER_TENANT, 1.1).reshape(-1, MODELS_PER_TENANT)
    model = sold[tenant, _zipf(random, MODELS_PER_TENANT, count, 1.0)]
    line = numbers(np.arange(count))
    return {
        "tenant_id": pick(tenants, tenant),
        "device_id": guids(random, count),
        "os_version": pick(VERSIONS, (model * 5 + _zipf(random, 4, count, 1.2)) % len(VERSIONS)),
        "model": pick(MODEL_NAMES, model),
        "owner_type": pick(OWNERS, random.choice(3, count, p=(0.7, 0.25, 0.05))),
        "phone_number": sometimes(joined("+336", digits(random, count, 8)), random, 0.7),
        "user_principal_name": joined("user", line, "@tenant", numbers(tenant), ".example"),
        "serial_number": fixed(hexes(random, count, 12)),
        "imei": digits(random, count, 15),
        "wifi_mac": _macs(random, count),
        "device_name": joined("DEVICE-", fixed(hexes(random, count, 7))),
        "carrier": sometimes(pick(CARRIERS, _zipf(random, len(CARRIERS), count, 0.8)), random, 0.75),
        "os_language": pick(LANGUAGES, _zipf(random, len(LANGUAGES), count, 1.0)),
        "app_version": pick(APPS, _zipf(random, len(APPS), count, 1.0)),
    }


def _moving(
    fleet: Fleet, device: Ints, window: tuple[float, float], random: np.random.Generator
) -> dict[str, pa.Array]:
    count = len(device)
    start, end = (int(FIRST.timestamp() * 1000 + days * DAY) for days in window)
    home = random.random(count) < 0.8
    address = np.where(home, device % len(fleet.addresses), random.integers(0, len(fleet.addresses), count))
    located = random.random(count) < 0.6
    place = fleet.places[device] + random.normal(0, 0.05, (count, 2))
    state = np.where(random.random(count) < 0.95, fleet.states[device], random.integers(0, len(STATES), count))
    return {
        "event_id": guids(random, count),
        "event_time": pa.array(np.sort(random.integers(start, end, count))).cast(pa.timestamp("ms", "UTC")),
        "ip_address": pick(fleet.addresses, address),
        "latitude": pa.array(_degrees(place[:, 0]), mask=~located),
        "longitude": pa.array(_degrees(place[:, 1]), mask=~located),
        "battery_pct": sometimes(pa.array(random.integers(0, 1001, count) / 10), random, 0.95),
        "free_storage_bytes": pa.array(np.exp(random.normal(23.0, 1.2, count)).astype(np.int64)),
        "compliance_state": pick(STATES, state),
    }


def _degrees(values: np.ndarray) -> np.ndarray:
    """Six decimals; none lies halfway between two tenths, so that every way to round gives the same."""
    millionths = np.rint(values * 1e6).astype(np.int64)
    millionths += millionths % 100_000 == 50_000
    return millionths / 1e6


def _macs(random: np.random.Generator, count: int) -> pa.StringArray:
    letters = np.full((count, 17), ord(":"), np.uint8)
    letters[:, [place for place in range(17) if place % 3 != 2]] = hexes(random, count, 12)
    return fixed(letters)


def _zipf(random: np.random.Generator, values: int, count: int, power: float) -> Ints:
    """Few values are frequent, many are rare."""
    weights = np.cumsum(1 / np.arange(1, values + 1) ** power)
    return np.asarray(np.searchsorted(weights, random.random(count) * weights[-1]), np.int64)
