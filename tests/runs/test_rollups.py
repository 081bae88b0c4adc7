"""Roll-ups of exact figures: coarser tables that are sums over the rows that are shown, frozen with their table."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.governance.retention.expire import expire
from minimize.verification import check
from tests.project import AT, DAY, Project, event

BILLING: dict[str, Any] = {
    "group_by": {"tenant": "tenant_id", "model": "model"},
    "measures": {"events": "count", "devices": {"count_distinct": "device_id"}, "charge": {"sum": "battery"}},
    "suppress": {"below": 3},
    "exact": {"because": "a contract"},
    "rollups": [["tenant"], []],
}
SIZES = {("north", "A"): 5, ("north", "B"): 4, ("south", "A"): 6, ("south", "B"): 2}
"""Devices by tenant and model; those of the last one are too few."""


def records(sizes: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    groups = [(key, number) for key, count in sizes.items() for number in range(count)]
    return [
        event(at, device_id=f"d{at}", tenant_id=tenant, model=model, battery=number + 0.1)
        for at, ((tenant, model), number) in enumerate(groups)
    ]


def publish(project: Project, table: dict[str, Any] = BILLING, **options: Any) -> minimize.Receipt:
    project.pipeline(aggregates={"billing": table})
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    project.records(records(SIZES))
    return project.run(**options)


def figures(project: Project, name: str, *keys: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = project.rows(name)
    return {tuple(row[key] for key in keys): (row["events"], row["devices"], row["charge"]) for row in rows}


def test_a_roll_up_sums_the_rows_that_are_shown(project: Project) -> None:
    receipt = publish(project)
    shown = figures(project, "billing", "tenant", "model")
    assert shown.keys() == SIZES.keys() - {("south", "B")}
    assert figures(project, "billing_by_tenant", "tenant") == {
        ("north",): (9, 9, pytest.approx(16.9)),
        ("south",): (6, 6, pytest.approx(15.6)),
    }
    assert figures(project, "billing_total") == {(): (15, 15, pytest.approx(32.5))}
    assert {name: output.rows for name, output in receipt.outputs.items() if name.startswith("billing")} == {
        "billing": 3,
        "billing_by_tenant": 2,
        "billing_total": 1,
    }
    minimize.verify(project.out, keys=project.keys)
