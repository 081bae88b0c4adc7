"""Removals from outputs with a bound on disclosure risk: what they leave rare goes with the removed records, and is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import minimize
from minimize.governance.subjects import (
    CorrectionEvidence,
    DataSubject,
    RestrictionLift,
    correct_subject,
    delete_subjects,
    lift_restriction,
    request_statuses,
    restrict_subjects,
)
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.removal.expire import expire
from minimize.removal.retract import retract
from tests.governance.outputs import places, run
from tests.project import BEFORE, DAY, Project, event

BOUND: dict[str, Any] = {
    "quasi_identifiers": ["os"],
    "require": {"k": 3},
    "otherwise": "suppress",
    "suppress_at_most": 0.5,
}
MODEL = {"model": {"type": "string", "role": "quasi", "do": "keep"}}
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
    assert receipt.risk is not None
    assert {on: (entry.k, entry.suppressed) for on, entry in (receipt.risk.dates or {}).items()} == {
        BEFORE: (4, 4),
        DAY: (4, 4),
    }
    assert versions(bounded) == ["17"] * 16
    minimize.verify(bounded.out, keys=bounded.keys)


def test_a_deletion_that_leaves_enough_persons_removes_nobody_else(bounded: Project) -> None:
    done = delete_subjects([DataSubject("d0", "north")], places(bounded), datetime.now(UTC), yes=True)
    (receipt,) = done.receipts
    assert (receipt.gated_by.erased, receipt.gated_by.risk) == (4, None)
    assert receipt.risk is not None
    assert (receipt.risk.k, receipt.risk.suppressed) == (3, 0)
    assert versions(bounded) == ["17"] * 12 + ["18"] * 12
    minimize.verify(bounded.out, keys=bounded.keys)


def test_the_plan_shows_what_goes_with_the_removed_records(bounded: Project) -> None:
    plan = delete_subjects([DataSubject("d4", "north")], places(bounded), datetime.now(UTC))
    assert "4 left in combinations that miss the bound on disclosure risk" in str(next(iter(plan.plans.values())))
    assert versions(bounded).count("18") == 12


def subject(number: int) -> DataSubject:
    return DataSubject(f"d{number}", "north")


def restricted(project: Project, *numbers: int) -> minimize.Receipt:
    (receipt,) = restrict_subjects(list(map(subject, numbers)), places(project), datetime.now(UTC), yes=True).receipts
    return receipt


def lifted(project: Project, *numbers: int, yes: bool = True) -> RestrictionLift:
    return lift_restriction(list(map(subject, numbers)), places(project), datetime.now(UTC), yes=yes)


def restrictions_in_force(project: Project) -> int:
    with open_ledger(find_ledger(project.folder / "organization.db")) as ledger:
        statuses = request_statuses(ledger)
    return sum(each.last.kind == "restrict" and each.lifted_at is None for each in statuses)


def verified(project: Project) -> None:
    minimize.verify(project.out, keys=project.keys)


def test_a_restriction_removes_what_it_leaves_rare_and_seals_its_own_records_only(bounded: Project) -> None:
    receipt = restricted(bounded, 4)
    assert (receipt.gated_by.restricted, receipt.gated_by.risk) == (4, 8)
    assert sum(file.rows for file in receipt.restricted or ()) == 4
    assert versions(bounded) == ["17"] * 16
    verified(bounded)


def test_a_restriction_of_all_records_of_a_file_seals_them(project: Project) -> None:
    project.policy(OS)
    project.pipeline(aggregates=None, settings=None, records={"risk": BOUND})
    project.records(check_ins(("17", 3)))
    run(project)
    receipt = restricted(project, 0)
    assert (receipt.gated_by.restricted, receipt.gated_by.risk) == (2, 4)
    assert project.rows() == []
    assert sum(file.rows for file in receipt.restricted or ()) == 2
    verified(project)


def test_a_lift_publishes_records_in_combinations_that_meet_the_bound(bounded: Project) -> None:
    before = bounded.rows()
    restricted(bounded, 0)
    lift = lifted(bounded, 0)
    assert (lift.rows, lift.stays_sealed, lift.stays_restricted) == (4, 0, ())
    assert "stays_sealed" not in lift.to_json()
    assert bounded.rows() == before
    assert restrictions_in_force(bounded) == 0
    verified(bounded)


def test_a_lift_keeps_records_sealed_that_would_miss_the_bound(bounded: Project) -> None:
    restricted(bounded, 4)
    plan = lifted(bounded, 4, yes=False)
    assert "4 records of 1 restricted subject stay sealed" in "\n".join(map(str, plan.lines()))
    before = bounded.files()
    lift = lifted(bounded, 4)
    assert (lift.rows, lift.receipts, lift.requests, lift.applied) == (0, (), (), False)
    assert (lift.to_json()["stays_sealed"], lift.to_json()["stays_restricted"]) == (4, 1)
    assert [each["stays_sealed"] for each in lift.to_json()["outputs"].values()] == [4]
    assert bounded.files() == before
    assert restrictions_in_force(bounded) == 1
    verified(bounded)


def test_a_lift_of_several_subjects_publishes_those_that_meet_the_bound(bounded: Project) -> None:
    restricted(bounded, 0, 4)
    lift = lifted(bounded, 0, 4)
    assert (lift.rows, lift.stays_sealed) == (4, 4)
    assert (len(lift.subjects), lift.stays_restricted) == (1, (subject(4),))
    assert versions(bounded) == ["17"] * 16
    assert restrictions_in_force(bounded) == 1
    run(bounded, date=DAY)
    assert versions(bounded) == ["17"] * 16
    verified(bounded)


def test_subjects_that_meet_the_bound_together_only_are_lifted_together(bounded: Project) -> None:
    restricted(bounded, 4, 5, 6)
    assert lifted(bounded, 4, 5, yes=False).stays_sealed == 8
    lift = lifted(bounded, 4, 5, 6)
    assert (lift.rows, lift.stays_sealed) == (12, 0)
    assert versions(bounded) == ["17"] * 16 + ["18"] * 12
    verified(bounded)


def test_a_lift_that_was_blocked_is_possible_once_there_are_enough_persons(bounded: Project) -> None:
    restricted(bounded, 4)
    bounded.records(check_ins(("17", 4), ("18", 6)))
    bounded.records(check_ins(("17", 4), ("18", 6)), day=BEFORE)
    run(bounded)
    lift = lifted(bounded, 4)
    assert (lift.rows, lift.stays_sealed) == (4, 0)
    (receipt,) = lift.receipts
    assert receipt.risk is not None
    assert {on: (entry.k, entry.suppressed) for on, entry in (receipt.risk.dates or {}).items()} == {
        BEFORE: (4, 0),
        DAY: (4, 0),
    }
    assert versions(bounded) == ["17"] * 16 + ["18"] * 24
    verified(bounded)


def test_an_expiry_removes_what_it_leaves_rare(project: Project) -> None:
    project.policy({**OS, "event_time": {"type": "timestamp", "role": "quasi", "do": "keep"}}, retention="30h")
    project.pipeline(aggregates=None, settings=None, records={"risk": BOUND})
    hours = {"d4": "01"}
    rows = check_ins(("17", 4), ("18", 3))
    project.records([{**row, "event_time": f"{DAY}T{hours.get(row['device_id'], '22')}:00:00Z"} for row in rows])
    project.run()
    done = expire(project.out, at="2026-11-25T12:00:00Z", keys=project.keys, yes=True)
    (receipt,) = done.receipts
    assert (receipt.gated_by.retention, receipt.gated_by.risk) == (2, 4)
    assert receipt.risk is not None
    assert (receipt.risk.k, receipt.risk.suppressed) == (4, 4)
    assert versions(project) == ["17"] * 8
    verified(project)


def test_a_correction_removes_what_it_leaves_rare(bounded: Project) -> None:
    evidence = CorrectionEvidence("subject_request", "CASE-7")
    done = correct_subject(subject(4), {"os": "17"}, evidence, places(bounded), datetime.now(UTC), yes=True)
    (receipt,) = done.receipts
    assert receipt.gated_by.risk == 8
    assert receipt.risk is not None
    assert receipt.risk.k == 5
    assert versions(bounded) == ["17"] * 20
    verified(bounded)


@pytest.fixture(name="condition_to_come")
def _condition_to_come(project: Project) -> Project:
    """One date with six devices of version 17 and three of 18. Half of the devices have a record of the model B."""
    project.policy({**OS, **MODEL}, retention=None)
    project.pipeline(aggregates=None, settings=None, records={"risk": BOUND})
    project.records(check_ins(("17", 6), ("18", 3)))
    run(project)
    return project


def retracted(project: Project) -> minimize.Receipt:
    """Applies a policy that collects the model B only: three devices of version 17 and two of 18 have records of it."""
    project.policy({**OS, **MODEL}, retention=None, version=4, records={"collect_if": {"model": "B"}})
    done = retract(project.out, keys=project.keys, ledger=project.folder / "organization.db", yes=True)
    (receipt,) = done.receipts
    verified(project)
    return receipt


def test_a_retraction_from_the_source_removes_what_it_leaves_rare(condition_to_come: Project) -> None:
    receipt = retracted(condition_to_come)
    assert (receipt.from_, receipt.gated_by.condition, receipt.rows.suppressed) == ("source", 13, 2)
    assert receipt.risk is not None
    assert (receipt.risk.k, receipt.risk.suppressed) == (3, 2)
    assert versions(condition_to_come) == ["17"] * 3


def test_a_retraction_of_the_output_removes_what_it_leaves_rare(condition_to_come: Project) -> None:
    (condition_to_come.folder / "data" / DAY / "a.ndjson.gz").unlink()
    receipt = retracted(condition_to_come)
    assert (receipt.from_, receipt.gated_by.condition, receipt.gated_by.risk) == ("output", 13, 2)
    assert versions(condition_to_come) == ["17"] * 3
