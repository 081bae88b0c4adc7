"""Pipelines with a bound on disclosure risk, and records for them, that several engines carry out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.project import Project, event

KEPT_VERSION = {"os": {"type": "string", "role": "quasi", "optional": True, "do": "keep"}}
CHOSEN_VERSION = {"os": {**KEPT_VERSION["os"], "do": {"truncate_version": {"parts": "auto"}}}}
STATE = {"state": {"type": "string", "optional": True, "do": "keep"}}
SUPPRESS = {"otherwise": "suppress", "suppress_at_most": 0.5}

BOUNDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "refuse": (KEPT_VERSION, {"require": {"k": 1}}, {}),
    "suppress": (KEPT_VERSION | STATE, {**SUPPRESS, "sensitive": ["state"], "require": {"k": 3, "l": 2}}, {}),
    "suppress after deduplication": (KEPT_VERSION, SUPPRESS, {"deduplicate": {"by": ["device_id", "battery"]}}),
    "suppress after top": (KEPT_VERSION, {**SUPPRESS, "quasi_identifiers": ["model", "os"]}, {}),
    "generalize": (CHOSEN_VERSION, {"otherwise": "generalize", "suppress_at_most": 0.1}, {}),
    "recode": (CHOSEN_VERSION, {"otherwise": "recode", "suppress_at_most": 0.5}, {}),
}
"""By name: fields of the policy, the bound, and further keys of `records`."""
VERSIONS = [("17.1.1", 4), ("17.1.2", 2), ("17.2.1", 1), ("18.4.0", 3), ("19.0.7", 1), (None, 5)]


def with_bound(project: Project, name: str) -> None:
    """Writes the policy and the pipeline of one of the bounds."""
    fields, bound, records = BOUNDS[name]
    project.policy(fields)
    risk = {"quasi_identifiers": ["os"], "require": {"k": 3}, **bound}
    project.pipeline(aggregates=None, settings=None, records={**records, "risk": risk})


def check_ins(versions: Iterable[tuple[str | None, int]] = VERSIONS, first: int = 0) -> list[dict[str, Any]]:
    """For each version as many devices, with three records each, two of which are equal in `battery`."""
    rows: list[dict[str, Any]] = []
    device = first
    for version, devices in versions:
        for _ in range(devices):
            changes = {"os": version, "state": ("ok", "bad")[device % 2], "device_id": f"d{device}"}
            rows += [
                event(3 * device + part, tenant_id="north", battery=50 + part // 2, **changes) for part in range(3)
            ]
            device += 1
    return rows


def spread(project: Project, files: int = 3) -> None:
    """Stores the records in several files, so that persons and combinations are spread over all of them."""
    rows = check_ins()
    for number in range(files):
        project.records(rows[number::files], name=f"f{number}")
