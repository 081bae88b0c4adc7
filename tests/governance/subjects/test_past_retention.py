"""Every file that a deletion, restriction, correction or retraction writes is free of what is past its retention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

import minimize
from minimize.governance.subjects import (
    DataSubject,
    correct_subject,
    delete_subjects,
    lift_restriction,
    restrict_subjects,
)
from minimize.governance.subjects.correct import CorrectionEvidence
from minimize.receipts import Receipt
from minimize.removal.expire import expire
from minimize.removal.retract import retract
from minimize.workspace import Workspace
from tests.project import AT, DAY, Builds, Project, enter, event_time, events, new_project

RECORDS = events(60)
LATER = AT + timedelta(days=30, hours=-5)
"""When the older half of the records is past its retention of 30 days."""
FEATURE_LATER = AT + timedelta(hours=19)
"""When the positions of the older half are past the 24 hours of their feature."""
WHO = DataSubject("d3", "north")


def past(number: int, now: datetime, kept: timedelta) -> bool:
    """Whether a record is past its retention: its time is released as an hour, so it counts from the hour's start."""
    return event_time(number).replace(minute=0, second=0) + kept <= now


OUTLIVED = [number for number in range(60) if past(number, LATER, timedelta(days=30))]
HIS = [
    number for number in range(60) if RECORDS[number]["tenant_id"] == "north" and RECORDS[number]["device_id"] == "d3"
]
LEFT = [number for number in range(60) if number not in OUTLIVED and number not in HIS]


def fill(project: Project) -> None:
    project.policy({"storage": {"type": "integer", "do": "keep"}})
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    with time_machine.travel(AT, tick=False):
        project.run()


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(tmp_path, monkeypatch)
    return new_project(tmp_path)


@pytest.fixture(name="filled")
def _filled(builds: Builds, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MINIMIZE_ALLOW_TIME", "1")  # the last run was a month ago
    return builds.fill(project, fill)


@pytest.fixture(name="now", autouse=True)
def _now() -> Iterator[datetime]:
    with time_machine.travel(LATER, tick=False):
        yield LATER


def workspace(project: Project) -> Workspace:
    return Workspace(output=project.out, keys=project.keys)


def times(project: Project) -> list[datetime]:
    return sorted(row["event_time"] for row in project.rows())


def hours(numbers: Sequence[int]) -> list[datetime]:
    return sorted(event_time(number).replace(minute=0, second=0) for number in numbers)


def gated(receipt: Receipt) -> dict[str, Any]:
    return {reason: count for reason, count in receipt.to_json()["gated_by"].items() if count}


def test_the_older_half_is_past_its_retention() -> None:
    assert 10 < len(OUTLIVED) < 50
    assert set(HIS) & set(OUTLIVED)
    assert set(HIS) - set(OUTLIVED)


def test_a_deletion_also_drops_what_is_past_its_retention(filled: Project) -> None:
    found = delete_subjects([WHO], workspace(filled), LATER, yes=True)
    assert times(filled) == hours(LEFT)
    assert found.rows == len(HIS)
    assert gated(found.receipts[0]) == {"erased": len(HIS), "retention": len(set(OUTLIVED) - set(HIS))}
    minimize.verify(filled.out, keys=filled.keys)
    assert not expire(filled.out, keys=filled.keys).plan.due


def test_the_plan_of_a_deletion_names_them(filled: Project) -> None:
    plan = delete_subjects([WHO], workspace(filled), LATER)
    [partition] = next(iter(plan.plans.values())).partitions
    assert partition.gated == {"erased": len(HIS), "retention": len(set(OUTLIVED) - set(HIS))}
    assert plan.rows == len(HIS)


def test_a_deletion_of_another_subject_leaves_nothing_to_remove_of_a_date_past_its_retention(filled: Project) -> None:
    with time_machine.travel(AT + timedelta(days=31), tick=False):
        found = delete_subjects([WHO], workspace(filled), AT + timedelta(days=31), yes=True)
        assert found.rows == len(HIS)
        assert times(filled) == []
        minimize.verify(filled.out, keys=filled.keys)


def test_a_deletion_that_reaches_no_record_changes_nothing(filled: Project) -> None:
    found = delete_subjects([DataSubject("nobody", "north")], workspace(filled), LATER, yes=True)
    assert found.receipts == ()
    assert len(times(filled)) == len(RECORDS)


def test_a_restriction_seals_the_subjects_records_alone(filled: Project) -> None:
    found = restrict_subjects([WHO], workspace(filled), LATER, yes=True)
    assert times(filled) == hours(LEFT)
    assert found.rows == len(HIS)
    assert [file.rows for file in found.receipts[0].restricted or ()] == [len(HIS)]
    others = len(set(OUTLIVED) - set(HIS))
    said = f"{len(HIS)} records of {DAY} in 1 file; {others} records past their retention removed"
    assert any(said in str(line) for line in found.lines())
    minimize.verify(filled.out, keys=filled.keys)
    lifted = lift_restriction([WHO], workspace(filled), LATER, yes=True)
    assert lifted.rows == len(set(HIS) - set(OUTLIVED))
    minimize.verify(filled.out, keys=filled.keys)


def test_a_correction_also_drops_what_is_past_its_retention(filled: Project) -> None:
    evidence = CorrectionEvidence("source_correction", "CMDB-1")
    found = correct_subject(WHO, {"storage": "7"}, evidence, workspace(filled), LATER, yes=True)
    assert times(filled) == hours([*LEFT, *set(HIS) - set(OUTLIVED)])
    assert found.values == len(HIS)
    minimize.verify(filled.out, keys=filled.keys)


def test_a_retraction_from_the_output_also_drops_what_is_past_its_retention(filled: Project) -> None:
    for path in (filled.folder / "data").rglob("*.gz"):
        path.unlink()
    filled.policy({"storage": {"type": "integer", "do": "drop"}})
    retract(filled.out, pipeline=filled.folder, keys=filled.keys, yes=True)
    assert times(filled) == hours([number for number in range(60) if number not in OUTLIVED])
    minimize.verify(filled.out, keys=filled.keys)


def test_values_past_the_retention_of_their_feature_go_too(filled: Project) -> None:
    with time_machine.travel(FEATURE_LATER, tick=False):
        delete_subjects([WHO], workspace(filled), FEATURE_LATER, yes=True)
        minimize.verify(filled.out, keys=filled.keys)
    old = [number for number in range(60) if past(number, FEATURE_LATER, timedelta(hours=24))]
    still = [n for n in range(60) if n not in HIS and n not in old and RECORDS[n]["tenant_id"] == "north"]
    assert 0 < len(still) < 25
    assert sum(row["latitude"] is not None for row in filled.rows()) == len(still)
    assert datetime.now(UTC) == LATER
