"""A clock that goes back, between runs and within one: order is by sequence, never by time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from minimize.auditing import check_audit
from minimize.errors import RefusedError
from minimize.failpoints import KILLED
from minimize.indexing import list_runs
from minimize.receipt import Receipt
from minimize.verifying import check
from tests.faults.child import Fault, ended
from tests.project import AT, BEFORE, DAY, LASTING, Project, events

TELLS_TIME = ("job.job", "job.told", "job.given", "ledger.leases")


@dataclass
class Hands:
    """The time, and how far it goes back each time somebody looks."""

    time: datetime
    back: timedelta = timedelta(0)

    def now(self) -> datetime:
        self.time -= self.back
        return self.time


@pytest.fixture(autouse=True)
def _lasting(house: Project) -> None:
    house.policy(**LASTING)


@pytest.fixture(name="hands")
def _hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands(AT)

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return hands.now().astimezone(tz)

    for module in TELLS_TIME:
        monkeypatch.setattr(f"minimize.{module}.datetime", Moved)
    return hands


def run(house: Project, day: str = DAY) -> Receipt:
    return house.run(at=None, date=day)


def codes(house: Project) -> list[str]:
    audit = check_audit(output=house.out, receipts=house.out, keys=house.keys)
    return [finding.code for finding in (*check(house.out, keys=house.keys), *audit.findings)]


def test_a_date_is_not_run_as_of_a_time_before_its_receipt(house: Project, hands: Hands) -> None:
    run(house)
    hands.time = AT - timedelta(hours=1)
    with pytest.raises(RefusedError, match="did the clock go back") as told:
        run(house)
    assert told.value.exit_code == 3
    assert codes(house) == []
    hands.time = AT + timedelta(seconds=1)
    assert run(house).sequence == 2
    assert codes(house) == []


def test_other_dates_go_on_and_are_ordered_by_sequence(house: Project, hands: Hands) -> None:
    house.records(events(20, 200), day=BEFORE)
    first = run(house)
    hands.time = AT - timedelta(days=1)
    second = run(house, BEFORE)
    assert (first.sequence, second.sequence, second.previous) == (1, 2, first.digest)
    assert second.finished < first.started
    assert [row.sequence for row in list_runs(output=house.out)] == [1, 2]
    assert codes(house) == []


def test_within_a_run_nothing_breaks(house: Project, hands: Hands) -> None:
    hands.back = timedelta(minutes=7)
    receipt = run(house)
    assert receipt.finished >= receipt.started
    assert codes(house) == []


def test_who_died_in_the_future_holds_nothing(house: Project, hands: Hands) -> None:
    words = ["run", house.folder, "--date", DAY, "--output", house.out, "--keys", house.keys]
    words += ["--ledger", house.out / "ledger.db"]
    died = ended([str(word) for word in words], house.folder / "said", Fault("file.closed"))
    assert died.code == KILLED
    hands.time = datetime.now(UTC) - timedelta(days=2)
    assert run(house).sequence == 1
    assert codes(house) == []
