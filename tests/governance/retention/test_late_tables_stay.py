"""Tables of event days that waited for late rows, after records of their batches were removed: they stay."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tests.governance.retention.daily import PIPELINE, START, Daily, Row, rows
from tests.project import Builds

DAY = timedelta(days=1)
FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)
LATE: dict[str, Any] = {"daily": {**PIPELINE["aggregates"]["daily"], "late": "1d"}}
NOW = START + 2 * DAY


def ran_content(project: Daily) -> None:
    """Two batches; the second brings late rows of the first day, and publishes it."""
    project.pipeline(aggregates=LATE)
    project.collect(rows(FIRST, devices=6), FIRST)
    late = [Row("south", f"d{number}", START + timedelta(hours=3)) for number in range(6)]
    project.collect([*rows(SECOND, devices=6), *late], SECOND)
    for day in (FIRST, SECOND):
        project.run(day, START + (day - FIRST) + DAY)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, ran_content)


def counts(project: Daily) -> dict[str, int]:
    return {row["tenant"]: row["events"] for row in project.rows("daily")}


def left(project: Daily, *subjects: str) -> Any:
    return project.events(*(f"south,{subject},subject_left,2026-01-03T00:00:00Z" for subject in subjects))


@pytest.mark.parametrize("subjects", [("d0",), ("d0", "d1", "d2", "d5")])
def test_a_day_stays_and_is_listed_once(ran: Daily, subjects: tuple[str, ...]) -> None:
    before = counts(ran)
    assert before == {"north": 12, "south": 18, "east": 12}
    (receipt,) = ran.expire(NOW, events=left(ran, *subjects)).receipts
    assert (receipt.stays, list(receipt.outputs)) == ({"daily": (str(FIRST),)}, ["records"])
    assert counts(ran) == before
    ran.verified()


def test_a_day_whose_batches_lose_nothing_is_not_listed(ran: Daily) -> None:
    third = FIRST + 2 * DAY
    ran.collect([Row("west", "d0", START + 2 * DAY + timedelta(hours=3))], third)
    ran.run(third, START + 3 * DAY)
    events = ran.events("west,d0,subject_left,2026-01-05T00:00:00Z")
    (receipt,) = ran.expire(START + 4 * DAY, events=events).receipts
    assert receipt.gated_by.erased == 1
    assert receipt.stays == {"daily": (str(SECOND),)}


def test_a_later_batch_publishes_its_day_and_leaves_the_first(ran: Daily) -> None:
    ran.expire(NOW, events=left(ran, "d0", "d1"))
    third = FIRST + 2 * DAY
    ran.collect(rows(third, devices=6), third)
    ran.run(third, START + 3 * DAY)
    south = {row["day"].date(): row["events"] for row in ran.rows("daily") if row["tenant"] == "south"}
    assert south == {FIRST: 18, SECOND: 12}
    ran.verified()
