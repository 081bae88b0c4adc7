"""Aggregates after records of a date went: made anew, or left and listed.

The devices that leave are in different buckets of the sketches under the key of these tests; d3 is in the bucket of another one.
"""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine

from minimize.governance.retention.event_admin import NewEvent, add_event
from minimize.governance.workspace import Workspace as Where
from tests.governance.retention.daily import PIPELINE, START, Daily, rows
from tests.project import Builds

FIRST = date(2026, 1, 1)
RAN = START + timedelta(days=1)


def ran_content(project: Daily) -> None:
    project.collect(rows(FIRST, devices=6), FIRST)
    project.run(FIRST, RAN)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Daily) -> Daily:
    return builds.fill(project, ran_content)


def counts(project: Daily) -> dict[str, int]:
    return {row["tenant"]: row["events"] for row in project.rows("daily")}


def left(project: Daily, *subjects: str) -> list[str]:
    return [f"south,{subject},subject_left,2026-01-02T00:00:00Z" for subject in subjects]


def test_a_group_that_loses_enough_subjects_is_counted_anew(ran: Daily) -> None:
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1"))).receipts
    assert counts(ran) == {"north": 12, "east": 12, "south": 8}
    assert receipt.stays is None
    assert sorted(file.path.split("/")[0] for file in receipt.replaces) == ["daily", "records"]
    assert receipt.outputs["daily"].rows == 3
    ran.verified()


def test_a_group_that_would_lose_fewer_stays_and_is_listed(ran: Daily) -> None:
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, "d0"))).receipts
    assert counts(ran)["south"] == 12
    assert receipt.stays == {"daily": (str(FIRST),)}
    ran.verified()


def test_a_tenant_that_closed_goes_from_the_aggregate(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events("south,,tenant_closed,2026-01-02T00:00:00Z"))
    assert counts(ran) == {"north": 12, "east": 12}
    ran.verified()


def test_it_counts_what_records_are_left_to_the_hour(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events("south,,tenant_closed,2026-01-01T22:01:00Z"))
    assert {row["tenant_id"] for row in ran.rows()} == {"north", "east"}
    assert counts(ran) == {"north": 12, "east": 12}


def test_without_its_source_an_aggregate_stays(ran: Daily) -> None:
    shutil.rmtree(ran.folder / "data")
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1"))).receipts
    assert receipt.stays == {"daily": (str(FIRST),)}
    assert counts(ran)["south"] == 12


def test_after_a_second_event_it_is_counted_anew_where_the_first_is_told_as_well(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1")))
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1", "d2", "d5"))).receipts
    assert receipt.stays is None
    assert counts(ran)["south"] == 4
    ran.verified()


def test_after_a_second_event_it_stays_where_the_first_is_not_told(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1")))
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, "d2", "d5"))).receipts
    assert receipt.stays == {"daily": (str(FIRST),)}
    assert counts(ran)["south"] == 8


def test_two_who_left_one_after_the_other_are_gone_from_it_together(ran: Daily) -> None:
    first = ran.expire(RAN, events=ran.events(*left(ran, "d0"))).receipts[0]
    assert first.stays == {"daily": (str(FIRST),)}
    assert counts(ran)["south"] == 12
    second = ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1"))).receipts[0]
    assert second.stays is None
    assert counts(ran)["south"] == 8
    ran.verified()


def test_one_who_left_after_two_others_stays_in_it(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1")))
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1", "d2"))).receipts
    assert receipt.stays == {"daily": (str(FIRST),)}
    assert counts(ran)["south"] == 8


def test_what_was_deferred_is_in_the_next_release(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1")))
    (waits,) = ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1", "d2"))).receipts
    assert waits.stays == {"daily": (str(FIRST),)}
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1", "d2", "d5"))).receipts
    assert receipt.stays is None
    assert receipt.outputs["daily"].deferred == 0
    assert counts(ran)["south"] == 4
    ran.verified()


def test_a_group_that_falls_below_the_threshold_is_removed_and_not_deferred(ran: Daily) -> None:
    ran.expire(RAN, events=ran.events(*left(ran, *(f"d{number}" for number in range(4)))))
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, *(f"d{number}" for number in range(5))))).receipts
    assert receipt.stays is None
    assert counts(ran) == {"north": 12, "east": 12}
    ran.verified()


def test_events_of_the_ledger_are_told_every_time(ran: Daily, clock: time_machine.Traveller) -> None:
    clock.move_to(RAN)
    places = Where(output=ran.out, keys=ran.keys)
    for subjects in (("d0", "d1"), ("d2", "d5")):
        for subject in subjects:
            add_event(NewEvent("south", "subject_left", subject, RAN), places, RAN + timedelta(minutes=1))
        ran.expire(RAN)
    assert counts(ran)["south"] == 4


def test_a_pipeline_that_counts_otherwise_today_leaves_it(ran: Daily) -> None:
    changed: dict[str, Any] = {"daily": {**PIPELINE["aggregates"]["daily"], "suppress": {"below": 3}}}
    ran.pipeline(aggregates=changed)
    (receipt,) = ran.expire(RAN, events=ran.events(*left(ran, "d0", "d1"))).receipts
    assert receipt.stays == {"daily": (str(FIRST),)}


def test_one_who_left_by_the_ledger_stays_in_it(ran: Daily) -> None:
    places = Where(output=ran.out, keys=ran.keys)
    add_event(NewEvent("south", "subject_left", "d0", RAN), places, RAN + timedelta(minutes=1))
    (receipt,) = ran.expire(RAN).receipts
    assert receipt.stays == {"daily": (str(FIRST),)}
    assert counts(ran)["south"] == 12
