"""A world of 40 tenants, three pipelines, two recipients, a grant that was abused and a key that leaked; and what is true of it.

What is true is worked out from the records as they came, row by row, and from nothing of the house.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import minimize
from minimize.governance.sharing.owners import token_of
from minimize.keys import Keyring, new_keyring
from minimize.ledger import Actor, Change, Event, Resource, find_ledger
from minimize.ledger.audit import append
from minimize.ledger.disclosures import Disclosure, TenantShare, record
from minimize.ledger.ledger import Ledger, open_ledger
from minimize.receipt import Receipt

NOW = datetime.now(UTC).replace(microsecond=0)
TENANTS = tuple(f"t{number:02}" for number in range(40))
DAYS = (NOW - timedelta(days=2), NOW - timedelta(days=1))
GRANT = "11111111-2222-3333-4444-555555555555"
PIPELINES: dict[str, dict[str, str | None]] = {
    "checkins": {"device_id": "identifier", "model": "quasi", "battery": None},
    "usage": {"device_id": "identifier", "feature": "quasi"},
    "support": {"device_id": "identifier", "ticket": "quasi"},
}
TYPES = {"battery": "double"}


@dataclass(frozen=True)
class Truth:
    """What was exposed of one tenant."""

    persons: frozenset[str]
    rows: int
    columns: frozenset[str]
    first: str
    last: str


@dataclass
class World:
    """Outputs, a ledger, and the records as they came."""

    folder: Path
    keys: Keyring
    records: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    receipts: dict[tuple[str, str], Receipt] = field(default_factory=dict)

    @property
    def ledger(self) -> Path:
        return self.folder / "house.db"

    def out(self, pipeline: str) -> Path:
        return self.folder / pipeline / "out"

    def truth(self, *batches: tuple[str, str], tenants: tuple[str, ...] = TENANTS) -> dict[str, Truth]:
        """What is true of some batches, row by row."""
        found: dict[str, list[dict[str, Any]]] = {}
        for batch in batches:
            for row in self.records[batch]:
                if row["tenant_id"] in tenants:
                    found.setdefault(row["tenant_id"], []).append(row)
        return {tenant: _truth(rows) for tenant, rows in found.items()}

    def build(self) -> None:
        """Runs every pipeline for two days, shares with two recipients, and reads under a grant."""
        for place, pipeline in enumerate(PIPELINES):
            _files(self.folder / pipeline, pipeline)
            for day, when in enumerate(DAYS):
                self._run(pipeline, f"{when:%Y-%m-%d}", list(_rows(pipeline, place, day, when)))
        with open_ledger(find_ledger(self.ledger), create=True) as ledger:
            self._share(ledger, "vendor", TENANTS[:5])
            self._share(ledger, "carrier", TENANTS[3:9])
            self._read(ledger, TENANTS[10:13])

    def _run(self, pipeline: str, day: str, rows: list[dict[str, Any]]) -> None:
        self.records[pipeline, day] = rows
        path = self.folder / pipeline / "data" / day / "a.ndjson"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.receipts[pipeline, day] = minimize.run(
            self.folder / pipeline, date=day, keys=self.folder / "test.keys", ledger=self.ledger
        )

    def _share(self, ledger: Ledger, recipient: str, tenants: tuple[str, ...]) -> None:
        """An act of sharing as the ledger has it: two devices of each tenant."""
        body = {
            "disclosure": recipient,
            "policy": {"name": "checkins", "version": 1},
            "category": "pseudonymized",
            "fields": {"device_id": f"pseudonymize (key device@{recipient})", "model": "keep"},
            "purpose": "operations",
        }
        shares = [TenantShare(name, 4, "c", 1, _tokens(self.keys, name, "d0", "d1")) for name in tenants]
        act = Disclosure(recipient, NOW - timedelta(hours=1), recipient, "sync", 4 * len(tenants), "x", None, body)
        record(ledger, act, shares, _event("disclose", NOW), self.keys, lambda _: None)

    def _read(self, ledger: Ledger, tenants: tuple[str, ...]) -> None:
        """A read as the door tells of it."""
        said: dict[str, Any] = {
            "grants": GRANT,
            "columns": "tenant_id, model",
            "tenants": ", ".join(tenants),
            "rows": 1000,
        }
        changes = tuple(Change(name, None, value) for name, value in said.items())
        event = _event("dataset/read", datetime.now(UTC), Resource("checkins/records", "dataset", "dataset/x", changes))
        ledger.write(lambda connection: append(connection, event, self.keys))


def world(folder: Path) -> World:
    """A world, built."""
    found = World(folder, new_keyring(folder / "test.keys", ("device",), now=NOW))
    found.build()
    return found


def _rows(pipeline: str, place: int, day: int, when: datetime) -> Iterator[dict[str, Any]]:
    """A few records of each tenant that was there on the day; some columns are empty for every third tenant."""
    for number, tenant in enumerate(TENANTS):
        if (number + day + place) % 4 == 0:
            continue
        for event in range(2 + number % 3):
            at = when - timedelta(minutes=7 * number + event)
            row: dict[str, Any] = {
                "tenant_id": tenant,
                "device_id": f"d{event % 2}",
                "event_time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            }
            row |= {name: _value(name, number) for name in PIPELINES[pipeline] if name != "device_id"}
            yield {name: value for name, value in row.items() if value is not None}


def _value(name: str, number: int) -> Any:
    if name == "battery":
        return None if number % 3 == 0 else 10.0 + number
    return f"{name}-{number % 5}"


def _files(folder: Path, pipeline: str) -> None:
    fields: dict[str, Any] = {
        "tenant_id": {"type": "string", "do": "keep"},
        "event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
    }
    for name, role in PIPELINES[pipeline].items():
        do: Any = {"pseudonymize": {"key": "device", "per": "tenant_id"}} if role == "identifier" else "keep"
        fields[name] = {"type": TYPES.get(name, "string"), "role": role or "plain", "do": do}
    policy = {
        "policy": pipeline,
        "version": 1,
        "purposes": ["operations"],
        "tenant": "tenant_id",
        "subject": "device_id",
        "time": "event_time",
        "retention": "30d",
        "fields": fields,
    }
    source = {"path": "data/{date}/*.ndjson", "format": "ndjson"}
    said = {"pipeline": pipeline, "policy": "policy.yaml", "purpose": "operations", "source": source, "output": "out"}
    folder.mkdir()
    (folder / "policy.yaml").write_text(json.dumps(policy))
    (folder / "pipeline.yaml").write_text(json.dumps({**said, "records": {"must_be": "pseudonymized"}}))


def _truth(rows: list[dict[str, Any]]) -> Truth:
    times = sorted(row["event_time"] for row in rows)
    persons = frozenset(row["device_id"] for row in rows)
    return Truth(persons, len(rows), frozenset(name for row in rows for name in row), times[0], times[-1])


def _tokens(keys: Keyring, tenant: str, *ids: str) -> bytes:
    return b"".join(sorted(bytes.fromhex(token_of(keys, tenant, each, 1).rpartition(":")[2]) for each in ids))


def _event(operation: str, at: datetime, *resources: Resource) -> Event:
    sam = Actor("user", application="door", user="sam")
    return Event(
        component="door",
        actor=sam,
        activity="decision",
        time=at,
        operation=operation,
        category="access",
        resources=resources,
    )
