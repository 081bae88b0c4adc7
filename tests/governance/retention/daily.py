"""A project with daily outputs: positions, applications, telephone numbers; tenants close, and devices change hands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import minimize
from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.removal.decision import FileInstructions
from minimize.removal.expire import ExpiryResult, expire
from minimize.removal.expiry_plan import ResolvedExpiry
from tests.calls import resolve_expiry
from tests.project import FIELDS as PROJECT_FIELDS
from tests.project import PIPELINE as PROJECT_PIPELINE
from tests.project import POLICY as PROJECT_POLICY
from tests.project import Project

START = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    **{name: PROJECT_FIELDS[name] for name in ("event_id", "tenant_id", "device_id", "event_time")},
    "owner_type": {"type": "string", "do": "keep"},
    "note": {"type": "string", "do": "keep"},
    "place": {"type": "string", "role": "quasi", "feature": "location", "do": "keep"},
    "phone": {
        "type": "string",
        "role": "plain",
        "cases": [
            {"if": {"owner_type": "corporate"}, "do": "keep"},
            {"if": {"owner_type": "personal"}, "do": {"mask": {"keep_last": 4}}},
        ],
        "otherwise": "drop",
    },
    "/apps/*/name": {
        "type": "string",
        "do": "keep",
        "collect_if": {
            "any": [{"owner_type": "corporate"}, {"all": [{"feature": "inventory"}, {"/apps/*/managed": True}]}]
        },
    },
    "/apps/*/managed": {"type": "boolean", "do": "drop"},
}
POLICY: dict[str, Any] = {
    **PROJECT_POLICY,
    "policy": "places",
    "version": 1,
    "never": None,
    "features": {**PROJECT_POLICY["features"], "inventory": {"about": "applications"}},
    "fields": FIELDS,
}
PIPELINE: dict[str, Any] = {
    **PROJECT_PIPELINE,
    "pipeline": "places",
    "source": {"path": "data/{date}/*.ndjson", "format": "ndjson"},
    "records": {},
    "aggregates": {
        "daily": {
            "group_by": {"day": {"event_time": "day"}, "tenant": "tenant_id"},
            "measures": {"events": "count"},
            "suppress": {"below": 2},
            "exact": {"because": "a test"},
        }
    },
}
SETTINGS = """tenant_id,subject,setting,value,holder,valid_from,recorded_at
north,,location,on,admin,2025-01-01T00:00:00Z,2025-01-01T00:00:00Z
south,,location,on,admin,2025-01-01T00:00:00Z,2025-01-01T00:00:00Z
east,,location,on,admin,2025-01-01T00:00:00Z,2025-01-01T00:00:00Z
north,,inventory,on,admin,2025-01-01T00:00:00Z,2025-01-01T00:00:00Z
"""


@dataclass(frozen=True)
class Row:
    """One event; its note, place, number and application are canaries: nobody else has them."""

    tenant: str
    device: str
    time: datetime
    owner: str = "corporate"

    @property
    def name(self) -> str:
        return f"{self.tenant}-{self.device}-{self.time:%y%m%d%H%M}"

    @property
    def number(self) -> str:
        return f"+49{sum(map(ord, self.name)):05d}{self.time:%y%m%d%H%M}{self.device[-1]}"

    def line(self) -> dict[str, Any]:
        return {
            "event_id": self.name,
            "tenant_id": self.tenant,
            "device_id": self.device,
            "event_time": f"{self.time:%Y-%m-%dT%H:%M:%SZ}",
            "owner_type": self.owner,
            "note": f"note-{self.name}",
            "place": f"place-{self.name}",
            "phone": self.number,
            "apps": [{"name": f"app-{self.name}", "managed": False}],
        }


@dataclass(frozen=True)
class Daily(Project):
    """A folder with policy, pipeline, settings, data and a keyring, whose output grows old."""

    base_policy: Mapping[str, Any] = field(default_factory=lambda: POLICY)
    base_pipeline: Mapping[str, Any] = field(default_factory=lambda: PIPELINE)
    settings: str = SETTINGS

    def collect(self, rows: Iterable[Row], day: date | str) -> None:
        """Writes the events of a day."""
        self.lines(f"data/{day}/a.ndjson", (row.line() for row in rows))

    def plan(self, at: datetime, *events: RetentionEvent) -> ResolvedExpiry:
        """The expiry at a time, after some events."""
        made = resolve_expiry(self.out, at=at, keys=self.keys)
        return replace(made, request=replace(made.request, events=events))

    def orders(self, at: datetime, *events: RetentionEvent) -> list[FileInstructions]:
        """What an expiry orders for each file of records."""
        made = self.plan(at, *events)
        return [made.request.instructions(file) for file in made.output.files("records")]

    def expire(self, at: datetime, **options: Any) -> ExpiryResult:
        """Carries out the expiry, however long after the last receipt."""
        return expire(self.out, **{"at": at, "keys": self.keys, "yes": True, "allow_shrink": True, **options})

    def events(self, *rows: str) -> Path:
        """Writes a file of lifecycle events."""
        path = self.folder / "events.csv"
        path.write_text("\n".join(["tenant_id,subject,event,at", *rows]) + "\n")
        return path

    def verified(self) -> None:
        minimize.verify(self.out, keys=self.keys)


def rows(day: date, tenants: Iterable[str] = ("north", "south", "east"), devices: int = 2) -> list[Row]:
    """Two events a device and day, one in the morning, one late."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [
        Row(tenant, f"d{device}", start + timedelta(hours=hour, minutes=device), ("corporate", "personal")[device % 2])
        for tenant in tenants
        for device in range(devices)
        for hour in (1, 22)
    ]
