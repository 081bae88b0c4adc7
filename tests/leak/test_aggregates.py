"""Of groups that are suppressed nothing stands in an aggregate's files: no key, no cell, no value, no statistics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import minimize as library
from tests.leak.canary import Canary
from tests.leak.planted import AT
from tests.leak.printed import printed_by
from tests.leak.sweep import found
from tests.project import DAY

SMALL = {
    place: Canary(place, f"CANARY-{place.replace(' ', '-')}")
    for place in (
        "key of a small group",
        "gated key",
        "key under a list",
        "gated key under a list",
        "other than top",
        "small cell",
        "key dropped by its case",
        "value of one subject only",
        "subject",
    )
}
NUMBERS = {
    "sum of few": Canary("sum of few", 7_405_112_633_911_021),
    "clipped": Canary("clipped", 98_765.432101),
    "small cell of numbers": Canary("small cell of numbers", 12.345678901234),
}
PLANTED = (*SMALL.values(), *NUMBERS.values())
POLICY: dict[str, Any] = {
    "policy": "groups",
    "version": 1,
    "purposes": ["operations"],
    "tenant": "tenant_id",
    "subject": "device_id",
    "time": "event_time",
    "retention": "30d",
    "features": {"location": {"about": "position"}},
    "fields": {
        "tenant_id": {"type": "string", "do": "keep"},
        "device_id": {"type": "string", "role": "identifier", "do": "drop"},
        "event_time": {"type": "timestamp", "do": {"truncate_time": {"to": "day"}}},
        "os": {"type": "string", "do": "keep"},
        "place": {"type": "string", "do": "keep", "feature": "location"},
        "model": {"type": "string", "do": {"top": {"keep": 2, "other": "other", "at_least": 10}}},
        "owner": {"type": "string", "do": "keep"},
        "team": {"type": "string", "cases": [{"if": {"owner": "corporate"}, "do": "keep"}], "otherwise": "drop"},
        "size": {"type": "integer", "do": "keep"},
        "battery": {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 0, "max": 100}}},
        "/apps/*/name": {"type": "string", "do": "keep", "collect_if": {"/apps/*/managed": True}},
        "/apps/*/managed": {"type": "boolean", "do": "drop"},
    },
}
AGGREGATES: dict[str, Any] = {
    "by_os": {
        "group_by": {"os": "os"},
        "measures": {
            "events": "count",
            "teams": {"histogram": "team"},
            "levels": {"histogram": "battery"},
            "battery": {"mean": "battery"},
        },
    },
    "by_place": {"group_by": {"place": "place"}, "measures": {"devices": {"count_distinct": "device_id"}}},
    "by_model": {"group_by": {"model": "model"}, "measures": {"devices": {"count_distinct": "device_id"}}},
    "by_team": {"group_by": {"team": "team"}, "measures": {"events": "count", "size": {"sum": "size"}}},
    "by_app": {"group_by": {"app": "/apps/*/name"}, "measures": {"devices": {"count_distinct": "device_id"}}},
}


def pipeline(below: int) -> dict[str, Any]:
    return {
        "pipeline": "groups",
        "policy": "policy.yaml",
        "purpose": "operations",
        "source": {"path": "in/{date}/*.ndjson", "format": "ndjson"},
        "output": "out",
        "records": False,
        "aggregates": {name: {**model, "suppress": {"below": below}} for name, model in AGGREGATES.items()},
    }


def records() -> list[dict[str, Any]]:
    """Twenty devices that are alike, and three that are not."""
    many = [record(number) for number in range(20)]
    many[3] |= {"place": SMALL["gated key"].value, "battery": NUMBERS["clipped"].value}
    many[4] |= {"battery": NUMBERS["small cell of numbers"].value, "team": SMALL["key dropped by its case"].value}
    few = {
        "os": SMALL["key of a small group"].value,
        "model": SMALL["other than top"].value,
        "owner": "corporate",
        "size": NUMBERS["sum of few"].value,
        "apps": [{"name": SMALL["key under a list"].value, "managed": True}],
    }
    alone = {"owner": "corporate", "team": SMALL["small cell"].value, "device_id": SMALL["subject"].value}
    more = [{"name": SMALL["gated key under a list"].value, "managed": False}]
    return [*many, *(record(30 + number) | few for number in range(3)), record(40) | alone, record(41) | {"apps": more}]


def record(number: int) -> dict[str, Any]:
    return {
        "tenant_id": "acme",
        "device_id": f"device-{number}",
        "event_time": f"{DAY}T01:00:00Z",
        "os": "common",
        "place": "somewhere",
        "model": "usual",
        "owner": "personal",
        "team": SMALL["value of one subject only"].value if number == 5 else "team",
        "size": 1,
        "battery": 50.0,
        "apps": [{"name": "Mail", "managed": True}],
    }


def run(folder: Path, below: int) -> Path:
    """Runs over these records; gives the output folder."""
    (folder / "policy.yaml").write_text(json.dumps(POLICY))
    (folder / "pipeline.yaml").write_text(json.dumps(pipeline(below)))
    (folder / "in" / DAY).mkdir(parents=True)
    (folder / "in" / DAY / "part.ndjson").write_text("\n".join(map(json.dumps, records())))
    printed_by(folder, ("keys", "new", "keys"))
    printed_by(folder, ("run", ".", "--at", AT, "--output", "out", "--allow", "L060"))
    return folder / "out"


def test_nothing_of_a_small_group_or_cell_is_in_the_files(tmp_path: Path) -> None:
    out = run(tmp_path, 10)
    assert found(PLANTED, out) == set()
    rows = library.read(out, "by_os").to_pylist()
    assert [(row["os"], row["events"]) for row in rows] == [("common", 22)]
    assert rows[0]["levels"] == [{"value": 50.0, "count": 20}, {"value": None, "count": None}]


def test_the_control_finds_the_groups_and_cells_where_the_threshold_is_one(tmp_path: Path) -> None:
    gated = {"gated key", "gated key under a list", "key dropped by its case", "value of one subject only"}
    always = {"subject", "other than top", "clipped", "sum of few"}
    assert found(PLANTED, run(tmp_path, 1)) == {canary.place for canary in PLANTED} - gated - always


@pytest.mark.parametrize("place", ["subject", "clipped", "gated key"])
def test_the_control_finds_in_the_input_what_no_threshold_shows(tmp_path: Path, place: str) -> None:
    run(tmp_path, 1)
    assert place in found(PLANTED, tmp_path / "in")
