"""Which aggregates are made anew after records went, and what is known of their dates."""

from __future__ import annotations

from datetime import date, timedelta

from minimize.governance.retention.anew import Anew
from minimize.governance.retention.events import Event
from minimize.governance.retention.recompute import Recomputed
from minimize.io.published import receipts
from tests.governance.retention.house import START, House, rows

DAY = timedelta(days=1)
RAN, FIRST = START + DAY, date(2026, 1, 1)


def left(*subjects: str) -> tuple[Event, ...]:
    return tuple(Event("south", "subject_left", RAN, subject) for subject in subjects)


def ran(house: House) -> House:
    house.brings(rows(FIRST, devices=6), FIRST)
    house.run(FIRST, RAN)
    return house


def made(house: House, *events: Event) -> list[Recomputed]:
    asked = house.asked(RAN, *events)
    plan = asked.plan()
    anew = Anew(asked.asked, asked.pipeline, receipts(house.out), plan, plan.due[0].written.reading)
    return list(anew.made(plan.due))


def test_an_aggregate_of_which_enough_go_is_made(house: House) -> None:
    (found,) = made(ran(house), *left("d0", "d1"))
    assert (found.name, found.date) == ("daily", str(FIRST))
    assert {row["tenant"]: row["events"] for row in found.result.table.to_pylist()}["south"] == 8


def test_one_of_which_few_go_is_not(house: House) -> None:
    assert made(ran(house), *left("d0")) == []


def test_a_date_on_which_a_device_changed_hands_is_left(house: House) -> None:
    personal = Event("south", "became_personal", RAN, "d4")
    assert made(ran(house), *left("d0", "d1"), personal) == []


def test_what_went_before_is_known_by_what_no_longer_stands(house: House) -> None:
    ran(house).expire(RAN, events=house.events("south,d0,subject_left,2026-01-02T00:00:00Z"))
    (found,) = made(house, *left("d0", "d1"))
    assert {row["tenant"]: row["events"] for row in found.result.table.to_pylist()}["south"] == 8
