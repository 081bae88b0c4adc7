"""Event days that waited for late rows, after records of their batches went."""

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


def test_a_day_is_counted_anew_from_all_its_batches(ran: Daily) -> None:
    assert counts(ran) == {"north": 12, "south": 18, "east": 12}
    (receipt,) = ran.expire(NOW, events=left(ran, "d0", "d1")).receipts
    assert counts(ran) == {"north": 12, "south": 12, "east": 12}
    assert receipt.stays is None
    assert {file.path.split("/")[1] for file in receipt.outputs["daily"].files} == {f"date={FIRST}"}
    ran.verified()


def test_a_day_of_which_too_few_would_go_stays_and_is_listed_once(ran: Daily) -> None:
    (receipt,) = ran.expire(NOW, events=left(ran, "d0")).receipts
    assert counts(ran)["south"] == 18
    assert receipt.stays == {"daily": (str(FIRST),)}


def test_a_day_stays_where_the_source_of_one_batch_is_gone(ran: Daily) -> None:
    (ran.folder / "data" / str(SECOND) / "a.ndjson").unlink()
    (receipt,) = ran.expire(NOW, events=left(ran, "d0", "d1")).receipts
    assert counts(ran)["south"] == 18
    assert receipt.stays == {"daily": (str(FIRST),)}


def test_after_a_second_event_a_day_is_counted_anew_from_what_stands(ran: Daily) -> None:
    ran.expire(NOW, events=left(ran, "d0"))
    assert counts(ran)["south"] == 18
    ran.expire(NOW, events=left(ran, "d0", "d1"))
    assert counts(ran)["south"] == 12
    ran.verified()


def test_a_later_batch_publishes_its_day_without_them_and_leaves_the_first(ran: Daily) -> None:
    ran.expire(NOW, events=left(ran, "d0", "d1"))
    third = FIRST + 2 * DAY
    ran.collect(rows(third, devices=6), third)
    ran.run(third, START + 3 * DAY)
    assert [row["events"] for row in ran.rows("daily") if row["tenant"] == "south" and row["day"] == START] == [12]
    ran.verified()


def test_a_pipeline_that_counts_otherwise_today_leaves_the_day(ran: Daily) -> None:
    ran.pipeline(aggregates={"daily": {**LATE["daily"], "suppress": {"below": 3}}})
    (receipt,) = ran.expire(NOW, events=left(ran, "d0", "d1", "d2")).receipts
    assert receipt.stays == {"daily": (str(FIRST),)}


def test_a_day_that_was_counted_anew_is_counted_anew_again(ran: Daily) -> None:
    (first,) = ran.expire(NOW, events=left(ran, "d0", "d1")).receipts
    assert first.outputs["daily"].days == {str(FIRST): {str(FIRST): 36, str(SECOND): 6}}
    ran.expire(NOW, events=left(ran, "d0", "d1", "d2", "d5"))
    assert counts(ran) == {"north": 12, "south": 6, "east": 12}
    ran.verified()
