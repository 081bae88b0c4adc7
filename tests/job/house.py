"""A small pipeline on disk, whose every part a test may change, and the runs of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

import minimize
from minimize.keys import new_keyring
from minimize.receipt import Receipt
from minimize.stores import Anywhere
from tests.files import Files, declared

AT = datetime(2026, 11, 25, tzinfo=UTC)
DAY, BEFORE = "2026-11-24", "2026-11-23"
TIME = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("tenant_id", pa.string()),
        ("device_id", pa.string()),
        ("event_time", TIME),
        ("model", pa.string()),
        ("battery", pa.float64()),
        ("storage", pa.int64()),
        ("latitude", pa.float64()),
    ]
)
FIELDS: dict[str, Any] = {
    "event_id": {"type": "string", "role": "identifier", "do": "drop"},
    "tenant_id": {"type": "string", "do": "keep"},
    "device_id": {
        "type": "string",
        "role": "identifier",
        "do": {"pseudonymize": {"key": "device", "per": "tenant_id"}},
    },
    "event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
    "model": {"type": "string", "role": "quasi", "do": {"top": {"keep": 2, "other": "other", "at_least": 3}}},
    "battery": {
        "type": "double",
        "do": {"bin": {"width": 10}},
        "in_aggregates": {"clip": {"min": 0, "max": 100}},
    },
    "storage": {"type": "integer", "do": {"bin": {"edges": [10, 100]}}},
    "latitude": {"type": "double", "role": "quasi", "feature": "location", "do": {"round": {"to": 0.1}}},
}
POLICY: dict[str, Any] = {
    "policy": "checkins",
    "version": 3,
    "purposes": ["service_maintenance", "customer_support"],
    "tenant": "tenant_id",
    "subject": "device_id",
    "time": "event_time",
    "record": "event_id",
    "retention": "30d",
    "never": ["/contacts"],
    "features": {"location": {"about": "position of a lost device", "retention": "24h"}},
    "fields": FIELDS,
}
LASTING: dict[str, Any] = {"retention": None, "features": {"location": {"about": "position of a lost device"}}}
AGGREGATES: dict[str, Any] = {
    "per_model": {
        "group_by": {"day": {"event_time": "day"}, "model": "model"},
        "measures": {
            "events": "count",
            "devices": {"count_distinct": "device_id"},
            "battery": {"mean": "battery"},
            "drained": {"sum": "battery"},
            "storage": {"quantile": {"of": "storage", "q": 0.5}},
        },
        "suppress": {"below": 3, "counting": "device_id"},
    }
}
PIPELINE: dict[str, Any] = {
    "pipeline": "checkins",
    "policy": "policy.yaml",
    "purpose": "service_maintenance",
    "source": {"path": "data/{date}/*.ndjson.gz", "format": "ndjson"},
    "settings": "settings.csv",
    "output": "out",
    "records": {"must_be": "pseudonymized"},
    "aggregates": AGGREGATES,
}
SETTINGS = """tenant_id,subject,setting,value,holder,valid_from,recorded_at
north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
"""


def event(number: int, **changes: Any) -> dict[str, Any]:
    """One check-in; every number gives another, and the same number the same."""
    when = AT - timedelta(hours=2, minutes=7 * number % 600, seconds=number % 60)
    record = {
        "event_id": f"e{number}",
        "tenant_id": ("north", "south")[number % 2],
        "device_id": f"d{number % 11}",
        "event_time": f"{when:%Y-%m-%dT%H:%M:%SZ}",
        "model": ("A", "B", "C", "A")[number % 4],
        "battery": number * 7.3 % 100,
        "storage": number * 13 % 150,
        "latitude": 48.0 + number % 10 / 37,
    }
    return {key: value for key, value in (record | changes).items() if value is not None}


def events(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [event(number) for number in range(first, first + count)]


def table(records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Check-ins with the types that a columnar source has."""
    rows = [{**row, "event_time": datetime.fromisoformat(row["event_time"])} for row in records]
    return pa.Table.from_pylist(rows, SCHEMA)


@dataclass(frozen=True)
class House(Files):
    """A folder with policy, pipeline, settings, data and keys.

    The check-ins are of a fixed day: runs by the real clock (`at=None`) want a policy that is `lasting`, by which nothing is ever
    too old to keep.
    """

    lasting: bool = False

    def policy(self, fields: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """The policy with some things changed; a field that is None is not declared."""
        told = {**LASTING, **changes} if self.lasting else changes
        self.says("policy", POLICY, **{"fields": declared(FIELDS, fields), **told})

    def pipeline(self, **changes: Any) -> None:
        """The pipeline with some things changed; what is None is not said."""
        self.says("pipeline", PIPELINE, **changes)

    def brings(
        self, records: Iterable[Mapping[str, Any] | str], day: str = DAY, name: str = "a", root: str = "data"
    ) -> Path:
        """Writes a file of check-ins; a text is a line as it is."""
        return self.lines(f"{root}/{day}/{name}.ndjson.gz", records)

    def columns(self, data: pa.Table, day: str = DAY, name: str = "a", kind: str = "parquet", **options: Any) -> Path:
        """Writes a columnar file."""
        path = self.folder / "data" / day / f"{name}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "parquet":
            pq.write_table(data, path, **options)
        else:
            pyarrow.csv.write_csv(data, path)
        return path

    def reads(self, kind: str, pattern: str | None = None, **changes: Any) -> None:
        """A pipeline over another format."""
        self.pipeline(source={"path": pattern or f"data/{{date}}/*.{kind}", "format": kind}, **changes)

    def run(self, **options: Any) -> Receipt:
        """Runs it, as of `AT` where nothing else is said. Fails for a run by the real clock over what will be too old one day."""
        given: dict[str, Any] = {"at": AT, "output": self.out, "keys": self.keys} | options
        if given["at"] is None and not self.keeps_for_ever():
            raise AssertionError(
                "a run by the real clock (`at=None`) depends on today: build the house `lasting`, or say an `at`"
            )
        return minimize.run(self.folder, **{name: value for name, value in given.items() if value is not None})

    def keeps_for_ever(self) -> bool:
        """Whether by its policy nothing is ever too old to keep."""
        said = json.loads((self.folder / "policy.yaml").read_text())
        features = said.get("features") or {}
        return not any("retention" in each for each in (said, *features.values()))

    def rows(self, name: str = "records", output: Anywhere | None = None, **options: Any) -> list[dict[str, Any]]:
        """What stands, sorted."""
        found = minimize.read(output or self.out, name, **options).to_pylist()
        return sorted(found, key=lambda row: sorted((key, str(value)) for key, value in row.items()))

    def files(self, output: Path | None = None) -> set[str]:
        """The data files that lie in the output folder, whether they stand or not."""
        found = (output or self.out).rglob("*.parquet")
        return {path.relative_to(output or self.out).as_posix() for path in found}


def built(folder: Path, keys: Iterable[str] = ("device",), *, lasting: bool = False) -> House:
    """A house with the usual policy, pipeline, settings and keys, and no data."""
    house = House(folder, lasting)
    house.policy()
    house.pipeline()
    (folder / "settings.csv").write_text(SETTINGS)
    new_keyring(house.keys, tuple(keys), now=AT)
    return house
