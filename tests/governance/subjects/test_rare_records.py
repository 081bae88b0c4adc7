"""Removals from outputs with a bound on disclosure risk: what they leave rare goes with the removed records, and is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import minimize
from minimize.governance.subjects import DataSubject, delete_subjects
from tests.governance.outputs import places, run
from tests.project import BEFORE, Project, event

BOUND: dict[str, Any] = {
    "quasi_identifiers": ["os"],
    "require": {"k": 3},
    "otherwise": "suppress",
    "suppress_at_most": 0.5,
}
OS = {"os": {"type": "string", "role": "quasi", "do": "keep"}}


def check_ins(*versions: tuple[str, int], first: int = 0) -> list[dict[str, Any]]:
    rows, device = [], first
    for version, devices in versions:
        for _ in range(devices):
            rows += [event(2 * device + half, device_id=f"d{device}", tenant_id="north", os=version) for half in (0, 1)]
            device += 1
    return rows


@pytest.fixture
def bounded(project: Project) -> Project:
    """Two dates, each with four devices of version 17 and three of version 18."""
    project.policy(OS)
    project.pipeline(aggregates=None, settings=None, records={"risk": BOUND})
    for day in (None, BEFORE):
        project.records(check_ins(("17", 4), ("18", 3)), **({} if day is None else {"day": day}))
    run(project)
    return project


def versions(project: Project) -> list[str]:
    return sorted(row["os"] for row in project.rows())


def test_a_deletion_takes_the_combination_with_it_that_it_leaves_rare(bounded: Project) -> None:
    done = delete_subjects([DataSubject("d4", "north")], places(bounded), datetime.now(UTC), yes=True)
    (receipt,) = done.receipts
    assert (receipt.gated_by.erased, receipt.gated_by.risk) == (4, 8)
    assert versions(bounded) == ["17"] * 16
    minimize.verify(bounded.out, keys=bounded.keys)


def test_a_deletion_that_leaves_enough_persons_removes_nobody_else(bounded: Project) -> None:
    done = delete_subjects([DataSubject("d0", "north")], places(bounded), datetime.now(UTC), yes=True)
    (receipt,) = done.receipts
    assert (receipt.gated_by.erased, receipt.gated_by.risk) == (4, None)
    assert versions(bounded) == ["17"] * 12 + ["18"] * 12
    minimize.verify(bounded.out, keys=bounded.keys)


def test_the_plan_shows_what_goes_with_the_removed_records(bounded: Project) -> None:
    plan = delete_subjects([DataSubject("d4", "north")], places(bounded), datetime.now(UTC))
    assert "4 left in combinations that miss the bound on disclosure risk" in str(next(iter(plan.plans.values())))
    assert versions(bounded).count("18") == 12
