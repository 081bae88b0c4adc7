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
MANY = 40
"""More devices than the largest draw, the margin and the threshold together: they are published in any case."""
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
        "size": {"type": "integer", "do": "keep", "in_aggregates": {"clip": {"min": 0, "max": 10}}},
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


def pipeline() -> dict[str, Any]:
    return {
        "pipeline": "groups",
        "policy": "policy.yaml",
        "purpose": "operations",
        "source": {"path": "in/{date}/*.ndjson", "format": "ndjson"},
        "output": "out",
        "records": False,
        "aggregates": {name: {**model, "suppress": {"below": 10}} for name, model in AGGREGATES.items()},
    }


def records(times: int) -> list[dict[str, Any]]:
    """Forty devices that are alike, and some that are not, each of these so many times."""
    many = [record(number) for number in range(MANY)]
    gated = {"place": SMALL["gated key"].value, "battery": NUMBERS["clipped"].value}
    rare = {"battery": NUMBERS["small cell of numbers"].value, "team": SMALL["key dropped by its case"].value}
    few = {
        "os": SMALL["key of a small group"].value,
        "model": SMALL["other than top"].value,
        "owner": "corporate",
        "size": NUMBERS["sum of few"].value,
        "apps": [{"name": SMALL["key under a list"].value, "managed": True}],
    }
    alone = {"owner": "corporate", "team": SMALL["small cell"].value}
    more = {"apps": [{"name": SMALL["gated key under a list"].value, "managed": False}]}
    kinds: list[dict[str, Any]] = [gated, rare, few, few, few, alone, more]
    others = [record(100 * kind + number) | made for kind, made in enumerate(kinds, 1) for number in range(times)]
    others[0]["device_id"] = SMALL["subject"].value
    return [*many, *others]


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


def run(folder: Path, times: int = 1) -> Path:
    """Runs over records with so many devices of each rare kind; gives the output folder."""
    (folder / "policy.yaml").write_text(json.dumps(POLICY))
    (folder / "pipeline.yaml").write_text(json.dumps(pipeline()))
    (folder / "in" / DAY).mkdir(parents=True)
    (folder / "in" / DAY / "part.ndjson").write_text("\n".join(map(json.dumps, records(times))))
    printed_by(folder, ("keys", "new", "keys"))
    printed_by(folder, ("run", ".", "--at", AT, "--output", "out", "--allow", "L060"))
    return folder / "out"


def test_nothing_of_a_small_group_or_cell_is_in_the_files(tmp_path: Path) -> None:
    out = run(tmp_path)
    assert found(PLANTED, out) == set()
    (row,) = library.read(out, "by_os").to_pylist()
    assert row["os"] == "common"
    assert [cell["value"] for cell in row["levels"]] == [50.0]


def test_the_control_finds_groups_and_cells_of_many(tmp_path: Path) -> None:
    gated = {"gated key", "gated key under a list", "key dropped by its case", "value of one subject only"}
    always = {"subject", "clipped", "sum of few"}
    assert found(PLANTED, run(tmp_path, MANY)) == {canary.place for canary in PLANTED} - gated - always


@pytest.mark.parametrize("place", ["subject", "clipped", "gated key"])
def test_the_control_finds_in_the_input_what_no_threshold_shows(tmp_path: Path, place: str) -> None:
    run(tmp_path)
    assert place in found(PLANTED, tmp_path / "in")
