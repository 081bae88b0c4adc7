"""A clock that goes back, between runs and within one: order is by sequence, never by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Any

import pytest

from minimize.errors import RefusedError
from minimize.receipts import Receipt
from minimize.runs.verify import check_output
from minimize.workspace import Workspace
from tests.calls import list_runs, verify_audit
from tests.faults.child import Fault, ended
from tests.faults.process import KILLED
from tests.project import AT, BEFORE, DAY, LASTING, Project, events

READS_TIME = ("runs.session", "runs.receipt_builder", "ledger.leases")
"""Modules that read the time themselves; runs read that of their workspace."""


@dataclass
class Hands:
    """The time, and how far it goes back each time somebody looks."""

    time: datetime
    back: timedelta = timedelta(0)

    def now(self) -> datetime:
        self.time -= self.back
        return self.time


@pytest.fixture(autouse=True)
def _lasting(project: Project) -> None:
    project.policy(**LASTING)


@pytest.fixture(name="hands")
def _hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands(AT)

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return hands.now().astimezone(tz)

    for module in READS_TIME:
        monkeypatch.setattr(f"minimize.{module}.datetime", Moved)
    monkeypatch.setattr("minimize.runs.runner.Workspace", partial(Workspace, clock=hands.now))
    return hands


def run(project: Project, day: str = DAY) -> Receipt:
    return project.run(at=None, date=day)


def codes(project: Project) -> list[str]:
    audit = verify_audit(output=project.out, receipts=project.out, keys=project.keys)
    return [finding.code for finding in (*check_output(project.out, keys=project.keys), *audit.findings)]


def test_a_date_is_not_run_as_of_a_time_before_its_receipt(project: Project, hands: Hands) -> None:
    run(project)
    hands.time = AT - timedelta(hours=1)
    with pytest.raises(RefusedError, match="Check the clock") as told:
        run(project)
    assert told.value.exit_code == 3
    assert codes(project) == []
    hands.time = AT + timedelta(seconds=1)
    assert run(project).sequence == 2
    assert codes(project) == []


def test_other_dates_go_on_and_are_ordered_by_sequence(project: Project, hands: Hands) -> None:
    project.records(events(20, 200), day=BEFORE)
    first = run(project)
    hands.time = AT - timedelta(days=1)
    second = run(project, BEFORE)
    assert (first.sequence, second.sequence, second.previous) == (1, 2, first.digest)
    assert second.finished < first.started
    assert [row.sequence for row in list_runs(output=project.out)] == [1, 2]
    assert codes(project) == []


def test_within_a_run_nothing_breaks(project: Project, hands: Hands) -> None:
    hands.back = timedelta(minutes=7)
    receipt = run(project)
    assert receipt.finished >= receipt.started
    assert codes(project) == []


def test_a_process_that_died_in_the_future_holds_no_lease(project: Project, hands: Hands) -> None:
    words = ["run", project.folder, "--date", DAY, "--output", project.out, "--keys", project.keys]
    words += ["--ledger", project.out / "ledger.db"]
    died = ended([str(word) for word in words], project.folder / "said", Fault("file.closed"))
    assert died.code == KILLED
    hands.time = datetime.now(UTC) - timedelta(days=2)
    assert run(project).sequence == 1
    assert codes(project) == []
