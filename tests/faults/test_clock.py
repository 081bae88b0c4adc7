"""A clock that goes back, between runs and within one: order is by sequence, never by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from minimize.checkpoints import at_checkpoint
from minimize.errors import RefusedError
from minimize.receipts import Receipt
from minimize.runs.verify import check_output
from tests.calls import list_runs, verify_audit
from tests.faults.child import Fault, ended
from tests.faults.process import KILLED
from tests.project import AT, BEFORE, DAY, LASTING, Project, events

STEPS = ("run.resolved", "run.opened", "lease.taken", "file.opened", "file.closed", "ledger.before", "receipt.before")
"""Points of a run between which the clock goes back."""


@pytest.fixture(autouse=True)
def _lasting(project: Project, clock: time_machine.Traveller) -> None:
    project.policy(**LASTING)


def run(project: Project, day: str = DAY) -> Receipt:
    return project.run(at=None, date=day)


def codes(project: Project) -> list[str]:
    audit = verify_audit(output=project.out, receipts=project.out, keys=project.keys)
    return [finding.code for finding in (*check_output(project.out, keys=project.keys), *audit.findings)]


def test_a_date_is_not_run_as_of_a_time_before_its_receipt(project: Project, clock: time_machine.Traveller) -> None:
    run(project)
    clock.move_to(AT - timedelta(hours=1))
    with pytest.raises(RefusedError, match="Check the clock") as told:
        run(project)
    assert told.value.exit_code == 3
    assert codes(project) == []
    clock.move_to(AT + timedelta(seconds=1))
    assert run(project).sequence == 2
    assert codes(project) == []


def test_other_dates_go_on_and_are_ordered_by_sequence(project: Project, clock: time_machine.Traveller) -> None:
    project.records(events(20, 200), day=BEFORE)
    first = run(project)
    clock.move_to(AT - timedelta(days=1))
    second = run(project, BEFORE)
    assert (first.sequence, second.sequence, second.previous) == (1, 2, first.digest)
    assert second.finished < first.started
    assert [row.sequence for row in list_runs(output=project.out)] == [1, 2]
    assert codes(project) == []


def test_within_a_run_nothing_breaks(project: Project, clock: time_machine.Traveller) -> None:
    with at_checkpoint(STEPS, lambda *_: clock.shift(timedelta(minutes=-7))):
        receipt = run(project)
    assert datetime.now(UTC) < AT - timedelta(minutes=60)
    assert receipt.finished >= receipt.started
    assert codes(project) == []


def test_a_process_that_died_in_the_future_holds_no_lease(project: Project, clock: time_machine.Traveller) -> None:
    words = ["run", project.folder, "--date", DAY, "--output", project.out, "--keys", project.keys]
    words += ["--ledger", project.out / "ledger.db"]
    died = ended([str(word) for word in words], project.folder / "said", Fault("file.closed"))
    assert died.code == KILLED
    clock.move_to(time_machine.escape_hatch.datetime.datetime.now(UTC) - timedelta(days=2))
    assert run(project).sequence == 1
    assert codes(project) == []
